"""A real broker for tests, and topics in it that a test can fill, read and break.

Only for tests. Each test makes topics of its own; the servers come from `tests.servers`.
"""

import gc
import uuid
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError

from deploy.local import LocalKafka
from models.kafka_log import MESSAGE_BYTES_MAX, REQUEST_BYTES_MAX, KafkaLog

APPEND_TIME = {
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(MESSAGE_BYTES_MAX),
}


@pytest.fixture(scope="session")
def broker(servers_directory: Path) -> Iterator[LocalKafka]:
    """A broker of our own, in its own process: tests freeze, kill and restart it."""
    with LocalKafka(servers_directory / "kafka-to-break") as kafka:
        yield kafka


@contextmanager
def admin(servers: str) -> Iterator[Any]:
    with closing(KafkaAdminClient(bootstrap_servers=servers)) as client:
        yield client


TIMES_OF_THE_TEST = {
    # So old that retention, which looks every five minutes, would delete them under a long run.
    "message.timestamp.type": "CreateTime",
    "retention.ms": "-1",
}


def new_topic(servers: str, partitions: int = 1, **configs: str) -> KafkaLog:
    """A topic under a name that no other test has."""
    log = KafkaLog((servers,), f"test-{uuid.uuid4().hex[:12]}")
    with admin(servers) as client:
        client.create_topics(
            {
                log.topic: {
                    "num_partitions": partitions,
                    "replication_factor": 1,
                    "configs": {**APPEND_TIME, **configs},
                }
            },
            wait_for_metadata=True,
        )
    return log


def all_records(log: KafkaLog, topic: str | None = None) -> list[Any]:
    """Every record of the topic, by a consumer that is in no group; in order by partition."""
    name = topic or log.topic
    consumer = KafkaConsumer(
        bootstrap_servers=list(log.servers),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=2 * MESSAGE_BYTES_MAX,
    )
    with closing(consumer):
        places = [TopicPartition(name, number) for number in consumer.partitions_for_topic(name)]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        found: list[Any] = []
        for _ in range(1_000):
            if all(consumer.position(place) >= ends[place] for place in places):
                return sorted(found, key=lambda record: (record.partition, record.offset))
            for records in consumer.poll(timeout_ms=500).values():
                found += records
    raise KafkaTimeoutError(f"the end of {name} was not reached")


def producer(log: KafkaLog) -> Any:
    return KafkaProducer(
        bootstrap_servers=list(log.servers), acks="all", max_request_size=REQUEST_BYTES_MAX
    )


def abandon(client: Any) -> None:
    """Ends a producer and what it still has. Its `close` alone gives up where a record cannot be
    delivered, and leaves a thread that delivers it later, whatever is going on by then."""
    client._sender.force_close()
    client._sender.join(10)
    client.close(timeout=1)


@contextmanager
def transactional(log: KafkaLog) -> Iterator[Any]:
    """A producer whose records count only when their transaction is committed."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    client = KafkaProducer(bootstrap_servers=list(log.servers), transactional_id=name)
    with closing(client):
        client.init_transactions()
        yield client


def in_transaction(client: Any, log: KafkaLog, *values: bytes, key: bytes = b"a" * 64) -> None:
    """Writes records to partition 0; the broker has them afterwards."""
    for value in values:
        client.send(log.topic, value, key, partition=0, timestamp_ms=1)
    client.flush(10)


def delete_below(log: KafkaLog, partition: int, start_offset: int) -> None:
    """Deletes records as retention does."""
    with admin(log.servers[0]) as client:
        client.delete_records({TopicPartition(log.topic, partition): start_offset})


def collect_sockets() -> None:
    """kafka-python leaves a socket that could not connect to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
