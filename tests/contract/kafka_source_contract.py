"""What every source over a topic in Kafka must do, whatever its client; against a real broker.

Only for tests. A subclass says how a source is made; what is its own client's has its own tests.
"""

import threading
import time
import uuid
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from deploy.local import LocalKafka
from models.kafka_log import KafkaLog
from models.records import LogRecord
from processor.group import InstanceTakenError, Membership
from processor.source import LogAwayError, LogMissingError, Source
from tests.commands.processes import PATIENCE_S
from tests.contract.source_contract import KEY, Log, SourceContract, append_all, read
from tests.kafka.broker import (
    TIMES_OF_THE_TEST,
    admin,
    collect_sockets,
    delete_below,
    in_transaction,
    new_topic,
    producer,
    transactional,
)

JOINED_WITHIN_S = 50.0  # below the session time-out of the restart in place
CLOSED_WITHIN_S = 60.0
"""librdkafka, left to itself, waits for minutes."""


Make = Callable[[KafkaLog, Membership], Source]


class Topic:
    """A topic whose records carry the times that a test gives; each source opened has a group."""

    def __init__(self, servers: str, make: Make, partitions: int = 1) -> None:
        self.servers = servers
        self.make = make
        # CreateTime, so that a test decides the times; the topic of a real log has LogAppendTime.
        self.log = new_topic(servers, partitions, **TIMES_OF_THE_TEST)
        self.opened: list[Source] = []
        self.others: list[Topic] = []
        self._producer = producer(self.log)

    def append(self, value: bytes, received_at: int, key: bytes = KEY, partition: int = 0) -> int:
        sent = self._producer.send(
            self.log.topic, value, key, partition=partition, timestamp_ms=received_at
        )
        offset: int = sent.get(PATIENCE_S).offset
        return offset

    def cut(self, start_offset: int) -> None:
        delete_below(self.log, 0, start_offset)

    def open(self) -> Source:
        return self.join(Membership(f"group-{uuid.uuid4().hex[:8]}"), [0])

    def join(self, membership: Membership, wanted: Sequence[int] | None = None) -> Source:
        source = self.make(self.log, membership)
        self.opened.append(source)
        if wanted is not None:
            assigned(source, wanted)
        return source

    def other(self) -> "Topic":
        self.others.append(Topic(self.servers, self.make))
        return self.others[-1]

    def close(self) -> None:
        for topic in (self, *self.others):
            topic._producer.close(timeout=PATIENCE_S)
            for source in topic.opened:
                source.close()


def assigned(source: Source, wanted: Sequence[int]) -> None:
    """Returns when the group has given these partitions to the source."""
    deadline = time.monotonic() + JOINED_WITHIN_S
    while list(source.partitions()) != list(wanted):
        assert time.monotonic() < deadline, source.partitions()
        source.poll(0.05, 10)


def small(group: str, instance_id: str | None = None) -> Membership:
    return Membership(group, instance_id, session_timeout_ms=1_000, heartbeat_interval_ms=200)


def patient(group: str, instance_id: str | None = None) -> Membership:
    """Is not thrown out by others when this machine is slow."""
    return replace(small(group, instance_id), session_timeout_ms=20_000)


def drained(source: Source, polls: int = 20) -> list[LogRecord]:
    return [record for _ in range(polls) for record in source.poll(0.05, 100)]


def in_turn(
    first: Source, second: Source, is_done: Callable[[set[int], set[int]], bool]
) -> tuple[set[int], set[int]]:
    """Polls both until it is done, and a little on; the partitions that each gave records of."""
    given: tuple[set[int], set[int]] = (set(), set())
    deadline = time.monotonic() + JOINED_WITHIN_S
    polls_left = 10
    while polls_left:
        assert time.monotonic() < deadline, (given, first.gone(), second.gone())
        given[0].update(record.partition for record in first.poll(0.05, 100))
        given[1].update(record.partition for record in second.poll(0.05, 100))
        polls_left -= is_done(*given)
    return given


def poll_until(deadline: float, *sources: Source) -> None:
    """Polls all of them in turn: a rebalance ends only when every member has taken part."""
    while time.monotonic() < deadline:
        for source in sources:
            source.poll(0.02, 10)


