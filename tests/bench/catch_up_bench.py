"""Catching up: a full topic into PostgreSQL, beside a bare loop over it by the same client.

Broker, database and processor share the machine, as in a small installation. The bare loop takes
the records and does nothing with them; by librdkafka its speed depends on how many records lie in a
batch, so there is a topic as collectors write it, and one as a producer that may wait. Processors
are real ones, each `bookended process` in a process of its own. Their rate is taken between
checkpoints: what the first needs to join the group, and the pause before the last checkpoint, are
left out. That partitions move to a second is not.
"""

import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import psutil
import psycopg
from confluent_kafka import Consumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

import migrations
from commands.kafka_topics import migrate_topics
from deploy.local import LocalPostgres
from models.kafka_log import Client, KafkaLog
from models.placement import Placement, parse_partition_counts
from models.policy import DEFAULT_POLICY
from processor.database import open_database
from processor.projection import ensure_live_projection
from tests.bench.figures import Effort, Figure, Goal, alternate, at_least, at_most, ratios
from tests.bench.mix import Stored, whole_log
from tests.bench.topic import (
    AS_COLLECTORS,
    BY_THOUSANDS,
    DONE_WITHIN_S,
    TIMES_OF_THE_MIX,
    bare_kafka_python,
    broker_for,
    fill,
)
from tests.commands.processes import arguments, environment
from tests.kafka.broker import admin, new_topic

PARTITIONS: Final = 4
_PLACEMENT: Final = Placement(parse_partition_counts(str(PARTITIONS)))
_LOOKED_EVERY_S: Final = 0.01
_LIVE_KIB: Final = 1.5


class Way(NamedTuple):
    """How a topic was written, and by what it is read. `to_bare`: the goal."""

    client: Client
    to_bare: Goal | None = None
    in_batch: int = AS_COLLECTORS
    processors: int = 1

    def __str__(self) -> str:
        large = ", large batches" if self.in_batch != AS_COLLECTORS else ""
        many = f", {self.processors} processors" if self.processors != 1 else ""
        return f"{self.client}{large}{many}"


WAYS: Final = (
    Way("kafka-python", at_least(0.5)),
    Way("librdkafka", at_least(0.3)),
    Way("librdkafka", in_batch=BY_THOUSANDS),
    Way("librdkafka", processors=2),
)


class Run(NamedTuple):
    """One run: events a second of all processors, and the memory of the largest."""

    rate: float
    memory_mb: float


class Order(NamedTuple):
    """What is to be caught up with, by how many processors."""

    log: KafkaLog
    database: str
    group: str
    directory: Path
    processors: int


def bench(effort: Effort) -> list[Figure]:
    sessions = effort.size(1_500, 30)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.chmod(0o755)  # as root PostgreSQL runs as another account, which must get in
        effort.tell("starting Kafka and PostgreSQL")
        broker = stack.enter_context(broker_for(effort, directory))
        server = stack.enter_context(LocalPostgres(directory / "postgres"))
        effort.tell("filling the topics")
        stored = whole_log(Random(7), sessions, 2_700_000)
        count = len(stored)
        topics = {
            size: _filled(broker.bootstrap, stored, size) for size in {way.in_batch for way in WAYS}
        }
        runs: dict[Way, list[Run]] = {way: [] for way in WAYS}

        def bare(way: Way) -> Callable[[], float]:
            loop = bare_kafka_python if way.client == "kafka-python" else _bare_librdkafka
            return lambda: count / loop(topics[way.in_batch], PARTITIONS, count)

        def into_postgres(way: Way) -> Callable[[], float]:
            def run() -> float:
                group = f"bench_{WAYS.index(way)}_{len(runs[way])}"
                log = topics[way.in_batch]._replace(client=way.client)
                order = Order(log, server.database(group), group, directory, way.processors)
                runs[way].append(_catch_up(order, count))
                return runs[way][-1].rate

            return run

        contenders = {f"bare loop, {way}": bare(way) for way in WAYS if way.processors == 1}
        contenders |= {_name(way): into_postgres(way) for way in WAYS}
        rates = alternate(effort, contenders)
    return _figures(rates, runs, sessions)


