"""The reading side of a log in Kafka, on kafka-python: a consumer group for assignment only.

On the record's way: what the collectors' producers wrote -> `processor.step`. Which partitions are
ours is the group's say; where to read on from is the projection's, never Kafka's. kafka-python
tells of a rebalance on its own thread: that only raises the partition's generation, and a partition
whose generation is not the one it was sought in gives no records. Imports `models` and `source`.
"""

import contextlib
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Final

from kafka import (
    ConsumerRebalanceListener,
    KafkaAdminClient,
    KafkaConsumer,
    OffsetAndMetadata,
    TopicPartition,
)
from kafka.admin import OffsetSpec
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    CommitFailedError,
    FencedInstanceIdError,
    IllegalGenerationError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from models.kafka_log import MESSAGE_BYTES_MAX, KafkaLog
from models.records import LogRecord
from processor.group import InstanceTakenError, Membership
from processor.source import LogAwayError, LogMissingError

FETCH_BYTES_MAX: Final = 8 * 1024 * 1024
_ASKED_WITHIN_MS: Final = 5_000
_CONFIRMED_WITHIN_MS: Final = 2_000
_HINT_INTERVAL_S: Final = 5.0
_OUT_OF_RANGE: Final = -1
"""A generation that no partition has: it is to be claimed and sought anew."""

_NO_MEMBER_NOW: Final = (
    CommitFailedError,
    IllegalGenerationError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)


class _Generations(ConsumerRebalanceListener):  # type: ignore[misc]
    """How often each partition came or went. Written by kafka-python's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: dict[int, int] = {}

    def of(self, partition: int) -> int:
        return self._changes.get(partition, 0)

    def _raise(self, places: Collection[TopicPartition]) -> None:
        with self._lock:
            for place in places:
                self._changes[place.partition] = self._changes.get(place.partition, 0) + 1

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._raise(assigned)

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self._raise(revoked)

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        self._raise(lost)


class _Open:
    """A partition that was sought: since which generation, and the offset wanted next."""

    __slots__ = ("generation", "next_offset")

    def __init__(self, generation: int, next_offset: int) -> None:
        self.generation = generation
        self.next_offset = next_offset


class _Trouble:
    """How long something has been wrong."""

    def __init__(self) -> None:
        self._since: float | None = None

    def reset(self) -> None:
        self._since = None

    def lasts_s(self) -> float:
        """It is wrong now; the time since it was first found so."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        return now - self._since


