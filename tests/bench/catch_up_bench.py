"""Catching up: a full topic into PostgreSQL, beside a bare loop over it by the same client.

Broker, database and processor share the machine, as in a small installation. The bare loop takes
the records and does nothing with them. The processor's rate is taken between its checkpoints: what
it needs to join the group, and the pause before its last checkpoint, are left out.
"""

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import psutil
import psycopg
from confluent_kafka import Consumer, TopicPartition
from prometheus_client import CollectorRegistry

import migrations
from commands.embedded import ProcessorThread
from commands.interpreter import tune_interpreter
from commands.kafka_topics import migrate_topics
from commands.logs import configure
from commands.settings import ProcessingAlone
from deploy.local import LocalKafka, LocalPostgres
from models.kafka_log import Client, KafkaLog
from models.placement import Placement, parse_partition_counts
from processor.database import open_database
from tests.bench.figures import Effort, Figure, alternate, at_least, at_most, ratios
from tests.bench.mix import whole_log
from tests.bench.topic import DONE_WITHIN_S, TIMES_OF_THE_MIX, bare_kafka_python, fill
from tests.bench.workers import questions, worker
from tests.kafka.broker import new_topic

CLIENTS: Final[tuple[Client, ...]] = ("kafka-python", "librdkafka")
PARTITIONS: Final = 4
_PLACEMENT: Final = Placement(parse_partition_counts(str(PARTITIONS)))
_LOOKED_EVERY_S: Final = 0.01
_LIVE_KIB: Final = 1.5


class Run(NamedTuple):
    """One run of the processor."""

    rate: float
    memory_mb: float


class Order(NamedTuple):
    """What a worker is to catch up with."""

    log: KafkaLog
    database: str
    group: str


def bench(effort: Effort) -> list[Figure]:
    sessions = effort.size(1_500, 30)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.chmod(0o755)  # as root PostgreSQL runs as another account, which must get in
        effort.tell("starting Kafka and PostgreSQL")
        broker = stack.enter_context(LocalKafka(directory / "kafka"))
        server = stack.enter_context(LocalPostgres(directory / "postgres"))
        log = new_topic(broker.bootstrap, PARTITIONS, **TIMES_OF_THE_MIX)
        migrate_topics(log, _PLACEMENT, None)
        effort.tell("filling the topic")
        count = fill(log, _PLACEMENT, whole_log(Random(7), sessions, 2_700_000))
        runs: dict[Client, list[Run]] = {client: [] for client in CLIENTS}

        def bare(client: Client) -> Callable[[], float]:
            loop = bare_kafka_python if client == "kafka-python" else _bare_librdkafka
            return lambda: count / loop(log, PARTITIONS, count)

        def processor(client: Client) -> Callable[[], float]:
            def run() -> float:
                name = f"bench_{client[:3]}_{len(runs[client])}"
                order = Order(log._replace(client=client), server.database(name), name)
                runs[client].append(_catch_up(order, count))
                return runs[client][-1].rate

            return run

        contenders = {f"bare loop, {client}": bare(client) for client in CLIENTS}
        contenders |= {f"into PostgreSQL, {client}": processor(client) for client in CLIENTS}
        rates = alternate(effort, contenders)
    return _figures(rates, runs, sessions)


def _figures(
    rates: dict[str, list[float]], runs: dict[Client, list[Run]], sessions: int
) -> list[Figure]:
    quick = at_least(100_000)
    found = [
        Figure(name, "events/s", rate, quick if name == "into PostgreSQL, librdkafka" else None)
        for name, rate in rates.items()
    ]
    for client, bound in zip(CLIENTS, (0.5, 0.3), strict=True):
        to_bare = ratios(rates[f"into PostgreSQL, {client}"], rates[f"bare loop, {client}"])
        found.append(
            Figure(f"into PostgreSQL, {client}, to its bare loop", "", to_bare, at_least(bound))
        )
        above = [run.memory_mb - sessions * _LIVE_KIB / 1024 for run in runs[client]]
        name = f"processor's memory above 1.5 KiB a session, {client}"
        found.append(Figure(name, "MB", above, at_most(120)))
    return found


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
    engine.dispose()
    url = order.database.replace("+psycopg", "")
    with worker(_process) as ask, psycopg.connect(url, autocommit=True) as connection:
        pid = ask(order)
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
        memory_mb = psutil.Process(pid).memory_info().rss / 1e6
    # The last checkpoint waits for its time; with little work there is no other.
    first, last = (seen[0], seen[-2]) if len(seen) > 2 else ((seen[0][0] - 1, 0), seen[-1])
    return Run((last[1] - first[1]) / (last[0] - first[0]), memory_mb)


def _process(connection: Connection) -> None:
    """A worker that catches up as `process` does, until nobody asks any more."""
    configure("error", "json")
    tune_interpreter()  # as `process` does
    with ExitStack() as stack:
        for order in questions(connection):
            settings = ProcessingAlone(
                log=f"{order.log}?client={order.log.client}",
                database=order.database,
                group=order.group,
                partitions=str(PARTITIONS),
            )
            processor = ProcessorThread(settings, CollectorRegistry(), lambda: None)
            processor.start()
            stack.callback(processor.stop)
            connection.send(os.getpid())
