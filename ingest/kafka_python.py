"""The producer on kafka-python: its own thread sends, and tells of each record's fate.

On the record's way: `kafka_publisher` -> here -> Kafka. After a failed delivery this client's
producer is not used again. Imports `models` and its neighbours only.
"""

import time
from collections.abc import Sequence
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from ingest.kafka_client import (
    BATCH_BYTES_MAX,
    CLOSED_WITHIN_S,
    COMPRESSION,
    DELIVERY_TIMEOUT_MS,
    PROBE_TIMEOUT_MS,
    REQUEST_TIMEOUT_MS,
    BrokersAwayError,
    Told,
    UndeliveredError,
)
from models.kafka_clients import kafka_python_settings, letting_go
from models.kafka_log import REQUEST_BYTES_MAX, KafkaLog

_METADATA_ASKED_EVERY_S: Final = 0.02


class KafkaPythonBrokers:
    """`Brokers` by kafka-python."""

    def __init__(self, log: KafkaLog) -> None:
        self._kafka = log

    def leaders(self) -> Sequence[bool]:
        try:
            with letting_go(KafkaAdminClient(**self._connection(PROBE_TIMEOUT_MS))) as admin:
                (topic,) = admin.describe_topics([self._kafka.topic])
        except KafkaError as error:
            raise BrokersAwayError(_reason(error)) from error
        if topic["error_code"]:
            return []
        return [partition["leader_id"] >= 0 for partition in topic["partitions"]]

    def connect(self, partitions: int) -> "KafkaPythonProducer":
        try:
            producer = KafkaProducer(
                **self._connection(REQUEST_TIMEOUT_MS),
                acks="all",
                enable_idempotence=True,
                delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
                max_block_ms=0,
                max_request_size=REQUEST_BYTES_MAX,
                batch_size=BATCH_BYTES_MAX,
                compression_type=COMPRESSION,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
            made = KafkaPythonProducer(producer, self._kafka.topic)
            try:
                made.learn(partitions)
            except BaseException:
                made.close()
                raise
        except KafkaError as error:
            raise BrokersAwayError(_reason(error)) from error
        return made

    def _connection(self, timeout_ms: int) -> dict[str, Any]:
        return {
            **kafka_python_settings(self._kafka, "bookended-collector"),
            "bootstrap_timeout_ms": PROBE_TIMEOUT_MS,
            "request_timeout_ms": timeout_ms,
        }


class KafkaPythonProducer:
    """`Producer` by kafka-python.

    It never sends again after a batch that it had sent ran out of time: whatever the failure, it is
    spent.
    """

    def __init__(self, producer: KafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    def learn(self, partitions: int) -> None:
        """Returns when the producer knows so many partitions. Errors: `KafkaError`."""
        deadline = time.monotonic() + REQUEST_TIMEOUT_MS / 1000
        while True:
            try:
                if len(self._producer.partitions_for(self._topic)) >= partitions:
                    return
            except KafkaTimeoutError:
                pass
            if time.monotonic() > deadline:
                raise KafkaTimeoutError("the brokers do not tell the topic's partitions")
            time.sleep(_METADATA_ASKED_EVERY_S)

    def send(self, session_id: str, value: bytes, partition: int, told: Told) -> None:
        try:
            sent = self._producer.send(self._topic, value, session_id.encode(), partition=partition)
        # ValueError: the topic has no such partition (any more). TypeError: kafka-python's own
        # slip where the brokers refuse to tell of the topic.
        except (KafkaError, ValueError, TypeError) as error:
            raise UndeliveredError(_reason(error), is_spent=True) from error
        sent.add_callback(lambda _: told(None))
        sent.add_errback(lambda error: told(UndeliveredError(_reason(error), is_spent=True)))

    def probe(self) -> None:
        """It is made anew after every failed delivery: there is nothing to find out."""

    def close(self) -> None:
        try:
            self._producer.close(timeout=CLOSED_WITHIN_S)
        except Exception:  # noqa: BLE001 - kafka-python's own slips too (`let_go`)
            self.abort()

    def abort(self) -> None:
        """Ends the producer's thread, which then answers for all that it still has.

        There is no public way: `close` first waits for those records.
        """
        self._producer._sender.force_close()  # noqa: SLF001


def _reason(error: BaseException) -> str:
    """kafka-python puts the name of the class before its text."""
    return str(error) or type(error).__name__
