"""Closes of sessions into Kafka by librdkafka: what `kafka_closes` does by kafka-python.

Beside the record's way: `closes.ClosesRelay` publishes what the outbox holds. Imports `models` and
its neighbours only; needs the extra `[librdkafka]`.
"""

from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from models.kafka_clients import librdkafka_settings
from models.kafka_log import KafkaLog
from processor.closes import ANSWERED_WITHIN_MS, DELIVERED_WITHIN_MS, value_of
from processor.source import Close, LogAwayError

_CLOSED_WITHIN_S: Final = 1.0


class LibrdkafkaCloses:
    """`ClosesSink` into the log's topic of closes. Connects when there is something to tell."""

    def __init__(self, log: KafkaLog) -> None:
        self._kafka = log
        self._producer: Producer | None = None

    def publish(self, closes: Sequence[Close]) -> None:
        if self._producer is None:
            self._producer = self._connect()
        faults: list[str] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                faults.append(error.str())

        try:
            for close in closes:
                self._producer.produce(
                    self._kafka.closes_topic,
                    value_of(close),
                    close.session_id,
                    on_delivery=delivered,
                )
            left = self._producer.flush(2 * DELIVERED_WITHIN_MS / 1000)
        except KafkaException as error:
            told: KafkaError = error.args[0]
            faults.append(told.str())
            left = 0
        if faults or left:
            self.close()  # so that nothing of these is sent after those that come next
            raise LogAwayError(
                str(self._kafka), (faults or ["the brokers do not answer in time"])[0]
            )

    def _connect(self) -> Producer:
        return Producer(
            {
                **librdkafka_settings(self._kafka, "bookended-processor"),
                "acks": "all",
                # In order, and twice does no harm: so not by idempotence, for whose producer id a
                # new one may wait half a second, and the processor with it.
                "max.in.flight.requests.per.connection": 1,
                "partitioner": "murmur2_random",
                "delivery.timeout.ms": DELIVERED_WITHIN_MS,
                "request.timeout.ms": ANSWERED_WITHIN_MS,
                "socket.timeout.ms": ANSWERED_WITHIN_MS,
                "linger.ms": 1,
            }
        )

    def close(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(_CLOSED_WITHIN_S)
            self._producer.close()
            self._producer = None
