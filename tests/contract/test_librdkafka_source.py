"""A topic in Kafka as a source on librdkafka: the contract, and what is this client's own."""

import contextlib
import time
from contextlib import closing

import pytest
from confluent_kafka import Consumer

from deploy.local import LocalKafka
from models.kafka_log import KafkaLog
from models.records import LogRecord
from processor.group import Membership
from processor.kafka_source import KafkaSource
from processor.librdkafka_source import LibrdkafkaSource
from processor.source import LogAwayError, Source
from tests.contract.kafka_source_contract import (
    JOINED_WITHIN_S,
    KafkaSourceContract,
    Topic,
    assigned,
    small,
)
from tests.contract.source_contract import append_all, read


def fetched_until_told(source: Source, other: Consumer) -> None:
    """Returns after a while, if nothing is told."""
    deadline = time.monotonic() + JOINED_WITHIN_S
    while time.monotonic() < deadline:
        other.poll(0.05)
        try:
            source.poll(0.05, 10)
        except LogAwayError as error:
            if "joins anew" in str(error):
                raise


class TestLibrdkafkaSource(KafkaSourceContract):
    """The contract on librdkafka and a real broker."""

    def make(self, log: KafkaLog, membership: Membership) -> Source:
        return LibrdkafkaSource(log, membership)

    def test_who_is_fenced_after_the_brokers_were_away_joins_anew(self, topic: Topic) -> None:
        """librdkafka fences itself then, now and then: it joins by a new member id, and asks by the
        old one. Here it is another member for certain, and the brokers were said to be away."""
        topic.append(b"one", 1)
        source = topic.join(small("fenced", "same"), [0])
        source.seek(0, 0)
        assert isinstance(source, LibrdkafkaSource)
        source._away_at = time.monotonic()
        with closing(Consumer({**source._settings, **source._member()})) as itself:
            itself.subscribe([topic.log.topic])
            with pytest.raises(LogAwayError, match="it joins anew"):
                fetched_until_told(source, itself)
        deadline = time.monotonic() + JOINED_WITHIN_S
        found: list[LogRecord] = []
        while not found:  # the group may give the partition more than once
            assert time.monotonic() < deadline
            if source.gone() or not source.next_offsets():
                assigned(source, [0])
                source.seek(0, 0)
            found = source.poll(0.1, 10)
        assert [record.value for record in found] == [b"one"]

    def test_a_partition_stays_where_it_was_sought(self, topic: Topic) -> None:
        """librdkafka looks up where a partition begins half a second later, unless it is told."""
        topic.append(b"one", 1)
        source = topic.open()
        source.seek(0, 0)
        assert [r.value for r in read(source)] == [b"one"]
        topic.append(b"two", 2)
        time.sleep(1.5)
        topic.append(b"three", 3)
        assert [r.value for r in read(source)] == [b"two", b"three"]

    def test_what_retention_took_is_sought_anew(self, topic: Topic) -> None:
        """librdkafka stops a partition whose next record is gone, until it is assigned again."""
        append_all(topic, [b"%d" % i for i in range(5)])
        topic.cut(3)
        source = topic.open()
        source.seek(0, 1)
        deadline = time.monotonic() + JOINED_WITHIN_S
        while not source.gone():
            assert time.monotonic() < deadline
            assert source.poll(0.05, 10) == []
        assert source.start_offset(0) == 3
        source.seek(0, 3)
        while source.gone():
            assert time.monotonic() < deadline
            assigned(source, [0])
            source.seek(0, 3)
        assert [r.value for r in read(source)] == [b"3", b"4"]

    def test_offsets_are_told_again_after_a_restart_of_the_broker(
        self, topic: Topic, broker: LocalKafka
    ) -> None:
        """librdkafka's client for questions keeps the epoch of a leader for five minutes."""
        topic.append(b"one", 1)
        source = topic.open()
        assert source.end_offset(0) == 1
        broker.kill()
        broker.start()
        deadline = time.monotonic() + JOINED_WITHIN_S
        while time.monotonic() < deadline:
            with contextlib.suppress(LogAwayError):
                assert source.end_offset(0) == 1
                return
            time.sleep(0.2)
        raise AssertionError(source.end_offset(0))

    def test_both_clients_give_the_log_one_id(self, topic: Topic) -> None:
        with closing(KafkaSource(topic.log)) as other, closing(LibrdkafkaSource(topic.log)) as mine:
            assert mine.log_id() == other.log_id()


def test_a_broker_that_is_not_there_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processor.librdkafka_source._ASKED_WITHIN_S", 0.3)
    with pytest.raises(LogAwayError, match=r"kafka://127\.0\.0\.1:9/x: .*refused"):
        LibrdkafkaSource(KafkaLog(("127.0.0.1:9",), "x"))
