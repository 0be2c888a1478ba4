"""Closes go through Kafka from the processor to every collector."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from kafka import KafkaConsumer

from commands.kafka_clients import closes_reader, closes_sink
from commands.kafka_topics import migrate_topics
from deploy.local import LocalKafka
from ingest.closes import Close as Told
from ingest.closes import ClosesAway
from models.kafka_log import KafkaLog
from models.placement import Placement, parse_partition_counts
from processor.source import Close, LogAwayError
from tests.kafka.broker import collect_sockets, new_topic

ONE = Placement(parse_partition_counts("1"))


@pytest.fixture(params=["kafka-python", "librdkafka"])
def log(broker: LocalKafka, request: pytest.FixtureRequest) -> Iterator[KafkaLog]:
    made = new_topic(broker.bootstrap)._replace(client=request.param)
    migrate_topics(made, ONE, None)
    yield made
    collect_sockets()


def test_closes_reach_every_collector_in_order(log: KafkaLog) -> None:
    with (
        closing(closes_sink(log)) as sink,
        closing(closes_reader(log)) as first,
        closing(closes_reader(log)) as second,
    ):
        assert list(first.read(10)) == []
        sink.publish([Close("a" * 64, 1), Close("b" * 64, 2)])
        sink.publish([Close("a" * 64, None)])
        wanted = [Told("a" * 64, 1), Told("b" * 64, 2), Told("a" * 64, None)]
        for reader in (first, second):
            found: list[Told] = []
            while some := reader.read(2):
                assert len(some) <= 2
                found += some
            assert found == wanted
        assert list(second.read(10)) == []


def test_the_clients_read_each_other(log: KafkaLog) -> None:
    other = log._replace(client="librdkafka" if log.client == "kafka-python" else "kafka-python")
    closes = [Close(f"{n:064x}", n if n % 3 else None) for n in range(2_000)]
    with closing(closes_sink(log)) as sink, closing(closes_reader(other)) as reader:
        sink.publish(closes)
        found: list[Told] = []
        while some := reader.read(300):
            found += some
    assert found == [Told(*close) for close in closes]


def test_only_the_newest_are_read_at_the_start(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.kafka_closes.CLOSES_MAX", 3)
    with closing(closes_sink(log)) as sink, closing(closes_reader(log)) as reader:
        sink.publish([Close(f"{n:064x}", n) for n in range(10)])
        assert [close.closed_at for close in reader.read(10)] == [7, 8, 9]


def test_a_topic_that_is_missing_is_told(log: KafkaLog) -> None:
    told = r"no topic nowhere-closes; run `bookended migrate`"
    with (
        closing(closes_reader(log._replace(topic="nowhere"))) as reader,
        pytest.raises(ClosesAway, match=told),
    ):
        reader.read(1)


def test_a_place_that_is_not_told_in_time_is_asked_for_again(
    broker: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kafka-python says None then, and the collector must go on following closes."""
    log = new_topic(broker.bootstrap)
    migrate_topics(log, ONE, None)
    with closing(closes_sink(log)) as sink, closing(closes_reader(log)) as reader:
        sink.publish([Close("a" * 64, 1)])
        with monkeypatch.context() as patched:
            patched.setattr(KafkaConsumer, "position", lambda *_, **__: None)
            with pytest.raises(ClosesAway, match="do not tell"):
                reader.read(10)
        assert list(reader.read(10)) == [Told("a" * 64, 1)]
    collect_sockets()


def test_a_broker_killed_and_started_again(log: KafkaLog, broker: LocalKafka) -> None:
    with closing(closes_sink(log)) as sink, closing(closes_reader(log)) as reader:
        sink.publish([Close("a" * 64, 1)])
        assert list(reader.read(10)) == [("a" * 64, 1)]
        broker.kill()
        with pytest.raises(LogAwayError):
            sink.publish([Close("b" * 64, 2)])
        with pytest.raises(ClosesAway):
            reader.read(10)
        broker.start()
        sink.publish([Close("b" * 64, 2)])
        told = {close.session_id: close.closed_at for close in reader.read(10)}
        assert told["b" * 64] == 2
