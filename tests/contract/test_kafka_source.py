"""A topic in Kafka as a source: the contract against a real broker, and what is its own."""

import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from deploy.local import LocalKafka
from models.kafka_log import KafkaLog
from models.records import LogRecord
from processor.kafka_source import InstanceTakenError, KafkaSource, Membership
from processor.source import LogAwayError, LogMissingError, Source
from tests.contract.source_contract import KEY, Log, SourceContract, append_all, read
from tests.kafka.broker import admin, collect_sockets, delete_below, new_topic, producer

JOINED_WITHIN_S = 30.0


class Topic:
    """A topic whose records carry the times that a test gives; each source opened has a group."""

    def __init__(self, servers: str, partitions: int = 1) -> None:
        self.servers = servers
        # CreateTime, so that a test decides the times; the topic of a real log has LogAppendTime.
        self.log = new_topic(servers, partitions, **{"message.timestamp.type": "CreateTime"})
        self.opened: list[KafkaSource] = []
        self.others: list[Topic] = []
        self._producer = producer(self.log)

    def append(self, value: bytes, received_at: int, key: bytes = KEY, partition: int = 0) -> int:
        sent = self._producer.send(
            self.log.topic, value, key, partition=partition, timestamp_ms=received_at
        )
        offset: int = sent.get(10).offset
        return offset

    def cut(self, start_offset: int) -> None:
        delete_below(self.log, 0, start_offset)

    def open(self) -> KafkaSource:
        return self.join(Membership(f"group-{uuid.uuid4().hex[:8]}"), [0])

    def join(self, membership: Membership, wanted: Sequence[int] | None = None) -> KafkaSource:
        source = KafkaSource(self.log, membership)
        self.opened.append(source)
        if wanted is not None:
            assigned(source, wanted)
        return source

    def other(self) -> "Topic":
        self.others.append(Topic(self.servers))
        return self.others[-1]

    def close(self) -> None:
        for topic in (self, *self.others):
            topic._producer.close()
            for source in topic.opened:
                source.close()


def assigned(source: Source, wanted: Sequence[int]) -> None:
    """Returns when the group has given these partitions to the source."""
    deadline = time.monotonic() + JOINED_WITHIN_S
    while list(source.partitions()) != list(wanted):
        assert time.monotonic() < deadline, source.partitions()
        source.poll(0.05, 10)


@pytest.fixture
def topic(broker: LocalKafka) -> Iterator[Topic]:
    made = Topic(broker.bootstrap)
    yield made
    made.close()
    collect_sockets()


class TestKafkaSource(SourceContract):
    """The contract on kafka-python and a real broker."""

    @pytest.fixture
    def log(self, topic: Topic) -> Log:
        return topic


def small(group: str, instance_id: str | None = None) -> Membership:
    return Membership(group, instance_id, session_timeout_ms=1_000, heartbeat_interval_ms=200)


def drained(source: Source, polls: int = 20) -> list[LogRecord]:
    return [record for _ in range(polls) for record in source.poll(0.05, 100)]


def test_a_missing_topic_is_named(topic: Topic) -> None:
    with pytest.raises(LogMissingError, match=r"no topic nowhere; run `bookended migrate`"):
        KafkaSource(topic.log._replace(topic="nowhere"))


def test_a_broker_that_is_not_there_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processor.kafka_source._ASKED_WITHIN_MS", 300)
    with pytest.raises(LogAwayError, match=r"kafka://127\.0\.0\.1:9/x"):
        KafkaSource(KafkaLog(("127.0.0.1:9",), "x"))