class KafkaSource:
    """`Source` over a topic in Kafka."""

    def __init__(self, log: KafkaLog, membership: Membership | None = None) -> None:
        """Errors: `LogAwayError`, `LogMissingError`."""
        self._kafka = log
        self._name = str(log)
        self._generations = _Generations()
        self._open: dict[int, _Open] = {}
        self._doubted: set[int] = set()
        self._hints: dict[int, int] = {}
        self._hint_at = 0.0
        self._membership = membership or Membership()
        self._unsettled, self._silent = _Trouble(), _Trouble()
        with self._faults(), ExitStack() as opened:
            self._admin = opened.enter_context(closing(KafkaAdminClient(**connection_of(log))))
            self._log_id = log_id_of(log, self._admin)
            self._consumer = self._join()
            opened.pop_all()

    def _join(self) -> KafkaConsumer:
        consumer = _consumer(self._kafka, self._membership)
        try:
            # The topic is looked up first: who joins without knowing its partitions assigns none.
            consumer.beginning_offsets([self._place(0)], timeout_ms=_ASKED_WITHIN_MS)
            consumer.subscribe([self._kafka.topic], listener=self._generations)
        except BaseException:
            consumer.close(autocommit=False, timeout_ms=0)
            raise
        return consumer

    def name(self) -> str:
        return self._name

    def topic(self) -> str:
        return self._kafka.topic

    def log_id(self) -> str:
        return self._log_id

    def partitions(self) -> Sequence[int]:
        """Those that the group assigned. One that was doubted is left out until the group's
        coordinator has confirmed this member since."""
        if not self._open:
            self._drive()
        assigned = {place.partition for place in self._consumer.assignment()}
        if self._doubted and self._is_confirmed():
            self._doubted.clear()
        return sorted(assigned - self._doubted)

    def gone(self) -> Sequence[int]:
        """The partitions sought that came or went since. Each is told once, and must be claimed
        and sought anew if `partitions` still has it."""
        generations = self._generations
        gone = [p for p, it in self._open.items() if generations.of(p) != it.generation]
        for partition in gone:
            del self._open[partition]
        return gone

    def doubt(self, partition: int) -> None:
        """Another processor has claimed the partition: this one may have been left out."""
        self._open.pop(partition, None)
        self._doubted.add(partition)

    def start_offset(self, partition: int) -> int:
        return self._ask(OffsetSpec.EARLIEST, [partition])[partition]

    def end_offset(self, partition: int) -> int:
        return self.end_offsets([partition])[partition]

    def end_offsets(self, partitions: Collection[int]) -> dict[int, int]:
        """With what open transactions have written: it has arrived, though it may still be aborted.
        (The consumer itself would name the end of what is committed.)"""
        return self._ask(OffsetSpec.LATEST, partitions)

    def _ask(self, which: OffsetSpec, partitions: Collection[int]) -> dict[int, int]:
        asked = {self._place(partition): which for partition in partitions}
        with self._faults():
            found = self._admin.list_partition_offsets(asked, timeout_ms=_ASKED_WITHIN_MS)
        return {place.partition: at.offset for place, at in found.items()}

    def next_offsets(self) -> dict[int, int]:
        """A consumer's position is behind the marks and the aborted records of transactions, which
        it gives to nobody."""
        for partition in self._open:
            self._move(partition)
        return {partition: it.next_offset for partition, it in self._open.items()}

    def _move(self, partition: int) -> None:
        try:
            with self._faults():
                position = self._consumer.position(self._place(partition), timeout_ms=0)
        except (NoOffsetForPartitionError, LogAwayError, *_NO_MEMBER_NOW):  # not known now
            return
        opened = self._open[partition]
        # A partition that came back has the position that another processor told the group: only
        # what was read under one assignment counts.
        if position is not None and opened.generation == self._generations.of(partition):
            opened.next_offset = max(opened.next_offset, position)

    def seek(self, partition: int, next_offset: int) -> None:
        # The generation is taken first: if the partition goes meanwhile, it is not open.
        generation = self._generations.of(partition)
        place = self._place(partition)
        try:
            self._consumer.seek(place, next_offset)
            self._consumer.resume(place)
        except (ValueError, KeyError):  # taken away meanwhile: `gone` will tell
            generation = _OUT_OF_RANGE
        self._open[partition] = _Open(generation, next_offset)
        self._hints[partition] = next_offset

    def poll(self, timeout_s: float, records_max: int) -> list[LogRecord]:
        found: list[LogRecord] = []
        for place, records in self._poll(timeout_s, records_max).items():
            partition = place.partition
            opened = self._open.get(partition)
            if opened is None or opened.generation != self._generations.of(partition):
                continue
            found += [
                LogRecord(partition, r.offset, r.timestamp, r.key or b"", r.value or b"")
                for r in records
                if r.offset >= opened.next_offset
            ]
            opened.next_offset = max(opened.next_offset, records[-1].offset + 1)
        return found

    def _poll(self, timeout_s: float, records_max: int) -> dict[TopicPartition, list[Any]]:
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            records = self._poll_once(left_s, records_max)
            if records or left_s <= 0:
                return records
            if self.partitions() != sorted(self._open):
                return {}  # something is to be claimed: that must not wait

    def _poll_once(self, timeout_s: float, records_max: int) -> dict[TopicPartition, list[Any]]:
        self._rest()
        self._settle()
        try:
            with self._faults():
                found: dict[TopicPartition, list[Any]] = self._consumer.poll(
                    timeout_ms=timeout_s * 1000, max_records=records_max
                )
                return found
        except NoOffsetForPartitionError:  # a partition came during this very poll
            return {}
        except OffsetOutOfRangeError as error:
            # Retention went past what is wanted, or the log was cut: seen when it is claimed anew.
            for place in error.args[0]:
                if place.partition in self._open:
                    self._open[place.partition].generation = _OUT_OF_RANGE
            return {}
        except _NO_MEMBER_NOW:  # the next poll joins
            return {}
        finally:
            self._settle()

    def idle(self) -> None:
        for partition in list(self._open):
            self.doubt(partition)
        self._drive()

    def _drive(self) -> None:
        """Lets the group do its work, without reading."""
        self._poll_once(0.0, 1)

    def _settle(self) -> None:
        """Sees to it that a rebalance which was begun comes to its end.

        kafka-python forgets one that the topic's new partitions brought about, if it was not done
        within one poll: asking for it as well keeps it in mind. There is no public way to ask. A
        member that does not settle for much longer than any rebalance takes joins anew.
        """
        coordinator = self._consumer._coordinator  # noqa: SLF001
        if coordinator.need_rejoin():
            coordinator.request_rejoin()
        if coordinator.stable():
            self._unsettled.reset()
            self._must_be_alive(coordinator)
        elif self._unsettled.lasts_s() > 3 * self._membership.session_timeout_ms / 1000:
            self._join_anew()

    def _must_be_alive(self, coordinator: Any) -> None:
        """A member that another one has replaced is told so by a heartbeat's answer. kafka-python
        then sends no more of them, and tells nobody. Errors: `InstanceTakenError`."""
        instance_id = self._membership.instance_id
        if instance_id is None or coordinator._heartbeat_enabled:  # noqa: SLF001
            self._silent.reset()
        # At the end of a rebalance too there are none, but only for a moment.
        elif self._silent.lasts_s() > self._membership.heartbeat_interval_ms / 1000:
            raise InstanceTakenError(self._name, instance_id)

    def _join_anew(self) -> None:
        """Errors: `LogAwayError`; the next poll tries again."""
        for opened in self._open.values():
            opened.generation = _OUT_OF_RANGE
        self._leave()
        with self._faults():
            self._consumer = self._join()
        self._unsettled.reset()

    def _rest(self) -> None:
        """A partition that is assigned, but not sought, gives nothing until it is."""
        for place in self._consumer.assignment():
            if place.partition not in self._open:
                with contextlib.suppress(ValueError, KeyError):  # gone meanwhile
                    self._consumer.pause(place)

    def _is_confirmed(self) -> bool:
        """Asks the coordinator, by a commit: that is refused to one who is no member any more."""
        hints = self._hints_of(self._doubted)
        if not hints:
            return True
        try:
            with self._faults():
                self._consumer.commit(hints, timeout_ms=_CONFIRMED_WITHIN_MS)
        except _NO_MEMBER_NOW:
            self._drive()
            return False
        return True

    def checkpointed(self, next_offsets: Mapping[int, int]) -> None:
        """Commits how far SQL is, now and then: for tools that show a group's lag, and for nothing
        else. Whether it succeeds does not matter."""
        self._hints.update(next_offsets)
        now = time.monotonic()
        if now < self._hint_at:
            return
        self._hint_at = now + _HINT_INTERVAL_S
        with contextlib.suppress(KafkaError):
            self._consumer.commit_async(self._hints_of(self._open))

    def _hints_of(self, partitions: Collection[int]) -> dict[TopicPartition, OffsetAndMetadata]:
        assigned = self._consumer.assignment()
        return {
            place: OffsetAndMetadata(self._hints[place.partition], "", -1)
            for place in map(self._place, partitions)
            if place in assigned and place.partition in self._hints
        }

    def close(self) -> None:
        self._leave()
        with contextlib.suppress(KafkaError):
            self._admin.close()

    def _leave(self) -> None:
        with contextlib.suppress(KafkaError):
            self._consumer.close(autocommit=False, timeout_ms=_ASKED_WITHIN_MS)

    def _place(self, partition: int) -> TopicPartition:
        return TopicPartition(self._kafka.topic, partition)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (NoOffsetForPartitionError, OffsetOutOfRangeError, *_NO_MEMBER_NOW):
            raise
        except FencedInstanceIdError as error:
            instance_id = self._membership.instance_id or ""
            raise InstanceTakenError(self._name, instance_id) from error
        except KafkaError as error:
            text = " ".join(str(error).split())[:200]
            raise LogAwayError(self._name, text or type(error).__name__) from error


