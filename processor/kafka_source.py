"""The source over a topic in Kafka on kafka-python.

On the record's way: see `group_source`. kafka-python tells of a rebalance on its own thread: that
only raises the partition's generation. Imports `models` and its neighbours only.
"""

import contextlib
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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

from models.kafka_clients import kafka_python_settings, let_go
from models.kafka_log import MESSAGE_BYTES_MAX, KafkaLog
from models.records import LogRecord
from processor.group import InstanceTakenError, Membership
from processor.group_source import (
    FETCH_BYTES_MAX,
    FETCH_BYTES_MIN,
    FETCH_WAIT_MS,
    GroupSource,
    Which,
)
from processor.source import LogAwayError, LogMissingError

_ASKED_WITHIN_MS: Final = 5_000
_CONFIRMED_WITHIN_MS: Final = 2_000
_OFFSETS: Final[dict[Which, OffsetSpec]] = {
    "earliest": OffsetSpec.EARLIEST,
    "latest": OffsetSpec.LATEST,
}
_new: Final = tuple.__new__  # what a NamedTuple does, without its Python frame
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


class KafkaSource(GroupSource):
    """`Source` over a topic in Kafka, on kafka-python."""

    def __init__(self, log: KafkaLog, membership: Membership | None = None) -> None:
        """Errors: `LogAwayError`, `LogMissingError`."""
        super().__init__(log, membership or Membership())
        self._generations = _Generations()
        self._unsettled, self._silent = _Trouble(), _Trouble()
        with self._faults(), ExitStack() as opened:
            self._admin = KafkaAdminClient(**connection_of(log))
            opened.callback(let_go, self._admin.close)
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
            let_go(consumer.close, autocommit=False, timeout_ms=0)
            raise
        return consumer

    def _assigned(self) -> set[int]:
        return {place.partition for place in self._consumer.assignment()}

    def _generation(self, partition: int) -> int:
        return self._generations.of(partition)

    def _ask(self, which: Which, partitions: Collection[int]) -> dict[int, int]:
        asked = {self._place(partition): _OFFSETS[which] for partition in partitions}
        with self._faults():
            found = self._admin.list_partition_offsets(asked, timeout_ms=_ASKED_WITHIN_MS)
        return {place.partition: at.offset for place, at in found.items()}

    def next_offsets(self) -> dict[int, int]:
        """A consumer's position is behind the marks and the aborted records of transactions, which
        it gives to nobody."""
        for partition in self._open:
            self._move(partition)
        return super().next_offsets()

    def _move(self, partition: int) -> None:
        try:
            with self._faults():
                position = self._consumer.position(self._place(partition), timeout_ms=0)
        except (NoOffsetForPartitionError, LogAwayError, *_NO_MEMBER_NOW):  # not known now
            return
        # A partition that came back has the position that another processor told the group: only
        # what was read under one assignment counts.
        if position is not None:
            self._passed(partition, position)

    def _seek(self, partition: int, next_offset: int) -> bool:
        place = self._place(partition)
        try:
            self._consumer.seek(place, next_offset)
            self._consumer.resume(place)
        except (ValueError, KeyError):
            return False
        return True

    def _fetch(self, timeout_s: float, records_max: int) -> Mapping[int, Sequence[LogRecord]]:
        self._rest()
        self._settle()
        try:
            with self._faults():
                found = self._consumer.poll(timeout_ms=timeout_s * 1000, max_records=records_max)
        except NoOffsetForPartitionError:  # a partition came during this very poll
            return {}
        except OffsetOutOfRangeError as error:
            # Retention went past what is wanted, or the log was cut: seen when it is claimed anew.
            self._lost(place.partition for place in error.args[0])
            return {}
        except _NO_MEMBER_NOW:  # the next poll joins
            return {}
        finally:
            self._settle()
        return {
            place.partition: [
                _new(
                    LogRecord,
                    (place.partition, r.offset, r.timestamp, r.key or b"", r.value or b""),
                )
                for r in records
            ]
            for place, records in found.items()
        }

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
        self._lost(self._open)
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

    def _is_confirmed(self, hints: Mapping[int, int]) -> bool:
        try:
            with self._faults():
                self._consumer.commit(self._offsets(hints), timeout_ms=_CONFIRMED_WITHIN_MS)
        except _NO_MEMBER_NOW:
            self._drive()
            return False
        return True

    def _commit(self, hints: Mapping[int, int]) -> None:
        with contextlib.suppress(KafkaError):
            self._consumer.commit_async(self._offsets(hints))

    def _offsets(self, hints: Mapping[int, int]) -> dict[TopicPartition, OffsetAndMetadata]:
        return {self._place(p): OffsetAndMetadata(offset, "", -1) for p, offset in hints.items()}

    def close(self) -> None:
        self._leave()
        let_go(self._admin.close)

    def _leave(self) -> None:
        let_go(self._consumer.close, autocommit=False, timeout_ms=_ASKED_WITHIN_MS)

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
        **kafka_python_settings(log, "bookended-processor"),
        "bootstrap_timeout_ms": _ASKED_WITHIN_MS,
        "request_timeout_ms": _ASKED_WITHIN_MS,
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
        fetch_min_bytes=FETCH_BYTES_MIN,
        fetch_max_wait_ms=FETCH_WAIT_MS,
        metadata_max_age_ms=membership.metadata_age_ms_max,
        # What an aborted transaction wrote never happened, and one that is open may still be
        # aborted: its records come when it is committed.
        isolation_level="read_committed",
        metrics_enabled=False,
    )
