"""A topic read by kafka-python, from given offsets on, in no consumer group.

Beside the record's way: under `kafka_closes`. Imports `models` and its neighbours only.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from ingest.kafka_client import BrokersAwayError
from ingest.kafka_closes import Range
from models.kafka_clients import kafka_python_settings, let_go
from models.kafka_log import KafkaLog

_ASKED_WITHIN_MS: Final = 5_000


class KafkaPythonTopic:
    """`TopicReader` by kafka-python."""

    def __init__(self, log: KafkaLog, topic: str) -> None:
        """Errors: `BrokersAwayError`."""
        self._topic = topic
        with _faults():
            self._consumer = KafkaConsumer(
                **kafka_python_settings(log, "bookended-collector"),
                bootstrap_timeout_ms=_ASKED_WITHIN_MS,
                request_timeout_ms=_ASKED_WITHIN_MS,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )

    def ranges(self) -> Mapping[int, Range]:
        with _faults():
            partitions = self._consumer.partitions_for_topic(self._topic) or set()
            places = [self._place(partition) for partition in sorted(partitions)]
            starts = self._consumer.beginning_offsets(places, timeout_ms=_ASKED_WITHIN_MS)
            ends = self._consumer.end_offsets(places, timeout_ms=_ASKED_WITHIN_MS)
        return {place.partition: Range(starts[place], ends[place]) for place in places}

    def seek(self, offsets: Mapping[int, int]) -> None:
        with _faults():
            self._consumer.assign([self._place(partition) for partition in offsets])
            for partition, offset in offsets.items():
                self._consumer.seek(self._place(partition), offset)

    def position(self, partition: int) -> int:
        with _faults():
            place = self._place(partition)
            found: int | None = self._consumer.position(place, timeout_ms=_ASKED_WITHIN_MS)
        if found is None:  # where it was is gone, and where to go on from was not told in time
            raise BrokersAwayError("the brokers do not tell where the topic begins")
        return found

    def poll(self, timeout_s: float, records_max: int) -> Sequence[tuple[bytes, bytes | None]]:
        with _faults():
            polled = self._consumer.poll(timeout_ms=timeout_s * 1000, max_records=records_max)
        return [
            (record.key, record.value)
            for records in polled.values()
            for record in records
            if record.key is not None
        ]

    def close(self) -> None:
        let_go(self._consumer.close, timeout_ms=_ASKED_WITHIN_MS)

    def _place(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        raise BrokersAwayError(str(error) or type(error).__name__) from error