def test_two_processors_share_the_partitions(broker: LocalKafka) -> None:
    """Who keeps a partition reads on undisturbed; who loses it is told, once."""
    topic = Topic(broker.bootstrap, partitions=4)
    first = topic.join(small("shared"), range(4))
    for partition in first.partitions():
        first.seek(partition, 0)
    second = topic.join(small("shared"))
    gone: set[int] = set()
    deadline = time.monotonic() + JOINED_WITHIN_S
    while len(second.partitions()) != 2 or len(first.partitions()) != 2:
        assert time.monotonic() < deadline
        first.poll(0.02, 10)
        gone.update(first.gone())
        second.poll(0.02, 10)
    assert gone == set(second.partitions())
    assert gone.isdisjoint(first.partitions())
    assert first.gone() == []
    for partition in range(4):
        topic.append(b"%d" % partition, 1, partition=partition)
    # Both are polled in turn: a rebalance ends only when every member has taken part.
    polled = [(first.poll(0.05, 100), second.poll(0.05, 100)) for _ in range(60)]
    assert {r.partition for records, _ in polled for r in records} == set(first.partitions())
    assert not any(records for _, records in polled)  # nothing of what it has not sought
    for partition in second.partitions():
        second.seek(partition, 0)
    polled = [(first.poll(0.05, 100), second.poll(0.05, 100)) for _ in range(60)]
    assert {r.partition for _, records in polled for r in records} == gone
    topic.close()


def test_a_restart_in_place_has_its_partitions_at_once(topic: Topic) -> None:
    """Static membership: no waiting for the session's time-out, no rebalance for the others."""
    # `assigned` gives up before this session time-out would have let go of the member.
    assert JOINED_WITHIN_S < 60
    membership = Membership("static", "one", session_timeout_ms=60_000, heartbeat_interval_ms=500)
    topic.join(membership, [0]).close()
    topic.join(membership, [0])


def test_a_committed_offset_is_never_read_back(topic: Topic) -> None:
    first = append_all(topic, [b"%d" % i for i in range(5)])
    source = topic.join(small("hinted"), [0])
    source.seek(0, first)
    source.checkpointed({0: first + 4})
    source.close()
    again = topic.join(small("hinted"), [0])
    assert drained(again, 5) == []
    again.seek(0, first)
    assert [r.value for r in read(again)] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_doubted_partition_comes_back_when_the_group_confirms(topic: Topic) -> None:
    topic.append(b"one", 1)
    source = topic.join(small("doubted"), [0])
    source.seek(0, 0)
    source.doubt(0)
    assert drained(source, 3) == []
    assigned(source, [0])
    source.seek(0, 0)
    assert [r.value for r in read(source)] == [b"one"]


def test_a_member_that_was_replaced_is_told(topic: Topic) -> None:
    """Another processor under the same instance id takes the partitions at once."""
    topic.append(b"one", 1)
    first = topic.join(small("replaced", "same"), [0])
    first.seek(0, 0)
    second = topic.join(small("replaced", "same"))
    assigned(second, [0])
    first.doubt(0)  # its next checkpoint finds another owner
    with pytest.raises(InstanceTakenError, match="another processor has joined as instance same"):
        drained(first, 200)


def test_partitions_added_later_come_by_themselves(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor.kafka_source.METADATA_AGE_MS_MAX", 500)
    source = topic.join(small("grown"), [0])
    source.seek(0, 0)
    with admin(topic.servers) as client:
        client.create_partitions({topic.log.topic: 3})
    assigned(source, [0, 1, 2])


def test_records_go_on_through_a_restart_of_the_broker(topic: Topic, broker: LocalKafka) -> None:
    topic.append(b"one", 1)
    source = topic.join(small("through"), [0])
    source.seek(0, 0)
    assert [r.value for r in read(source)] == [b"one"]
    broker.kill()
    assert drained(source, 3) == []
    with pytest.raises(LogAwayError):
        source.end_offset(0)
    broker.start()
    topic.append(b"two", 2)
    found: list[Any] = []
    for _ in range(600):
        found += source.poll(0.05, 10)
        for partition in source.gone():
            assigned(source, [partition])
            source.seek(partition, 1)
        if found:
            break
    assert [r.value for r in found] == [b"two"]