def log_id_of(log: KafkaLog, admin: KafkaAdminClient) -> str:
    """Cluster and topic: another topic of the same name is another log.

    Errors: `LogMissingError`, `KafkaError`.
    """
    cluster_id = admin.describe_cluster()["cluster_id"]
    (topic,) = admin.describe_topics([log.topic])
    if topic["error_code"] or not topic["partitions"]:
        raise LogMissingError(str(log), f"there is no topic {log.topic}")
    return f"{cluster_id}/{topic['topic_id']}"


def connection_of(log: KafkaLog) -> dict[str, Any]:
    """What every client of kafka-python on the reading side has in common."""
    return {
        "bootstrap_servers": list(log.servers),
        "client_id": "bookended-processor",
        "bootstrap_timeout_ms": _ASKED_WITHIN_MS,
        "request_timeout_ms": _ASKED_WITHIN_MS,
        "reconnect_backoff_max_ms": 1_000,
    }


def _consumer(log: KafkaLog, membership: Membership) -> KafkaConsumer:
    return KafkaConsumer(
        **connection_of(log),
        group_id=membership.group,
        group_instance_id=membership.instance_id,
        session_timeout_ms=membership.session_timeout_ms,
        heartbeat_interval_ms=membership.heartbeat_interval_ms,
        partition_assignment_strategy=[CooperativeStickyAssignor],
        auto_offset_reset="none",
        enable_auto_commit=False,
        max_poll_interval_ms=membership.poll_interval_ms_max,
        allow_auto_create_topics=False,
        fetch_max_bytes=FETCH_BYTES_MAX,
        max_partition_fetch_bytes=MESSAGE_BYTES_MAX,
        fetch_max_wait_ms=100,
        metadata_max_age_ms=membership.metadata_age_ms_max,
        # What an aborted transaction wrote never happened, and one that is open may still be
        # aborted: its records come when it is committed.
        isolation_level="read_committed",
        metrics_enabled=False,
    )
