"""The source over a topic in Kafka on librdkafka.

On the record's way: see `group_source`. librdkafka tells of a rebalance, and of a commit, inside
the call that fetches, on the thread that fetches. Its own threads read ahead, within a bound.
Imports `models` and its neighbours only; needs the extra `[librdkafka]`.
"""

import base64
import contextlib
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # OffsetSpec has no types
    AdminClient,
    OffsetSpec,
)

from models.kafka_clients import librdkafka_settings
from models.kafka_log import KafkaLog
from models.records import LogRecord
from processor.group import InstanceTakenError, Membership
from processor.group_source import (
    FETCH_BYTES_MIN,
    FETCH_WAIT_MS,
    GroupSource,
    Which,
)
from processor.source import LogAwayError, LogMissingError

_ASKED_WITHIN_S: Final = 5.0
_CLOSED_WITHIN_S: Final = 7.0
_CONFIRMED_WITHIN_S: Final = 2.0
_FORGIVEN_WITHIN_S: Final = 30.0
_LARGE_BYTES: Final = 256 * 1024
_CLIENT_ID: Final = "bookended-processor"
_OFFSETS: Final[dict[Which, OffsetSpec]] = {
    "earliest": OffsetSpec.earliest(),  # type: ignore[no-untyped-call]
    "latest": OffsetSpec.latest(),  # type: ignore[no-untyped-call]
}
_OUT_OF_RANGE: Final = frozenset(
    (
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 - librdkafka's own codes begin so
        KafkaError._LOG_TRUNCATION,  # noqa: SLF001
        KafkaError._NO_OFFSET,  # noqa: SLF001
    )
)
_AWAY: Final = frozenset(
    (
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
    )
)
_new: Final = tuple.__new__  # what a NamedTuple does, without its Python frame
_FATAL: Final = KafkaError._FATAL  # noqa: SLF001
_FENCED: Final = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()
"""A fatal fault has this only in its text."""

_FETCH_BYTES_MAX: Final = 512 * 1024
"""Of one answer. librdkafka asks ahead, and unpacks all that comes: with twice as much, of a
producer that sends thousands at a time, a processor is no quicker and 20 MB larger."""

_READ_AHEAD: Final = {
    # Messages, and bytes: the queue is the consumer's, whatever the number of partitions, and is
    # overshot by one answer at most, which may be several times as large when it is decompressed.
    "queued.min.messages": 5_000,  # a poll's: it is read ahead while that one is folded
    "queued.max.messages.kbytes": _FETCH_BYTES_MAX // 1024,
    "fetch.max.bytes": _FETCH_BYTES_MAX,
    "max.partition.fetch.bytes": _FETCH_BYTES_MAX,
    "message.max.bytes": _FETCH_BYTES_MAX,  # of a producer; must not be more than an answer's
    "fetch.min.bytes": FETCH_BYTES_MIN,
    "fetch.wait.max.ms": FETCH_WAIT_MS,
    "fetch.queue.backoff.ms": 10,
}


