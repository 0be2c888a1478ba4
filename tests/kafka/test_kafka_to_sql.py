"""Worked sessions out of Kafka into SQL by two processors: the rows are those of the embedded log.

One of the two is taken away and another comes while they work; the broker is a real one.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from commands.kafka_clients import closes_sink, kafka_source
from commands.kafka_topics import migrate_topics
from deploy.local import LocalKafka
from models.kafka_log import Client, KafkaLog
from models.placement import Placement, parse_partition_counts
from models.policy import DEFAULT_POLICY
from models.records import Record
from models.tables import progress
from processor.database import reading
from processor.group import Membership
from tests.contract.tables import Content
from tests.golden.loading import golden_names, load_golden
from tests.kafka.broker import TIMES_OF_THE_TEST, collect_sockets, new_topic, producer
from tests.processor_shell.world import SMALL, World
from tests.reference.arrivals import Arrival

FOUR = Placement(parse_partition_counts("4"))
DONE_WITHIN_S = 120.0
OF_THE_PLACE = {"log_partition", "first_offset", "last_offset", "next_offset", "log_id"}


class Processor:
    """One processor in a thread of its own, as `process` runs it."""

    def __init__(self, world: World, log: KafkaLog) -> None:
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(world, log))
        self._thread.start()

    def _run(self, world: World, log: KafkaLog) -> None:
        membership = Membership("g", session_timeout_ms=1_000, heartbeat_interval_ms=100)
        try:
            with (
                closing(kafka_source(log, membership)) as source,
                closing(closes_sink(log)) as sink,
            ):
                world.runner(source, sink).run(self._stop)
        except BaseException as error:
            self._error = error
            raise

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        assert self._error is None


def golden_records() -> list[Record]:
    """All worked sessions under the usual rules, each under an id of its own."""
    records = []
    for number, name in enumerate(golden_names(), start=1):
        golden = load_golden(name, f"{number:064x}")
        if golden.policy == DEFAULT_POLICY:
            records += [step.record for step in golden.steps if isinstance(step, Arrival)]
    return records


def publish(world: World, log: KafkaLog) -> dict[int, int]:
    """The embedded log's records, with their times, into Kafka; where each partition then ends."""
    ends = dict.fromkeys(range(FOUR.partitions), 0)
    client = producer(log)
    for record in world.log_records():
        partition = FOUR.of(record.key.decode())
        client.send(
            log.topic,
            record.value,
            record.key,
            partition=partition,
            timestamp_ms=record.received_at,
        )
        ends[partition] += 1
    client.flush(10)
    client.close()
    return ends


def counted(rows: Content) -> Content:
    """Without what says where in which log it stood."""
    return {
        name: [{k: v for k, v in row.items() if k not in OF_THE_PLACE} for row in table]
        for name, table in rows.items()
        if name != "progress"
    }


@pytest.fixture
def log(broker: LocalKafka) -> Iterator[KafkaLog]:
    made = new_topic(broker.bootstrap, FOUR.partitions, **TIMES_OF_THE_TEST)
    migrate_topics(made, FOUR, None)
    yield made
    collect_sockets()


def progress_of(world: World) -> dict[int, tuple[int, int | None]]:
    with reading(world.engine) as connection:
        rows = connection.execute(
            select(progress.c.log_partition, progress.c.next_offset, progress.c.tick)
        )
        return {row.log_partition: (row.next_offset, row.tick) for row in rows}


def until(world: World, ends: dict[int, int], tick: int | None) -> None:
    """Returns when SQL has come to these ends, has ticked, and all closes have been told: whoever
    gets a partition last tells what its former owner had no time for."""
    deadline = time.monotonic() + DONE_WITHIN_S
    wanted = {(partition, end, tick) for partition, end in ends.items()}
    while wanted or (untold := world.content()["closes_outbox"]):
        assert time.monotonic() < deadline, wanted or untold
        time.sleep(0.02)
        for partition, end, at in list(wanted):
            if progress_of(world).get(partition) == (end, at):
                wanted.discard((partition, end, at))


@pytest.mark.parametrize(
    "clients",
    [
        ("kafka-python", "kafka-python", "kafka-python"),
        ("librdkafka", "librdkafka", "librdkafka"),
        ("kafka-python", "librdkafka", "librdkafka"),
        ("librdkafka", "kafka-python", "kafka-python"),
    ],
    ids=["kafka-python", "librdkafka", "to-librdkafka", "from-librdkafka"],
)
def test_two_processors_write_the_rows_of_the_embedded_log(
    tmp_path: Path, log: KafkaLog, clients: tuple[Client, Client, Client]
) -> None:
    """Also while the clients are changed, one processor after the other."""
    embedded, shared = _world(tmp_path / "embedded"), _world(tmp_path / "shared")
    records = golden_records()
    embedded.append(*records)
    last = max(event.received_at for record in records for event in record.events)
    embedded.now_ms = shared.now_ms = last + 3_600_000
    embedded.process()
    ends = publish(embedded, log)
    # All are made before the first one works: making one writes to the database.
    worlds = [World(shared.folder, settings=SMALL, now_ms=shared.now_ms) for _ in range(3)]
    logs = [log._replace(client=client) for client in clients]
    processors = [Processor(worlds[0], logs[0]), Processor(worlds[1], logs[1])]
    time.sleep(1.0)
    processors.pop(0).stop()
    processors.append(Processor(worlds[2], logs[2]))
    try:
        until(shared, ends, shared.now_ms - 60_000)
    finally:
        for processor in processors:
            processor.stop()
        for world in worlds:
            world.close()
    rows, wanted = counted(shared.content()), counted(embedded.content())
    assert [*rows] == [*wanted]
    for table, of_it in rows.items():
        assert of_it == wanted[table], table
    assert len(shared.content()["sessions_closed"]) > 20


def _world(folder: Path) -> World:
    folder.mkdir()
    return World(folder, settings=SMALL)
