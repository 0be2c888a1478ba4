"""A topic read by librdkafka, from given offsets on; no consumer group is joined.

Beside the record's way: under `kafka_closes`. Imports `models` and its neighbours only; needs the
extra `[librdkafka]`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from ingest.kafka_client import BrokersAwayError
from ingest.kafka_closes import Range
from models.kafka_clients import librdkafka_settings
from models.kafka_log import KafkaLog

_ASKED_WITHIN_S: Final = 5.0
_QUEUED_KIB_MAX: Final = 1_024
_CLIENT_ID: Final = "bookended-collector"


class LibrdkafkaTopic:
    """`TopicReader` by librdkafka."""

    def __init__(self, log: KafkaLog, topic: str) -> None:
        self._topic = topic
        self._positions: dict[int, int] = {}
        self._consumer = Consumer(
            {
                **librdkafka_settings(log, _CLIENT_ID),
                # librdkafka wants a name, though nothing is joined and nothing committed.
                "group.id": _CLIENT_ID,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": _QUEUED_KIB_MAX,
                "fetch.max.bytes": _QUEUED_KIB_MAX * 1024,
                "fetch.queue.backoff.ms": 10,
            }
        )

    def ranges(self) -> Mapping[int, Range]:
        with _faults():
            told = self._consumer.list_topics(self._topic, _ASKED_WITHIN_S).topics[self._topic]
            return {partition: self._range(partition) for partition in sorted(told.partitions)}

    def _range(self, partition: int) -> Range:
        place = TopicPartition(self._topic, partition)
        return Range(*self._consumer.get_watermark_offsets(place, _ASKED_WITHIN_S))

    def seek(self, offsets: Mapping[int, int]) -> None:
        self._positions = dict(offsets)
        with _faults():
            self._consumer.assign([TopicPartition(self._topic, p, o) for p, o in offsets.items()])

    def position(self, partition: int) -> int:
        return self._positions[partition]

    def poll(self, timeout_s: float, records_max: int) -> Sequence[tuple[bytes, bytes | None]]:
        found: list[tuple[bytes, bytes | None]] = []
        with _faults():
            # A call waits until it has all that it was asked for: so first for one alone.
            messages = self._consumer.consume(1, timeout_s)
            messages += self._consumer.consume(records_max - 1, 0) if messages else []
        for message in messages:
            error, partition, offset = message.error(), message.partition(), message.offset()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001
                raise BrokersAwayError(error.str())
            assert partition is not None
            assert offset is not None
            self._positions[partition] = offset + (error is None)
            key = message.key()
            if error is None and key is not None:
                found.append((key, message.value()))
        return found

    def close(self) -> None:
        self._consumer.close()


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        told: KafkaError = error.args[0]
        raise BrokersAwayError(told.str()) from error
