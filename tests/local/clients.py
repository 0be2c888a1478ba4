"""The least that a client does with a real server, so that tests see whether its data is there.

Imports nothing of the project.
"""

import importlib
from collections.abc import Sequence
from typing import Any

import psycopg

PATIENCE_S = 120
PATIENCE_MS = 120_000


def kafka_client() -> Any:
    """kafka-python, untyped; imported when it is needed."""
    return importlib.import_module("kafka")


def make_topic(bootstrap: str, topic: str) -> None:
    admin = kafka_client().KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
        admin.wait_for_topics([topic])
    finally:
        admin.close()


def publish(bootstrap: str, topic: str, values: Sequence[bytes]) -> None:
    """Returns when the broker has acknowledged all of them."""
    producer = kafka_client().KafkaProducer(
        bootstrap_servers=bootstrap, acks="all", max_request_size=10 * 1024**2
    )
    try:
        sent = [producer.send(topic, value, partition=0) for value in values]
        for future in sent:
            future.get(PATIENCE_S)
    finally:
        producer.close()


def values_in(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """The first values of a topic; fewer when no more come in time."""
    kafka = kafka_client()
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=PATIENCE_MS
    )
    try:
        consumer.assign([kafka.TopicPartition(topic, 0)])
        # In this order no more is asked for than is wanted.
        return [record.value for _, record in zip(range(count), consumer, strict=False)]
    finally:
        consumer.close()


def topics(bootstrap: str) -> list[str]:
    admin = kafka_client().KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        return list(admin.list_topics())
    finally:
        admin.close()


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Runs one statement over an SQLAlchemy address; its rows, if it gives any."""
    plain = url.replace("+psycopg", "")
    with psycopg.connect(plain, connect_timeout=PATIENCE_S, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []
