"""The producer on librdkafka: C threads send, and a timer of the event loop serves them.

On the record's way: `kafka_publisher` -> here -> Kafka. Every millisecond while there is something
to do, the fates of all records are fetched at once (a thread that waited for them instead would
need the interpreter's lock anew for each), and partitions that have none on the way get what has
gathered meanwhile. So a batch is as large as the brokers are slow, and none waits inside
librdkafka: behind more than four records on the way, its idempotent producer asks without a pause
whether it may send the next ones, which takes a whole core. Imports `models` and its neighbours
only; needs the extra `[librdkafka]`.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, TopicCollection
from confluent_kafka import Producer as Client
from confluent_kafka.admin import AdminClient

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
from models.kafka_clients import librdkafka_settings
from models.kafka_log import REQUEST_BYTES_MAX, KafkaLog

_SERVED_EVERY_S: Final = 0.001
_LINGER_MS: Final = 0.5
"""Longer than a batch takes to be given. With 3 ms only the answers come later."""

COMPRESSION_LEVEL: Final = 1
"""Less than half the bytes of none, for 5 µs a record in batches of six and 1 µs in larger ones."""

_CLIENT_ID: Final = "bookended-collector"
_GIVEN_UP: Final = KafkaError._MSG_TIMED_OUT  # noqa: SLF001 - see DELIVERY_TIMEOUT_MS


class LibrdkafkaBrokers:
    """`Brokers` by librdkafka."""

    def __init__(self, log: KafkaLog, records_max: int, bytes_max: int) -> None:
        """The bounds are the publisher's: never more than that is given to a producer."""
        self._kafka = log
        self._records_max = records_max
        self._bytes_max = bytes_max
        self._admin: AdminClient | None = None

    def leaders(self) -> Sequence[bool]:
        topic = self._kafka.topic
        complaints = deque[str](maxlen=1)
        settings = {
            **librdkafka_settings(self._kafka, _CLIENT_ID),
            "error_cb": lambda error: complaints.append(error.str()),
        }
        admin = AdminClient(settings)
        wanted = TopicCollection([topic])
        asked = admin.describe_topics(wanted, request_timeout=PROBE_TIMEOUT_MS / 1000)
        try:
            partitions = asked[topic].result().partitions
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return []
            admin.poll(0)
            raise BrokersAwayError(complaints[0] if complaints else _reason(error)) from error
        return [partition.leader is not None for partition in partitions]

    def connect(self, partitions: int) -> "LibrdkafkaProducer":
        client = Client(
            {
                **librdkafka_settings(self._kafka, _CLIENT_ID),
                "enable.idempotence": True,
                "acks": "all",
                "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
                "request.timeout.ms": REQUEST_TIMEOUT_MS,
                "socket.timeout.ms": REQUEST_TIMEOUT_MS,
                "linger.ms": _LINGER_MS,
                "message.max.bytes": REQUEST_BYTES_MAX,
                "batch.size": BATCH_BYTES_MAX,
                "compression.type": COMPRESSION,
                "compression.level": COMPRESSION_LEVEL,
                "queue.buffering.max.messages": self._records_max,
                "queue.buffering.max.kbytes": self._bytes_max // 1024,
            }
        )
        producer = LibrdkafkaProducer(client, self._kafka.topic, partitions)
        if (known := producer.partitions()) < partitions:
            raise BrokersAwayError(f"the brokers tell only {known} of the topic's partitions")
        return producer


class _Line:
    """A partition's records: how many librdkafka has, and what waits until it has none."""

    __slots__ = ("in_flight", "partition", "waiting")

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.in_flight = 0
        self.waiting: deque[tuple[str, bytes, Told]] = deque()


class LibrdkafkaProducer:
    """`Producer` by librdkafka. It goes on after most faults."""

    def __init__(self, client: Client, topic: str, partitions: int) -> None:
        """It takes records of so many partitions."""
        self._client = client
        self._topic = topic
        self._lines = tuple(_Line(partition) for partition in range(partitions))
        self._is_serving = False
        # Held while records are given to the client, by the loop or by the thread that ends it.
        self._giving = threading.Lock()
        self._is_closed = False

    def send(self, session_id: str, value: bytes, partition: int, told: Told) -> None:
        if self._is_closed:
            raise UndeliveredError("the producer is closed", is_spent=False)
        self._lines[partition].waiting.append((session_id, value, told))
        if not self._is_serving:
            self._is_serving = True
            asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        with self._giving:
            if self._is_closed:
                return
            self._client.poll(0)
            for line in self._lines:
                if line.waiting and not line.in_flight:
                    self._give(line)
        self._is_serving = len(self._client) > 0
        if self._is_serving:
            asyncio.get_running_loop().call_later(_SERVED_EVERY_S, self._serve)

    def _give(self, line: _Line) -> None:
        """All that waits, in its order. One call adds one record to the batch."""
        waiting = line.waiting
        while waiting:
            session_id, value, told = waiting.popleft()
            line.in_flight += 1
            delivered = partial(self._delivered, line, told)
            try:
                self._client.produce(self._topic, value, session_id, line.partition, delivered)
            except KafkaException as error:
                delivered(error.args[0], None)
            except BufferError:
                delivered(KafkaError(KafkaError._QUEUE_FULL), None)  # noqa: SLF001

    def _delivered(
        self, line: _Line, told: Told, error: KafkaError | None, _: Message | None
    ) -> None:
        line.in_flight -= 1
        if error is None:
            told(None)
        else:
            is_spent = error.fatal() or error.code() == _GIVEN_UP
            told(UndeliveredError(error.str(), is_spent=is_spent))

    def partitions(self) -> int:
        """How many the topic has, as this producer's own connection tells. Errors:
        `BrokersAwayError`."""
        try:
            told = self._client.list_topics(self._topic, PROBE_TIMEOUT_MS / 1000)
        except KafkaException as error:
            raise BrokersAwayError(_reason(error)) from error
        return len(told.topics[self._topic].partitions)

    def probe(self) -> None:
        self.partitions()

    def close(self) -> None:
        with self._giving:
            self._is_closed = True
            for line in self._lines:
                self._give(line)
        self._client.flush(CLOSED_WITHIN_S)
        self.abort()

    def abort(self) -> None:
        """`flush` tells of what was purged; the client's own end would wait for nothing more."""
        with self._giving:
            self._is_closed = True
            for line in self._lines:
                while line.waiting:
                    _, _, told = line.waiting.popleft()
                    told(UndeliveredError("the producer was given up", is_spent=False))
        self._client.purge()
        self._client.flush(PROBE_TIMEOUT_MS / 1000)
        self._client.close()


def _reason(error: KafkaException) -> str:
    told: KafkaError = error.args[0]
    return told.str()
