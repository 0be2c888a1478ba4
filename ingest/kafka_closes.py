"""Closes of sessions as the collector reads them from Kafka: a compacted topic, from its start.

Beside the record's way: `processor.kafka_closes` writes the topic, `ClosesFollower` asks here. In
no consumer group: every collector reads all of it. The client is one of two (`KafkaPythonTopic`,
`LibrdkafkaTopic`). Imports `models` and its neighbours only.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from ingest.closes import CLOSES_MAX, Close, ClosesAway
from ingest.kafka_client import BrokersAwayError
from models.kafka_log import KafkaLog

_READ_WITHIN_S: Final = 5.0
_POLL_S: Final = 0.2


class Range(NamedTuple):
    """Where a partition begins and ends."""

    start_offset: int
    end_offset: int


class TopicReader(Protocol):
    """Reads one topic. Each method: `BrokersAwayError`."""

    def ranges(self) -> Mapping[int, Range]:
        """Of each partition; none without the topic."""
        ...

    def seek(self, offsets: Mapping[int, int]) -> None:
        """Where to begin, in each partition."""
        ...

    def position(self, partition: int) -> int:
        """The offset below which all was given."""
        ...

    def poll(self, timeout_s: float, records_max: int) -> Sequence[tuple[bytes, bytes | None]]:
        """The next keys and values. May come back empty before the end is reached."""
        ...

    def close(self) -> None:
        """Lets go of the connections, in bounded time."""
        ...


class KafkaCloses:
    """`ClosesSource` over the log's topic of closes, which `connect` makes a reader of."""

    def __init__(self, log: KafkaLog, connect: Callable[[], TopicReader]) -> None:
        """`connect` raises `BrokersAwayError`."""
        self._kafka = log
        self._connect = connect
        self._reader: TopicReader | None = None

    def read(self, closes_max: int) -> Sequence[Close]:
        try:
            if self._reader is None:
                self._reader = self._open()
            return self._read(self._reader, closes_max)
        except BrokersAwayError as error:
            self.close()
            raise ClosesAway(str(self._kafka), error.reason) from error
        except BaseException:
            self.close()
            raise

    def _open(self) -> TopicReader:
        reader = self._connect()
        try:
            ranges = reader.ranges()
            if not ranges:
                topic = self._kafka.closes_topic
                raise ClosesAway(
                    str(self._kafka), f"there is no topic {topic}; run `bookended migrate`"
                )
            # Older ones would only be pushed out again.
            reader.seek(
                {p: max(r.start_offset, r.end_offset - CLOSES_MAX) for p, r in ranges.items()}
            )
        except BaseException:
            reader.close()
            raise
        return reader

    def _read(self, reader: TopicReader, closes_max: int) -> Sequence[Close]:
        """None only when the end was reached: a poll may come back empty before that."""
        ends = {partition: it.end_offset for partition, it in reader.ranges().items()}
        deadline = time.monotonic() + _READ_WITHIN_S
        while any(reader.position(partition) < end for partition, end in ends.items()):
            found = [close_of(key, value) for key, value in reader.poll(_POLL_S, closes_max)]
            if found:
                return found
            if time.monotonic() > deadline:
                raise ClosesAway(str(self._kafka), "the brokers do not answer in time")
        return []

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def close_of(key: bytes, value: bytes | None) -> Close:
    """No value takes a close back; what is no number was written by another program."""
    closed_at = int(value) if value is not None and value.isdigit() else None
    return Close(key.decode("ascii", "replace"), closed_at)
