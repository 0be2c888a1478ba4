"""A topic in Kafka read without a group: for the archive and for rebuilds, which read all of it.

Beside the record's way, in the place of `kafka_source`: the same `Source`, but its partitions are
the topic's, whoever else reads them. On kafka-python, whichever client the processors use. Imports
`models`, `source` and the connection of `kafka_source`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError, OffsetOutOfRangeError

from models.kafka_clients import let_go
from models.kafka_log import MESSAGE_BYTES_MAX, KafkaLog
from models.records import LogRecord
from processor.kafka_source import connection_of, log_id_of
from processor.source import LogAwayError, LogGapError

_ASKED_WITHIN_MS: Final = 5_000
_FETCH_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of one answer. kafka-python asks for the next when it has given what it has, and unpacks a batch
at a time: a large answer is fewer pauses, and no more memory than its bytes."""


class KafkaReader:
    """`Source` over all partitions of a topic."""

    def __init__(self, log: KafkaLog) -> None:
        """Errors: `LogAwayError`, `LogMissingError`."""
        self._kafka = log
        self._next_offsets: dict[int, int] = {}
        with self._faults(), ExitStack() as opened:
            self._admin = KafkaAdminClient(**connection_of(log))
            opened.callback(let_go, self._admin.close)
            self._log_id = log_id_of(log, self._admin)
            self._consumer = _consumer(log)
            opened.callback(let_go, self._consumer.close)
            self._partitions = sorted(self._consumer.partitions_for_topic(log.topic) or ())
            opened.pop_all()

    def name(self) -> str:
        return str(self._kafka)

    def topic(self) -> str:
        return self._kafka.topic

    def log_id(self) -> str:
        return self._log_id

    def partitions(self) -> Sequence[int]:
        return self._partitions

    def gone(self) -> Sequence[int]:
        return ()

    def doubt(self, partition: int) -> None:
        """Nobody takes a partition from this reader."""

    def start_offset(self, partition: int) -> int:
        return self.start_offsets([partition])[partition]

    def start_offsets(self, partitions: Collection[int]) -> Mapping[int, int]:
        return self._ask(OffsetSpec.EARLIEST, partitions)

    def end_offset(self, partition: int) -> int:
        return self.end_offsets([partition])[partition]

    def end_offsets(self, partitions: Collection[int]) -> Mapping[int, int]:
        return self._ask(OffsetSpec.LATEST, partitions)

    def _ask(self, which: OffsetSpec, partitions: Collection[int]) -> dict[int, int]:
        asked = {self._place(partition): which for partition in partitions}
        with self._faults():
            found = self._admin.list_partition_offsets(asked, timeout_ms=_ASKED_WITHIN_MS)
        return {place.partition: at.offset for place, at in found.items()}

    def seek(self, partition: int, next_offset: int) -> None:
        self._next_offsets[partition] = next_offset
        self._consumer.assign([self._place(number) for number in self._next_offsets])
        for number, offset in self._next_offsets.items():
            self._consumer.seek(self._place(number), offset)

    def next_offsets(self) -> Mapping[int, int]:
        with self._faults():
            for partition, known in self._next_offsets.items():
                position = self._consumer.position(self._place(partition), timeout_ms=0)
                self._next_offsets[partition] = max(known, position or 0)
        return dict(self._next_offsets)

    def poll(self, timeout_s: float, records_max: int) -> list[LogRecord]:
        """Errors besides those of a source: `LogGapError`, when retention overtakes the reader."""
        if not self._next_offsets:
            return []
        try:
            with self._faults():
                polled = self._consumer.poll(timeout_ms=timeout_s * 1000, max_records=records_max)
        except OffsetOutOfRangeError as error:
            place, next_offset = next(iter(error.args[0].items()))
            start = self.start_offset(place.partition)
            raise LogGapError(self.name(), place.partition, next_offset, start) from error
        found = []
        for place, records in polled.items():
            found += [
                LogRecord(place.partition, r.offset, r.timestamp, r.key or b"", r.value or b"")
                for r in records
            ]
            self._next_offsets[place.partition] = records[-1].offset + 1
        return found

    def idle(self) -> None:
        """A reader without a group has nobody to tell."""

    def checkpointed(self, next_offsets: Mapping[int, int]) -> None:
        """A reader without a group tells Kafka no offsets."""

    def close(self) -> None:
        let_go(self._consumer.close, autocommit=False, timeout_ms=_ASKED_WITHIN_MS)
        let_go(self._admin.close)

    def _place(self, partition: int) -> TopicPartition:
        return TopicPartition(self._kafka.topic, partition)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except OffsetOutOfRangeError:
            raise
        except KafkaError as error:
            text = " ".join(str(error).split())[:200]
            raise LogAwayError(self.name(), text or type(error).__name__) from error


def _consumer(log: KafkaLog) -> KafkaConsumer:
    return KafkaConsumer(
        **connection_of(log),
        auto_offset_reset="none",
        enable_auto_commit=False,
        allow_auto_create_topics=False,
        fetch_max_bytes=_FETCH_BYTES_MAX,
        max_partition_fetch_bytes=MESSAGE_BYTES_MAX,
        fetch_max_wait_ms=100,
        isolation_level="read_committed",  # as the processors do
        metrics_enabled=False,
    )
