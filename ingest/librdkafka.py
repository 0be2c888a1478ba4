"""The producer on librdkafka: C threads send, and a timer of the event loop fetches the fates.

On the record's way: `kafka_publisher` -> here -> Kafka. The fates are fetched every millisecond
while there are any to come, for all records at once: a thread that waited for them instead would
need the interpreter's lock anew for each. Imports `models` and its neighbours only; needs the extra
`[librdkafka]`.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, TopicCollection
from confluent_kafka import Producer as Client
from confluent_kafka.admin import AdminClient

from ingest.kafka_client import (
    BATCH_BYTES_MAX,
    CLOSED_WITHIN_S,
    DELIVERY_TIMEOUT_MS,
    PROBE_TIMEOUT_MS,
    REQUEST_TIMEOUT_MS,
    BrokersAwayError,
    Told,
    UndeliveredError,
)
from models.kafka_clients import librdkafka_settings
from models.kafka_log import REQUEST_BYTES_MAX, KafkaLog

_FETCHED_EVERY_S: Final = 0.001
_LINGER_MS: Final = 3
"""What a batch waits for more: with 1 ms a record costs a fifth more, with 10 ms it only waits."""

_GZIP_LEVEL: Final = 1
"""As cheap as none at all; the usual level costs a quarter of a record's time."""

_CLIENT_ID: Final = "bookended-collector"


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
                "compression.type": "gzip",
                "compression.level": _GZIP_LEVEL,
                "queue.buffering.max.messages": self._records_max,
                "queue.buffering.max.kbytes": self._bytes_max // 1024,
            }
        )
        producer = LibrdkafkaProducer(client, self._kafka.topic)
        if (known := producer.partitions()) < partitions:
            raise BrokersAwayError(f"the brokers tell only {known} of the topic's partitions")
        return producer


class LibrdkafkaProducer:
    """`Producer` by librdkafka. Only a fatal fault spends it: it goes on after time-outs."""

    def __init__(self, client: Client, topic: str) -> None:
        self._client = client
        self._topic = topic
        self._is_fetching = False
        self._is_closed = False

    def send(self, session_id: str, value: bytes, partition: int, told: Told) -> None:
        def delivered(error: KafkaError | None, _: Message) -> None:
            told(None if error is None else self._undelivered(error))

        try:
            self._client.produce(self._topic, value, session_id, partition, delivered)
        except KafkaException as error:
            raise self._undelivered(error.args[0]) from error
        except BufferError as error:
            raise UndeliveredError("the producer's buffer is full", is_spent=False) from error
        if not self._is_fetching:
            self._is_fetching = True
            self._fetch_later()

    def _undelivered(self, error: KafkaError) -> UndeliveredError:
        return UndeliveredError(error.str(), is_spent=error.fatal())

    def _fetch_later(self) -> None:
        asyncio.get_running_loop().call_later(_FETCHED_EVERY_S, self._fetch)

    def _fetch(self) -> None:
        if self._is_closed:
            return
        self._client.poll(0)
        if len(self._client):
            self._fetch_later()
        else:
            self._is_fetching = False

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
        self._is_closed = True
        self._client.flush(CLOSED_WITHIN_S)
        self.abort()

    def abort(self) -> None:
        """`flush` tells of what was purged; the client's own end would wait for nothing more."""
        self._is_closed = True
        self._client.purge()
        self._client.flush(PROBE_TIMEOUT_MS / 1000)
        self._client.close()


def _reason(error: KafkaException) -> str:
    told: KafkaError = error.args[0]
    return told.str()
