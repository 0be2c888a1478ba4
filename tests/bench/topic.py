"""A broker for a benchmark; a topic in it that is full of the usual mix, and the bare loop over it
that others are set against."""

import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from confluent_kafka import Producer
from kafka import KafkaConsumer, TopicPartition

from deploy.local import LocalKafka
from ingest.kafka_client import COMPRESSION
from ingest.librdkafka import COMPRESSION_LEVEL
from models.kafka_log import KafkaLog
from models.placement import Placement
from tests.bench.figures import Effort
from tests.bench.mix import Stored

# The mix has times of its own, older than Kafka keeps records unless it is told.
TIMES_OF_THE_MIX: Final = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
DONE_WITHIN_S: Final = 60.0
AS_COLLECTORS: Final = 8
"""Records that lie in one batch: as many as a collector on librdkafka put into one when 64 closed
connections drove it, into four partitions, to 13,000 requests/s. With 512 it were 35, and a
collector that has less to do than it can puts fewer into one."""
BY_THOUSANDS: Final = 10_000
"""As a producer writes that may wait: compression gets hold of much more, and whoever reads has
next to nothing to do for a record."""


class _BusyKafka(LocalKafka):
    """Compiled as thoroughly as a broker of production, which is up for months."""

    compiler_flags = ()


def broker_for(effort: Effort, directory: Path) -> LocalKafka:
    """A broker to measure, or only to try the benchmark with; not yet started."""
    return (LocalKafka if effort.quick else _BusyKafka)(directory / "kafka")


def fill(
    log: KafkaLog, placement: Placement, stored: Iterable[Stored], in_batch: int = AS_COLLECTORS
) -> int:
    """The records by partition, up to `in_batch` in a batch; how many that are."""
    producer = Producer(
        {
            "bootstrap.servers": log.servers[0],
            "linger.ms": 20,
            "batch.num.messages": in_batch,
            "compression.type": COMPRESSION,
            "compression.level": COMPRESSION_LEVEL,
        }
    )
    count = 0
    for received_at, key, value in stored:
        while True:
            try:
                place = placement.of(key.decode())
                producer.produce(log.topic, value, key, place, timestamp=received_at)
                break
            except BufferError:
                producer.poll(0.1)
        count += 1
    producer.flush()
    return count


def bare_kafka_python(log: KafkaLog, partitions: int, count: int) -> float:
    """The seconds in which kafka-python gives all records to who does nothing with them."""
    consumer = KafkaConsumer(bootstrap_servers=list(log.servers), enable_auto_commit=False)
    with closing(consumer):
        consumer.assign([TopicPartition(log.topic, number) for number in range(partitions)])
        consumer.seek_to_beginning()
        begin = time.perf_counter()
        while count > 0:
            polled = consumer.poll(timeout_ms=100, max_records=500)
            count -= sum(len(records) for records in polled.values())
            assert time.perf_counter() - begin < DONE_WITHIN_S, count
        return time.perf_counter() - begin
