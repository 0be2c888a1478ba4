"""Settings: flags win over variables, and all that is wrong is told at once, one line each."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import make_url

from commands.errors import SettingsError
from commands.options import (
    HIDDEN,
    Origin,
    load,
    origin,
    settings_of,
    unknown_variables,
    value_text,
)
from commands.rebuild import Rebuilding
from commands.settings import Checking, Collecting, Demonstrating, Running
from commands.simulate import Simulating
from commands.values import (
    Address,
    duration_text,
    parse_address,
    parse_duration,
    parse_size,
    size_text,
)

NO_TOPIC = "names no topic; give for example kafka://127.0.0.1:9092/media-events"


@pytest.fixture(autouse=True)
def _no_settings_of_the_tester(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in (*settings_of(Checking), *settings_of(Simulating)):
        monkeypatch.delenv(setting.variable, raising=False)


def problems(model: type[Running | Simulating], **flags: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(model, flags)
    return caught.value.lines


def test_defaults_serve_on_loopback_from_the_current_directory() -> None:
    settings = load(Running, {})
    assert settings.address == Address("127.0.0.1", 8080)
    assert settings.log_path == Path("bookended-data/log.db")
    assert settings.database_path == Path("bookended-data/analytics.db")
    assert settings.checkpoint_interval == timedelta(seconds=1)


def test_a_flag_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKENDED_PROFILE", "strict")
    monkeypatch.setenv("BOOKENDED_REQUESTS_MAX", "7")
    settings = load(Collecting, {"requests_max": "8"})
    assert settings.profile == "strict"
    assert settings.requests_max == 8


def test_an_empty_variable_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKENDED_LISTEN", "")
    assert load(Collecting, {}).listen == "127.0.0.1:8080"


def test_urls_name_files_relative_and_absolute() -> None:
    settings = load(Running, {"log": "sqlite:///a/log.db", "database": "sqlite:////b/c.db"})
    assert settings.log_path == Path("a/log.db")
    assert settings.database_path == Path("/b/c.db")


def test_json_is_read_under_its_short_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(Demonstrating, {"json_output": "True"}).json_output
    monkeypatch.setenv("BOOKENDED_JSON", "1")
    assert load(Demonstrating, {}).json_output


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKENDED_PROFILE", "lax")
    monkeypatch.setenv("BOOKENDED_CHECKPOINT_EVENTS", "3")
    lines = problems(Running, listen="8080", log="kafka://h:9092", checkpoint_interval="9m")
    assert set(lines) == {
        f"--log kafka://h:9092: {NO_TOPIC}",
        "BOOKENDED_CHECKPOINT_EVENTS=3: is too small; the least is 100",
        "--checkpoint-interval 9m: is too large; the most is 1m",
        "--listen 8080: is not HOST:PORT; give for example 127.0.0.1:8080",
        "BOOKENDED_PROFILE=lax: is not one of 'standard' or 'strict'",
    }
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("flag", "text", "problem"),
    [
        ("listen", "::1:80", "an IPv6 address needs brackets"),
        ("listen", "host:70000", "is not HOST:PORT"),
        ("listen", "host:", "is not HOST:PORT"),
        ("path_prefix", "a b", "is not a path"),
        ("requests_max", "many", "is not a whole number"),
        ("requests_max", "0", "is too small; the least is 1"),
        ("request_bytes_max", "64MB", "is not a size"),
        ("request_bytes_max", "1KiB", "is too small; the least is 16MiB"),
        ("checkpoint_interval", "soon", "is not a duration; give a number with a unit, for exam"),
        ("checkpoint_interval", "2h", "is too large; the most is 1m"),
        ("data", "a?b", "has a ? in it"),
        ("log", "file.db", "is not sqlite:///FILE"),
        ("log", "sqlite:///:memory:", "is not sqlite:///FILE"),
        ("database", "postgres://u@h/d", "is not a database URL; give postgresql+psycopg://USER"),
        ("database", "postgresql+psycopg://u@h:x/d", "is not postgresql+psycopg://USER:PASSWORD@"),
        ("database", "postgresql+psycopg://u@h", "names no database"),
        ("debug", "perhaps", "is neither true nor false"),
    ],
)
def test_each_wrong_value_is_named_with_what_would_be_right(
    flag: str, text: str, problem: str
) -> None:
    (line,) = problems(Running, **{flag: text})
    assert line.startswith(f"--{flag.replace('_', '-')} {text}: {problem}")


@pytest.mark.parametrize(
    ("flag", "text", "problem"),
    [
        ("url", "localhost:8080", "is not the URL of a collector"),
        ("rate", "0", "is too small; it must be more than 0"),
        ("rate", "fast", "is not a number"),
        ("faults", "late,lots", "knows all, none, or a list of"),
        ("speed", "0.5", "is too small; the least is 1"),
    ],
)
def test_wrong_values_of_the_simulation(flag: str, text: str, problem: str) -> None:
    (line,) = problems(Simulating, **{flag: text})
    assert line.startswith(f"--{flag} {text}: {problem}")


BAD_KEY = (
    "BOOKENDED_SID_KEYS: key 1 is not 32 to 128 hex characters; make one with: openssl rand -hex 32"
)
BAD_DATABASE = (
    f"BOOKENDED_DATABASE=postgresql://u:{HIDDEN}@h/d: is not a database URL; "
    "give postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE"
)


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKENDED_SID_KEYS", "open-sesame")
    monkeypatch.setenv("BOOKENDED_DATABASE", "postgresql://u:hush@h/d")
    assert set(problems(Running)) == {
        BAD_KEY,
        BAD_DATABASE,
    }
    monkeypatch.setenv("BOOKENDED_SID_KEYS", "0" * 32)
    monkeypatch.setenv("BOOKENDED_DATABASE", "postgresql+psycopg://u@h/d?password=hush")
    (line,) = problems(Running)
    assert line.startswith(f"BOOKENDED_DATABASE=postgresql+psycopg://u@h/d?password={HIDDEN}: ")
    monkeypatch.delenv("BOOKENDED_DATABASE")
    settings = load(Running, {})
    keys = next(setting for setting in settings_of(Running) if setting.field == "sid_keys")
    assert value_text(keys, settings.sid_keys) == HIDDEN


def write_certificate(directory: Path) -> tuple[Path, Path]:
    """A file that is no certificate, and a real key."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )
    key_path, cert_path = directory / "key.pem", directory / "cert.pem"
    key_path.write_bytes(pem)
    cert_path.write_text("no certificate")
    return cert_path, key_path


