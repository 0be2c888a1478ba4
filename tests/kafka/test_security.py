"""TLS and SASL towards a real broker, by each client, through every door to Kafka."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from commands.broker_settings import Secured
from commands.errors import Failure
from commands.kafka_clients import closes_reader, closes_sink, kafka_publisher, kafka_source
from commands.kafka_topics import migrate_topics
from commands.topics import faults_of_topics
from models.kafka_log import KafkaLog
from models.placement import Placement, parse_partition_counts
from models.records import LogRecord
from processor.group import Membership
from processor.source import Close
from tests.kafka.broker import collect_sockets
from tests.kafka.secure import PASSWORD, USER, SecureKafka

ONE = Placement(parse_partition_counts("1"))
LOGINS = ("certificate", "plain", "scram-sha-256", "scram-sha-512")


@pytest.fixture(scope="module")
def secure(servers_directory: Path) -> Iterator[SecureKafka]:
    with SecureKafka(servers_directory / "kafka-secure") as kafka:
        kafka.add_users()
        yield kafka


@pytest.fixture(autouse=True)
def sockets() -> Iterator[None]:
    yield
    collect_sockets()


def log_of(secure: SecureKafka, login: str, topic: str, **settings: Any) -> KafkaLog:
    """The log through the listener for that login, as the settings make it."""
    certificates = secure.directory / "certificates"
    wanted: dict[str, Any] = {"kafka_ca": certificates / "ca.pem"}
    if login == "certificate":
        server = secure.for_certificates
        wanted["kafka_cert"] = certificates / "client.pem"
        wanted["kafka_key"] = certificates / "client-key.pem"
    else:
        server = secure.for_users
        wanted |= {"kafka_sasl": login, "kafka_user": USER, "kafka_password": PASSWORD}
    security = Secured(**{**wanted, **settings}).kafka_security
    return KafkaLog((server,), topic, security=security)


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
@pytest.mark.parametrize("login", LOGINS)
def test_all_that_talks_to_kafka_gets_in(secure: SecureKafka, login: str, client: Any) -> None:
    topic = f"secure-{login}-{client}"
    log = log_of(secure, login, topic)._replace(client=client)
    migrate_topics(log, ONE, None)
    assert faults_of_topics(log, ONE) == []

    async def publish() -> None:
        publisher = kafka_publisher(log, ONE)
        await publisher.start()
        await publisher.publish("a" * 64, b"one")
        await publisher.stop()

    asyncio.run(publish())
    with closing(kafka_source(log, Membership(topic))) as source:
        deadline = time.monotonic() + 30
        while list(source.partitions()) != [0]:
            assert time.monotonic() < deadline
            source.poll(0.05, 10)
        source.seek(0, 0)
        found: list[LogRecord] = []
        while not found:
            assert time.monotonic() < deadline
            found = source.poll(0.5, 10)
        assert [record.value for record in found] == [b"one"]
    with closing(closes_sink(log)) as sink, closing(closes_reader(log)) as reader:
        sink.publish([Close("a" * 64, 1)])
        assert list(reader.read(10)) == [("a" * 64, 1)]


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
@pytest.mark.parametrize(
    ("login", "wrong"),
    [
        ("certificate", {"kafka_ca": "other-ca.pem"}),
        ("plain", {"kafka_password": "wrong-secret"}),
        ("scram-sha-512", {"kafka_password": "wrong-secret"}),
    ],
)
def test_who_does_not_get_in_is_told_so(
    secure: SecureKafka, login: str, wrong: dict[str, Any], client: Any
) -> None:
    if "kafka_ca" in wrong:
        wrong = {"kafka_ca": secure.directory / "certificates" / wrong["kafka_ca"]}
    log = log_of(secure, login, "closed", **wrong)._replace(client=client)

    async def start() -> str:
        publisher = kafka_publisher(log, ONE)
        await publisher.start()
        reason = publisher.reason_not_ready()
        await publisher.stop()
        return reason

    told = asyncio.run(start())
    assert told
    with pytest.raises(Failure) as caught:
        faults_of_topics(log, ONE)
    for text in (told, str(caught.value), repr(log)):
        assert "\n" not in text
        assert PASSWORD not in text
        assert "wrong-secret" not in text
