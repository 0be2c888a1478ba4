"""Closes of sessions as the collector reads them from Kafka: a compacted topic, from its start.

Beside the record's way: `processor.kafka_closes` writes the topic, `ClosesFollower` asks here. In
no consumer group: every collector reads all of it. Imports `models` and its neighbours only.
"""

import contextlib
import time
from collections.abc import Sequence
from typing import Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from ingest.closes import CLOSES_MAX, Close, ClosesAway
from models.kafka_log import KafkaLog

_ASKED_WITHIN_MS: Final = 5_000
_READ_WITHIN_S: Final = 5.0
_POLL_MS: Final = 200


class KafkaCloses:
    """`ClosesSource` over the log's topic of closes."""

    def __init__(self, log: KafkaLog) -> None:
        self._kafka = log
        self._consumer: KafkaConsumer | None = None
        self._places: list[TopicPartition] = []

    def read(self, closes_max: int) -> Sequence[Close]:
        try:
            if self._consumer is None:
                self._consumer = self._open()
            return self._read(self._consumer, closes_max)
        except KafkaError as error:
            self.close()
            text = " ".join(str(error).split())[:200] or type(error).__name__
            raise ClosesAway(str(self._kafka), text) from error
        except BaseException:
            self.close()
            raise

    def _open(self) -> KafkaConsumer:
        topic = self._kafka.closes_topic
        consumer = KafkaConsumer(
            bootstrap_servers=list(self._kafka.servers),
            client_id="bookended-collector",
            bootstrap_timeout_ms=_ASKED_WITHIN_MS,
            request_timeout_ms=_ASKED_WITHIN_MS,
            reconnect_backoff_max_ms=1_000,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
        try:
            partitions = consumer.partitions_for_topic(topic)
            if not partitions:
                raise ClosesAway(
                    str(self._kafka), f"there is no topic {topic}; run `bookended migrate`"
                )
            self._places = [TopicPartition(topic, partition) for partition in sorted(partitions)]
            consumer.assign(self._places)
            ends = consumer.end_offsets(self._places, timeout_ms=_ASKED_WITHIN_MS)
            starts = consumer.beginning_offsets(self._places, timeout_ms=_ASKED_WITHIN_MS)
            for place in self._places:
                # Older ones would only be pushed out again.
                consumer.seek(place, max(starts[place], ends[place] - CLOSES_MAX))
        except BaseException:
            consumer.close(timeout_ms=0)
            raise
        return consumer

    def _read(self, consumer: KafkaConsumer, closes_max: int) -> Sequence[Close]:
        """None only when the end was reached: a poll may come back empty before that."""
        ends = consumer.end_offsets(self._places, timeout_ms=_ASKED_WITHIN_MS)
        deadline = time.monotonic() + _READ_WITHIN_S
        while any(consumer.position(p, timeout_ms=_ASKED_WITHIN_MS) < ends[p] for p in ends):
            polled = consumer.poll(timeout_ms=_POLL_MS, max_records=closes_max)
            found = [r for records in polled.values() for r in records if r.key is not None]
            if found:
                return [_close_of(record.key, record.value) for record in found]
            if time.monotonic() > deadline:
                raise ClosesAway(str(self._kafka), "the brokers do not answer in time")
        return []

    def close(self) -> None:
        if self._consumer is not None:
            with contextlib.suppress(KafkaError):
                self._consumer.close(timeout_ms=_ASKED_WITHIN_MS)
            self._consumer = None


def _close_of(key: bytes, value: bytes | None) -> Close:
    """No value takes a close back; what is no number was written by another program."""
    closed_at = int(value) if value is not None and value.isdigit() else None
    return Close(key.decode("ascii", "replace"), closed_at)
