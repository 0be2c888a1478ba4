"""Closes of sessions into Kafka by kafka-python, where every collector learns them.

Beside the record's way: `closes.ClosesRelay` publishes what the outbox holds. The topic is
compacted; key session id, value the time of the close in ms as decimal text; no value takes a close
back. Imports `models`, `closes` and `source`; never `ingest`.
"""

from collections.abc import Sequence

from kafka import KafkaProducer
from kafka.errors import KafkaError

from models.kafka_clients import kafka_python_settings, let_go
from models.kafka_log import KafkaLog
from processor.closes import ANSWERED_WITHIN_MS, DELIVERED_WITHIN_MS, value_of
from processor.source import Close, LogAwayError


class KafkaCloses:
    """`ClosesSink` into the log's topic of closes. Connects when there is something to tell."""

    def __init__(self, log: KafkaLog) -> None:
        self._kafka = log
        self._producer: KafkaProducer | None = None

    def publish(self, closes: Sequence[Close]) -> None:
        try:
            if self._producer is None:
                self._producer = self._connect()
            self._publish(self._producer, closes)
        except KafkaError as error:
            self._abort()
            text = " ".join(str(error).split())[:200] or type(error).__name__
            raise LogAwayError(str(self._kafka), text) from error

    def _connect(self) -> KafkaProducer:
        return KafkaProducer(
            **kafka_python_settings(self._kafka, "bookended-processor"),
            bootstrap_timeout_ms=ANSWERED_WITHIN_MS,
            request_timeout_ms=ANSWERED_WITHIN_MS,
            delivery_timeout_ms=DELIVERED_WITHIN_MS,
            max_block_ms=ANSWERED_WITHIN_MS,
            acks="all",
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )

    def _publish(self, producer: KafkaProducer, closes: Sequence[Close]) -> None:
        sent = [
            producer.send(
                self._kafka.closes_topic,
                value_of(close),
                close.session_id.encode(),
            )
            for close in closes
        ]
        for future in sent:
            future.get(2 * DELIVERED_WITHIN_MS / 1000)

    def _abort(self) -> None:
        """After a failure the producer is not used again (see `ingest.kafka_publisher`)."""
        failed, self._producer = self._producer, None
        if failed is not None:
            failed._sender.force_close()  # noqa: SLF001 - `close` would wait for its records

    def close(self) -> None:
        if self._producer is not None:
            let_go(self._producer.close, timeout=2 * DELIVERED_WITHIN_MS / 1000)
            self._producer = None
