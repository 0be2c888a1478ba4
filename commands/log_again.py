"""The log as a replay of dead letters uses it: bytes published again, and looked for.

Part of the composition root: embedded log and Kafka behind one interface. A record goes to the
partition that it was read from, so that no setting can part a session. Imports `ingest`,
`processor` and the settings.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Any, Final, Protocol

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from commands.embedded import now_ms
from commands.errors import Failure
from commands.kafka_clients import kafka_publisher
from commands.settings import Logged
from ingest.embedded_publisher import EmbeddedPublisher
from ingest.publisher import Publisher
from models.kafka_clients import kafka_python_settings, let_go, letting_go
from models.kafka_log import MESSAGE_BYTES_MAX, KafkaLog
from models.placement import PARTITIONS_MAX, PartitionCount, Placement
from processor.embedded_source import EmbeddedSource
from processor.kafka_source import log_id_of
from processor.source import LogAwayError

_ASKED_WITHIN_MS: Final = 10_000
_POLL_RECORDS_MAX: Final = 500
_POLL_TIMEOUT_S: Final = 1.0
_EMPTY_POLLS_MAX: Final = 30


KeyAndValue = tuple[bytes, bytes]


class LogAgain(Protocol):
    """One log. Every method but `publisher`: `LogAwayError`, and those of the source."""

    def name(self) -> str:
        """What it is called and where it is, for people."""
        ...

    def log_id(self) -> str:
        """Which log this is, as `progress` names it."""
        ...

    def start_offset(self, partition: int) -> int: ...

    def end_offset(self, partition: int) -> int: ...

    def records(self, partition: int, from_offset: int) -> Iterator[KeyAndValue]:
        """All from an offset up to where the partition ends now."""
        ...

    def publisher(self, partitions: int) -> "PublisherTo":
        """Appends to a partition that is chosen for each batch."""
        ...


class PartitionChosen(Placement):
    """Every record goes to the partition that was chosen last."""

    def __init__(self, partitions: int) -> None:
        super().__init__((PartitionCount(0, min(partitions, PARTITIONS_MAX)),))
        self.chosen = 0

    def of(self, session_id: str) -> int:
        del session_id
        return self.chosen


class PublisherTo:
    """A publisher, not yet started, and the choice of its partition."""

    def __init__(self, publisher: Publisher, chosen: PartitionChosen) -> None:
        self.publisher = publisher
        self.chosen = chosen

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator["PublisherTo"]:
        """Started inside the block; what is in flight is finished at its end. Errors: `Failure`."""
        publisher = self.publisher
        await publisher.start()
        try:
            if not publisher.is_ready():
                raise Failure(
                    f"the log takes no records: {publisher.reason_not_ready()}",
                    "Run `bookended check` for more.",
                )
            yield self
        finally:
            await publisher.stop()


@contextmanager
def log_again(settings: Logged) -> Iterator[LogAgain]:
    """The log of the settings, closed at the end of the block. Errors: those of the source."""
    if settings.kafka is not None:
        with closing(_KafkaAgain(settings.kafka)) as log:
            yield log
        return
    path = settings.log_path
    with closing(EmbeddedSource(path)) as source:
        yield _EmbeddedAgain(source, settings)


class _EmbeddedAgain:
    """The embedded log. It may be in use by a collector and a processor meanwhile."""

    def __init__(self, source: EmbeddedSource, settings: Logged) -> None:
        self._source = source
        self._path = settings.log_path
        self.name = source.name
        self.log_id = source.log_id
        self.start_offset = source.start_offset
        self.end_offset = source.end_offset

    def records(self, partition: int, from_offset: int) -> Iterator[KeyAndValue]:
        end_offset = self.end_offset(partition)
        self._source.seek(partition, from_offset)
        while records := self._source.poll(0, _POLL_RECORDS_MAX):
            yield from ((r.key, r.value) for r in records if r.offset < end_offset)
            if records[-1].offset + 1 >= end_offset:
                return

    def publisher(self, partitions: int) -> PublisherTo:
        return PublisherTo(EmbeddedPublisher(self._path, now_ms), PartitionChosen(partitions))


class _KafkaAgain:
    """A topic in Kafka, read by a consumer that is in no group."""

    def __init__(self, log: KafkaLog) -> None:
        self._kafka = log
        connection = {
            **kafka_python_settings(log, "bookended"),
            "bootstrap_timeout_ms": _ASKED_WITHIN_MS,
        }
        with self._faults():
            with letting_go(KafkaAdminClient(**connection)) as admin:
                self._log_id = log_id_of(log, admin)
            self._consumer = KafkaConsumer(
                **connection,
                enable_auto_commit=False,
                allow_auto_create_topics=False,
                max_partition_fetch_bytes=MESSAGE_BYTES_MAX,
                metrics_enabled=False,
            )

    def name(self) -> str:
        return str(self._kafka)

    def log_id(self) -> str:
        return self._log_id

    def start_offset(self, partition: int) -> int:
        return self._ask(self._consumer.beginning_offsets, partition)

    def end_offset(self, partition: int) -> int:
        return self._ask(self._consumer.end_offsets, partition)

    def _ask(self, ask: Any, partition: int) -> int:
        place = TopicPartition(self._kafka.topic, partition)
        with self._faults():
            return int(ask([place], timeout_ms=_ASKED_WITHIN_MS)[place])

    def records(self, partition: int, from_offset: int) -> Iterator[KeyAndValue]:
        place = TopicPartition(self._kafka.topic, partition)
        end_offset = self.end_offset(partition)
        empty_polls = 0
        with self._faults():
            self._consumer.assign([place])
            self._consumer.seek(place, from_offset)
            while self._consumer.position(place) < end_offset:
                found = self._consumer.poll(_POLL_TIMEOUT_S * 1000, _POLL_RECORDS_MAX)
                for record in found.get(place, ()):
                    if record.offset < end_offset:
                        yield record.key or b"", record.value or b""
                empty_polls = 0 if found else empty_polls + 1
                if empty_polls > _EMPTY_POLLS_MAX:
                    raise LogAwayError(str(self._kafka), "the brokers send no records")

    def publisher(self, partitions: int) -> PublisherTo:
        chosen = PartitionChosen(partitions)
        return PublisherTo(kafka_publisher(self._kafka, chosen), chosen)

    def close(self) -> None:
        let_go(self._consumer.close)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except KafkaError as error:
            text = " ".join(str(error).split())[:200]
            raise LogAwayError(str(self._kafka), text or type(error).__name__) from error