class LibrdkafkaSource(GroupSource):
    """`Source` over a topic in Kafka, on librdkafka."""

    def __init__(self, log: KafkaLog, membership: Membership | None = None) -> None:
        """Errors: `LogAwayError`, `LogMissingError`."""
        super().__init__(log, membership or Membership())
        self._mine: set[int] = set()
        self._generations: defaultdict[int, int] = defaultdict(int)
        self._ends: dict[int, int] = {}
        self._started: set[int] = set()
        self._stopped: set[int] = set()
        self._question = 0
        self._asked_at: float | None = None
        self._is_answered = False
        self._complaint: KafkaError | None = None
        self._away_at: float | None = None
        self._is_spent = False
        self._settings = {
            **librdkafka_settings(log, _CLIENT_ID),
            "error_cb": self._complained,
        }
        self._admin = AdminClient(self._settings)
        self._log_id = self._identify()
        self._consumer = self._join()

    def _identify(self) -> str:
        topic = self._kafka.topic
        with self._faults():
            cluster = self._admin.describe_cluster(request_timeout=_ASKED_WITHIN_S).result()
            wanted = TopicCollection([topic])
            asked = self._admin.describe_topics(wanted, request_timeout=_ASKED_WITHIN_S)
            try:
                told = str(asked[topic].result().topic_id)  # in base64, without its padding
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
                raise LogMissingError(self._name, f"there is no topic {topic}") from error
        topic_id = uuid.UUID(bytes=base64.urlsafe_b64decode(f"{told}=="))
        return f"{cluster.cluster_id}/{topic_id}"

    def _join(self) -> Consumer:
        consumer = Consumer({**self._settings, **_READ_AHEAD, **self._member()})
        consumer.subscribe(
            [self._kafka.topic],
            on_assign=self._came,
            on_revoke=self._went,
            on_lost=self._went,
        )
        return consumer

    def _member(self) -> dict[str, Any]:
        membership = self._membership
        static = membership.instance_id
        return {
            "group.id": membership.group,
            **({} if static is None else {"group.instance.id": static}),
            "session.timeout.ms": membership.session_timeout_ms,
            "heartbeat.interval.ms": membership.heartbeat_interval_ms,
            "max.poll.interval.ms": max(
                membership.poll_interval_ms_max, membership.session_timeout_ms
            ),
            "topic.metadata.refresh.interval.ms": membership.metadata_age_ms_max,
            "partition.assignment.strategy": "cooperative-sticky",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            # What an aborted transaction wrote never happened, and one that is open may still be
            # aborted: its records come when it is committed.
            "isolation.level": "read_committed",
            "check.crcs": True,
            "on_commit": self._committed,
        }

    # --- the group ------------------------------------------------------------------------------

    # librdkafka must be answered in these callbacks. Only what is sought is assigned to it, at the
    # offset that is wanted: a partition that waits anywhere else, paused, may jump from there later
    # (librdkafka looks up a logical offset by a timer of its own).

    def _came(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            self._mine.add(place.partition)
            self._generations[place.partition] += 1
        consumer.incremental_assign([])

    def _went(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            self._mine.discard(place.partition)
            self._generations[place.partition] += 1
        consumer.incremental_unassign([p for p in places if p.partition in self._started])
        self._started.difference_update(place.partition for place in places)
        self._stopped.difference_update(place.partition for place in places)

    def _assigned(self) -> set[int]:
        return set(self._mine)

    def _generation(self, partition: int) -> int:
        return self._generations[partition]

    def _join_anew(self) -> None:
        self._lost(self._open)
        self._leave()
        self._mine.clear()
        self._started.clear()
        self._stopped.clear()
        self._consumer = self._join()
        self._is_spent = False

    # --- reading --------------------------------------------------------------------------------

    def _seek(self, partition: int, next_offset: int) -> bool:
        self._ends.pop(partition, None)
        if partition in self._stopped:  # only a new assignment starts it again
            self._join_anew()
            return False
        place = self._place(partition, next_offset)
        try:
            if partition in self._started:
                self._consumer.seek(place)
            elif partition in self._mine:
                self._consumer.incremental_assign([place])
                self._started.add(partition)
        except KafkaException:
            return False
        return partition in self._mine

    def _fetch(self, timeout_s: float, records_max: int) -> Mapping[int, Sequence[LogRecord]]:
        if self._is_spent:
            self._join_anew()
        with self._faults():
            # A call waits until it has all that it was asked for: so first for one alone. What is
            # large stays alone: more of its kind may come while it is taken.
            messages = self._consumer.consume(1, timeout_s)
            if messages and records_max > 1 and len(messages[0]) < _LARGE_BYTES:
                messages += self._consumer.consume(records_max - 1, 0)
        found: defaultdict[int, list[LogRecord]] = defaultdict(list)
        for message in messages:
            if message.error() is not None:
                self._note(message)
                continue
            partition: Any = message.partition()
            received_at = message.timestamp()[1]
            key, value = message.key() or b"", message.value() or b""
            record = _new(LogRecord, (partition, message.offset(), received_at, key, value))
            found[partition].append(record)
        return found

    def _note(self, message: Message) -> None:
        """What librdkafka puts among the records."""
        error, partition = message.error(), message.partition()
        assert error is not None
        if partition is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            self._ends[partition] = message.offset() or 0
        elif partition is not None and error.code() in _OUT_OF_RANGE:
            # Retention went past what is wanted, or the log was cut: seen when it is claimed anew.
            self._stopped.add(partition)
            self._lost([partition])
        elif error.code() != KafkaError._MAX_POLL_EXCEEDED:  # noqa: SLF001 - `_went` tells
            # Records of this call are not handed on: all is to be sought anew.
            self._lost(self._open)
            # After a fatal one librdkafka does nothing more with this consumer.
            self._is_spent = error.code() == _FATAL
            raise self._fault(error)

    def next_offsets(self) -> dict[int, int]:
        """The end of a partition, when it is reached, is behind the marks and the aborted records
        of transactions, which librdkafka gives to nobody."""
        for partition, offset in self._ends.items():
            self._passed(partition, offset)
        return super().next_offsets()

    def _ask(self, which: Which, partitions: Collection[int]) -> dict[int, int]:
        asked = {self._place(partition): _OFFSETS[which] for partition in partitions}
        try:
            with self._faults():
                answers = self._admin.list_offsets(asked, request_timeout=_ASKED_WITHIN_S)
                found = {place.partition: it.result().offset for place, it in answers.items()}
            self._must_be_offsets(found)
        except LogAwayError:
            # The client keeps the epoch of a leader for five minutes, in which a broker that was
            # started again refuses all its questions.
            self._admin = AdminClient(self._settings)
            self._away_at = time.monotonic()
            raise
        return found

    def _must_be_offsets(self, found: Mapping[int, int]) -> None:
        """An answer that did not come in time may be an offset below 0, without an error."""
        for partition, offset in found.items():
            if offset < 0:
                reason = f"the brokers did not tell where partition {partition} begins or ends"
                raise LogAwayError(self._name, reason)

    # --- commits --------------------------------------------------------------------------------

    def doubt(self, partition: int) -> None:
        super().doubt(partition)
        self._asked_at = None

    def _is_confirmed(self, hints: Mapping[int, int]) -> bool:
        """The answer comes while fetching. An answer to what was asked before does not count."""
        now = time.monotonic()
        if self._asked_at is None or now - self._asked_at > _CONFIRMED_WITHIN_S:
            self._question += 1
            self._asked_at, self._is_answered = now, False
            self._commit(hints, str(self._question))
        return self._is_answered

    def _commit(self, hints: Mapping[int, int], question: str = "") -> None:
        places = [TopicPartition(self._kafka.topic, p, o, question) for p, o in hints.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=True)
        except KafkaException:
            self._asked_at = None

    def _committed(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        if error is not None or any(place.error for place in places):
            self._asked_at = None
        elif any(place.metadata == str(self._question) for place in places):
            self._is_answered = True

    # --- faults ---------------------------------------------------------------------------------

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            raise self._fault(error.args[0]) from error

    def _complained(self, error: KafkaError) -> None:
        """Called while fetching, and while the admin client is asked."""
        self._complaint = error

    def _fault(self, error: KafkaError) -> Exception:
        """What was complained of last says more than that time is up."""
        self._admin.poll(0)
        now = time.monotonic()
        if _FENCED in error.str():
            return self._fenced(now)
        self._away_at = now
        if self._complaint is not None and error.code() in _AWAY:
            error, self._complaint = self._complaint, None
        return LogAwayError(self._name, " ".join(error.str().split())[:200])

    def _fenced(self, now: float) -> Exception:
        """The group has another member under this one's instance id: another processor, or this one
        itself. For when the brokers are away for longer than a session, librdkafka joins by a new
        member id, and what it sends once more under the old one is refused, for good. So who was
        told so after they were away joins anew, once; if there is another processor, that one ends.
        """
        if self._away_at is None or now - self._away_at > _FORGIVEN_WITHIN_S:
            return InstanceTakenError(self._name, self._membership.instance_id or "")
        self._away_at, self._is_spent = None, True
        return LogAwayError(self._name, "the group lost this processor; it joins anew")

    def close(self) -> None:
        self._leave()

    def _leave(self) -> None:
        """librdkafka waits for answers of the brokers, however long: beyond a bound nobody waits
        for it, and the group misses this member when its session is over."""
        leaving = threading.Thread(target=_close, args=(self._consumer,), daemon=True)
        leaving.start()
        leaving.join(_CLOSED_WITHIN_S)

    def _place(self, partition: int, offset: int = 0) -> TopicPartition:
        return TopicPartition(self._kafka.topic, partition, offset)


def _close(consumer: Consumer) -> None:
    with contextlib.suppress(KafkaException):
        consumer.close()