class KafkaSourceContract(SourceContract):
    """Subclasses give `make`."""

    @abstractmethod
    def make(self, log: KafkaLog, membership: Membership) -> Source:
        """The source of one client."""

    @pytest.fixture
    def log(self, topic: Topic) -> Log:
        return topic

    @pytest.fixture
    def topic(self, broker: LocalKafka) -> Iterator[Topic]:
        made = self.new_topic(broker.bootstrap)
        yield made
        made.close()
        collect_sockets()

    def new_topic(self, servers: str, partitions: int = 1) -> Topic:
        return Topic(servers, self.make, partitions)

    def test_a_missing_topic_is_named(self, topic: Topic) -> None:
        with pytest.raises(LogMissingError, match=r"no topic nowhere; run `bookended migrate`"):
            topic.make(topic.log._replace(topic="nowhere"), small("nowhere"))

    def test_two_processors_share_the_partitions(self, broker: LocalKafka) -> None:
        """Who keeps a partition reads on undisturbed; who loses it is told, once."""
        topic = self.new_topic(broker.bootstrap, partitions=4)
        first = topic.join(patient("shared"), range(4))
        for partition in first.partitions():
            first.seek(partition, 0)
        second = topic.join(patient("shared"))
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
        of_first, of_second = in_turn(first, second, lambda given, _: len(given) == 2)
        assert of_first == set(first.partitions())
        assert of_second == set()  # nothing of what it has not sought
        for partition in second.partitions():
            second.seek(partition, 0)
        assert in_turn(first, second, lambda _, given: len(given) == 2) == (set(), gone)
        topic.close()

    def test_a_restart_in_place_has_its_partitions_at_once(self, topic: Topic) -> None:
        """Static membership: no waiting for the session's time-out, no rebalance for the others."""
        # `assigned` gives up before this session time-out would have let go of the member.
        assert JOINED_WITHIN_S < 60
        membership = Membership(
            "static", "one", session_timeout_ms=60_000, heartbeat_interval_ms=500
        )
        topic.join(membership, [0]).close()
        topic.join(membership, [0])

    def test_a_committed_offset_is_never_read_back(self, topic: Topic) -> None:
        first = append_all(topic, [b"%d" % i for i in range(5)])
        source = topic.join(small("hinted"), [0])
        source.seek(0, first)
        source.checkpointed({0: first + 4})
        source.close()
        again = topic.join(small("hinted"), [0])
        assert drained(again, 5) == []
        again.seek(0, first)
        assert [r.value for r in read(again)] == [b"0", b"1", b"2", b"3", b"4"]

    def test_a_broker_that_stands_still_keeps_nobody(
        self, topic: Topic, broker: LocalKafka
    ) -> None:
        """Not even who waits for the answer to a commit: it ends, and its group misses it later."""
        topic.append(b"one", 1)
        source = topic.open()
        source.seek(0, 0)
        assert [r.value for r in read(source)] == [b"one"]
        process = broker.process()
        assert process is not None
        process.suspend()
        try:
            source.checkpointed({0: 1})
            closing = threading.Thread(target=source.close, daemon=True)
            closing.start()
            closing.join(CLOSED_WITHIN_S)
            assert not closing.is_alive()
        finally:
            process.resume()
        topic.opened.remove(source)

    def test_what_a_transaction_wrote_comes_when_it_is_committed(self, topic: Topic) -> None:
        """An aborted one's never; and the log's end is reached though it ends with a mark."""
        topic.append(b"before", 1)
        with transactional(topic.log) as client:
            client.begin_transaction()
            in_transaction(client, topic.log, b"aborted", b"aborted too")
            client.abort_transaction()
            client.begin_transaction()
            in_transaction(client, topic.log, b"one", b"two")
            source = topic.open()
            source.seek(0, 0)
            assert [r.value for r in drained(source)] == [b"before"]
            open_end = source.end_offset(0)
            assert dict(source.next_offsets())[0] < open_end  # its records have arrived
            client.commit_transaction()
            assert [r.value for r in drained(source)] == [b"one", b"two"]
            assert dict(source.next_offsets()) == {0: open_end + 1}
            assert source.end_offset(0) == open_end + 1
            client.begin_transaction()
            in_transaction(client, topic.log, b"aborted at the end")
            client.abort_transaction()
        assert drained(source) == []
        assert dict(source.next_offsets()) == {0: source.end_offset(0)}
        topic.append(b"after", 1)
        assert [r.value for r in read(source)] == [b"after"]

    def test_a_doubted_partition_comes_back_when_the_group_confirms(self, topic: Topic) -> None:
        topic.append(b"one", 1)
        source = topic.join(small("doubted"), [0])
        source.seek(0, 0)
        source.doubt(0)
        assert drained(source, 3) == []
        assigned(source, [0])
        source.seek(0, 0)
        assert [r.value for r in read(source)] == [b"one"]

    def test_a_member_that_was_replaced_is_told(self, broker: LocalKafka) -> None:
        """Another processor under the same instance id takes its partitions at once, without a
        rebalance. The first one learns it by itself: there may be no record, and so no checkpoint
        that fails, for long."""
        topic = self.new_topic(broker.bootstrap, partitions=2)
        leader = topic.join(small("replaced", "other"), [0, 1])
        first = topic.join(small("replaced", "same"))
        in_turn(leader, first, lambda *_: len(leader.partitions()) == len(first.partitions()))
        mine = list(first.partitions())
        second = topic.join(small("replaced", "same"))
        deadline = time.monotonic() + JOINED_WITHIN_S
        with pytest.raises(InstanceTakenError, match="has joined as instance same"):
            poll_until(deadline, second, leader, first)
        in_turn(leader, second, lambda *_: list(second.partitions()) == mine)
        second.seek(mine[0], 0)
        topic.append(b"one", 1, partition=mine[0])
        assert in_turn(leader, second, lambda _, given: given == set(mine)) == (set(), set(mine))
        topic.close()

    def test_a_replaced_member_that_asks_whether_it_is_one_is_told(self, topic: Topic) -> None:
        topic.append(b"one", 1)
        first = topic.join(small("replaced", "same"), [0])
        first.seek(0, 0)
        assigned(topic.join(small("replaced", "same")), [0])
        first.doubt(0)  # its next checkpoint finds another owner
        with pytest.raises(InstanceTakenError):
            drained(first, 200)

    def test_partitions_added_later_come_by_themselves(self, topic: Topic) -> None:
        source = topic.join(replace(small("grown"), metadata_age_ms_max=500), [0])
        source.seek(0, 0)
        with admin(topic.servers) as client:
            client.create_partitions({topic.log.topic: 3})
        assigned(source, [0, 1, 2])

    def test_records_go_on_through_a_restart_of_the_broker(
        self, topic: Topic, broker: LocalKafka
    ) -> None:
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
