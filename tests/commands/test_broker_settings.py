"""Settings of TLS and SASL towards Kafka: what they mean, and what is wrong with others."""

from pathlib import Path

import pytest

from commands.check import command as check
from commands.errors import SettingsError
from commands.options import load
from commands.settings import Collecting
from models.kafka_log import KafkaSecurity
from tests.kafka.secure import make_certificates

LOG = "kafka://127.0.0.1:9/media-events"


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    make_certificates(tmp_path / "certificates")
    return tmp_path / "certificates"


def test_nothing_given_is_plain() -> None:
    kafka = load(Collecting, {"log": LOG}).kafka
    assert kafka is not None
    assert kafka.security is None


def test_a_login_over_tls(certificates: Path, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("of-a-file\n")
    password.chmod(0o600)
    flags = {
        "log": LOG,
        "kafka_ca": str(certificates / "ca.pem"),
        "kafka_sasl": "scram-sha-512",
        "kafka_user": "alice",
        "kafka_password_file": str(password),
    }
    kafka = load(Collecting, flags).kafka
    assert kafka is not None
    assert kafka.security == KafkaSecurity(
        tls=True,
        ca=str(certificates / "ca.pem"),
        mechanism="SCRAM-SHA-512",
        user="alice",
        password="of-a-file",
    )
    assert kafka.security.protocol == "SASL_SSL"
    assert "of-a-file" not in repr(kafka)
    plain = load(Collecting, {k: v for k, v in flags.items() if k != "kafka_ca"}).kafka
    assert plain is not None
    assert plain.security is not None
    assert plain.security.protocol == "SASL_PLAINTEXT"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"kafka_sasl": "plain"}, "a login needs --kafka-sasl, --kafka-user and a password"),
        ({"kafka_user": "alice", "kafka_password": "hidden-1"}, "a login needs --kafka-sasl"),
        ({"kafka_sasl": "gssapi"}, "--kafka-sasl gssapi"),
        ({"kafka_cert": "client.pem"}, "--kafka-key is missing"),
        ({"kafka_key": "client-key.pem"}, "--kafka-cert is missing"),
        ({"kafka_cert": "client.pem", "kafka_key": "server-key.pem"}, "is not the key of"),
        ({"kafka_ca": "nowhere.pem"}, "has no certificates"),
        ({"kafka_ca": "client-key.pem"}, "has no certificates"),
        ({"log": f"{LOG}?sasl.password=hidden-1"}, "has the option 'sasl.password' after the ?"),
    ],
)
def test_what_cannot_hold_is_told(flags: dict[str, str], told: str, certificates: Path) -> None:
    given = {
        name: str(certificates / text) if text.endswith(".pem") else text
        for name, text in flags.items()
    }
    with pytest.raises(SettingsError) as caught:
        load(Collecting, {"log": LOG, **given})
    lines = "\n".join(caught.value.lines)
    assert told in lines
    assert "hidden-1" not in lines


def test_check_hides_the_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKENDED_KAFKA_PASSWORD", "hidden-1")
    monkeypatch.setattr("commands.kafka_topics._ASKED_WITHIN_MS", 300)
    arguments = ["--log", LOG, "--kafka-sasl", "plain", "--kafka-user", "alice", "--json"]
    check.main(arguments, standalone_mode=False)
    told = capsys.readouterr().out
    assert "alice" in told
    assert "hidden-1" not in told