def test_certificate_and_key_are_looked_at_before_the_start(tmp_path: Path) -> None:
    cert, key = write_certificate(tmp_path)
    gone = tmp_path / "gone.pem"
    assert "--tls-key is missing" in problems(Running, tls_cert=str(cert))[0]
    assert "--tls-cert is missing" in problems(Running, tls_key=str(key))[0]
    (line,) = problems(Running, tls_cert=str(gone), tls_key=str(key))
    assert f"{gone} cannot be read (No such file or directory)" in line
    (line,) = problems(Running, tls_cert=str(cert), tls_key=str(key))
    assert "the two are no certificate chain and its key" in line


def test_keys_come_from_one_place(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    (line,) = problems(Running, sid_key_file=str(path))
    assert line.startswith(f"--sid-key-file {path}: cannot be read (No such file")
    path.write_text("0" * 32)
    path.chmod(0o600)
    assert load(Running, {"sid_key_file": str(path)}).sid_key_file == path
    (line,) = problems(Running, sid_key_file=str(path), sid_keys="1" * 32)
    assert line == "--sid-keys: give the keys or a file with the keys, not both"


POSTGRES = "postgresql+psycopg://bookended@db/bookended"


def test_a_password_comes_from_a_file_and_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("p@ss/w:rd\n", encoding="utf-8")
    path.chmod(0o440)
    settings = load(Running, {"database": POSTGRES, "database_password_file": str(path)})
    assert make_url(settings.database_url).password == "p@ss/w:rd"
    assert "***@db" in settings.database_name
    shown = {s.field: value_text(s, getattr(settings, s.field)) for s in settings_of(Running)}
    assert "w:rd" not in "".join(shown.values())


@pytest.mark.parametrize(
    ("database", "content", "mode", "problem"),
    [
        (POSTGRES, None, 0o600, "cannot be read (No such file or directory); check path and owner"),
        (POSTGRES, b"a", 0o604, "can be read by every user; run: chmod 600 PATH"),
        (POSTGRES, b"", 0o600, "is not one line of text; give a file with the password alone"),
        (POSTGRES, b"a\nb", 0o600, "is not one line of text; give a file with the password alone"),
        (
            POSTGRES,
            b"a" * 1025,
            0o600,
            "is not one line of text; give a file with the password alone",
        ),
        (POSTGRES, b"\xff", 0o600, "holds more than text; give a file with the password alone"),
        (
            POSTGRES.replace("@db", ":b@db"),
            b"a",
            0o600,
            "the address has a password already; give one of the two",
        ),
        ("", b"a", 0o600, "a password is for PostgreSQL; give its address by --database"),
        (
            "sqlite:///a",
            b"a",
            0o600,
            "a password is for PostgreSQL; give its address by --database",
        ),
    ],
)
def test_a_password_file_that_cannot_be_used_is_told(
    tmp_path: Path, database: str, content: bytes | None, mode: int, problem: str
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    flags = {"database": database} if database else {}
    (line,) = problems(Running, database_password_file=str(path), **flags)
    expected = problem.replace("PATH", str(path))
    assert line == f"--database-password-file {path}: {expected}"


def test_no_part_of_a_password_is_shown() -> None:
    """An @ in it ends it for the URL: what follows would be taken for the host."""
    (line,) = problems(Running, database=POSTGRES.replace("@db", ":ope@sesame@db"))
    assert line == (
        "--database postgresql+psycopg://bookended:********@db/bookended: has an @ in its "
        "password; write %40 for it, or give --database-password-file"
    )

    (line,) = problems(Simulating, url="http://me:open@localhost")
    assert line.startswith("--url http://me:********@localhost: is not the URL of a collector")


def test_a_day_begins_at_midnight_in_utc() -> None:
    settings = load(Rebuilding, {"rebuild_from": "2026-03-01", "rebuild_to": "2026-03-02T00:00"})
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    assert (settings.rebuild_from, settings.rebuild_to) == (begin, begin + timedelta(days=1))


def test_origin_of_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKENDED_LISTEN", "127.0.0.1:1")
    settings = {setting.field: setting for setting in settings_of(Running)}
    assert origin(settings["listen"], {}) is Origin.VARIABLE
    assert origin(settings["listen"], {"listen": "127.0.0.1:2"}) is Origin.FLAG
    assert origin(settings["profile"], {}) is Origin.DEFAULT


def test_misspelt_variables_are_found_and_kubernetes_ones_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PORT", "SERVICE_HOST", "PORT_8080_TCP_ADDR", "COLLECTOR_SERVICE_PORT_HTTP"):
        monkeypatch.setenv(f"BOOKENDED_{name}", "tcp://10.0.0.1:8080")
    monkeypatch.setenv("BOOKENDED_LISTN", "127.0.0.1:1")
    assert unknown_variables((Checking, Simulating)) == [
        "BOOKENDED_LISTN is no setting; is BOOKENDED_LISTEN meant?"
    ]


def test_every_setting_says_what_it_is_for() -> None:
    for model in (Checking, Demonstrating, Simulating):
        for setting in settings_of(model):
            assert setting.description.endswith("."), setting.field


@pytest.mark.parametrize("text", ["0ms", "250ms", "1s", "90s", "10m", "49h", "7d"])
def test_durations_are_written_as_they_are_read(text: str) -> None:
    value = parse_duration(text)
    assert isinstance(value, timedelta)
    assert duration_text(value) == text


@pytest.mark.parametrize("text", ["17", "1KiB", "64MiB", "2GiB"])
def test_sizes_are_written_as_they_are_read(text: str) -> None:
    value = parse_size(text)
    assert isinstance(value, int)
    assert size_text(value) == text


def test_addresses() -> None:
    assert parse_address("[::1]:0") == Address("::1", 0)
    assert str(Address("::1", 80)) == "[::1]:80"
    assert Address("127.1.2.3", 1).is_loopback
    assert Address("::1", 1).is_loopback
    assert not Address("0.0.0.0", 1).is_loopback  # noqa: S104 - only looked at
    assert not Address("127.example.com", 1).is_loopback