def _filled(server: str, stored: list[Stored], in_batch: int) -> KafkaLog:
    log = new_topic(server, PARTITIONS, **TIMES_OF_THE_MIX)
    migrate_topics(log, _PLACEMENT, None)
    fill(log, _PLACEMENT, stored, in_batch)
    _take_as_a_log(log)
    return log


def _name(way: Way) -> str:
    return f"into PostgreSQL, {way}"


def _figures(
    rates: dict[str, list[float]], runs: dict[Way, list[Run]], sessions: int
) -> list[Figure]:
    goals = {_name(way): at_least(100_000) for way in WAYS if way.processors > 1}
    found = [Figure(name, "events/s", rate, goals.get(name)) for name, rate in rates.items()]
    for way in WAYS:
        name = _name(way)
        if way.processors == 1:
            to_bare = ratios(rates[name], rates[f"bare loop, {way}"])
            found.append(Figure(f"{name}, to its bare loop", "", to_bare, way.to_bare))
        above = [run.memory_mb - sessions * _LIVE_KIB / 1024 for run in runs[way]]
        name = f"processor's memory above 1.5 KiB a session, {way}"
        found.append(Figure(name, "MB", above, at_most(120)))
    return found


def _take_as_a_log(log: KafkaLog) -> None:
    """A processor takes no topic whose times are its producers'. Records keep those they have."""
    settings = {"message.timestamp.type": "LogAppendTime"}
    with admin(log.servers[0]) as client:
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, log.topic, settings)])


def _bare_librdkafka(log: KafkaLog, partitions: int, count: int) -> float:
    consumer = Consumer({"bootstrap.servers": log.servers[0], "group.id": "bare"})
    consumer.assign([TopicPartition(log.topic, number, 0) for number in range(partitions)])
    begin = time.perf_counter()
    while count > 0:
        count -= len(consumer.consume(500, 0.1))
        assert time.perf_counter() - begin < DONE_WITHIN_S, count
    elapsed_s = time.perf_counter() - begin
    consumer.close()
    return elapsed_s


def _catch_up(order: Order, count: int) -> Run:
    engine = open_database(order.database)
    migrations.upgrade(engine)
    ensure_live_projection(engine, DEFAULT_POLICY, time.time_ns() // 1_000_000)
    engine.dispose()
    url = order.database.replace("+psycopg", "")
    with ExitStack() as stack:
        connection = stack.enter_context(psycopg.connect(url, autocommit=True))
        pids = [_start(order, stack) for _ in range(order.processors)]
        seen: list[tuple[float, int]] = []
        deadline = time.monotonic() + DONE_WITHIN_S
        while not seen or seen[-1][1] < count:
            assert time.monotonic() < deadline, seen
            row = connection.execute(
                "SELECT coalesce(sum(next_offset), 0) FROM progress"
            ).fetchone()
            if row and row[0] > (seen[-1][1] if seen else 0):
                seen.append((time.perf_counter(), int(row[0])))
            time.sleep(_LOOKED_EVERY_S)
        memory_mb = max(psutil.Process(pid).memory_info().rss for pid in pids) / 1e6
    # The last checkpoint waits for its time; with little work there is no other.
    first, last = (seen[0], seen[-2]) if len(seen) > 2 else ((seen[0][0] - 1, 0), seen[-1])
    return Run((last[1] - first[1]) / (last[0] - first[0]), memory_mb)


def _start(order: Order, stack: ExitStack) -> int:
    """A processor that ends with the stack; its process id."""
    settings = environment(
        BOOKENDED_LOG=f"{order.log}?client={order.log.client}",
        BOOKENDED_DATABASE=order.database,
        BOOKENDED_GROUP=order.group,
        BOOKENDED_PARTITIONS=str(PARTITIONS),
        BOOKENDED_LOG_LEVEL="error",
    )
    words = arguments("process", "--data", "data")
    process = subprocess.Popen(words, cwd=order.directory, env=settings)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process.pid
