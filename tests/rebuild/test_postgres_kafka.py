"""Rebuilds where production runs: out of Kafka and an archive of it, into PostgreSQL."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from models.avro import encode
from models.kafka_log import KafkaLog
from models.policy import Policy
from models.records import Record
from processor.database import reading
from processor.projection import ensure_live_projection
from processor.projections import create_candidate, describe, places
from tests.commands.processes import PATIENCE_S, Cli, Server
from tests.kafka.broker import collect_sockets, new_topic, producer
from tests.processor_shell.test_exactly_once import crowd
from tests.rebuild.rows import Rows, live_number, rows_of
from tests.servers import KafkaServer

PARTITIONS = 2


@pytest.fixture
def log(kafka: KafkaServer) -> Iterator[KafkaLog]:
    yield new_topic(kafka.bootstrap, PARTITIONS)
    collect_sockets()


def publish(log: KafkaLog, records: Sequence[Record]) -> None:
    with closing(producer(log)) as client:
        for session_id, offline, events in sorted(records, key=lambda r: r.events[0].received_at):
            client.send(
                log.topic,
                encode(session_id, events, offline=offline),
                session_id.encode(),
                partition=int(session_id, 16) % PARTITIONS,
                timestamp_ms=events[0].received_at,
            )
        client.flush(10)


def read_on_to(engine: Engine, count: int) -> None:
    """Returns when the live projection has so many records."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with reading(engine) as connection:
            found = places(connection, 1)
        if sum(place.next_offset for place in found.values()) >= count:
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def rows(engine: Engine, projection: int) -> Rows:
    found = rows_of(engine, projection)
    found.pop("closes_outbox")
    return found


def test_from_kafka_and_its_archive(
    log: KafkaLog, postgres_url: str, postgres_engine: Engine, tmp_path: Path
) -> None:
    """Each way gives the live rows; the processor is at work until all is read."""
    place = {
        "BOOKENDED_LOG": f"kafka://{log.servers[0]}/{log.topic}",
        "BOOKENDED_DATABASE": postgres_url,
        "BOOKENDED_PARTITIONS": str(PARTITIONS),
        "BOOKENDED_GROUP": log.topic,
    }
    cli = Cli(tmp_path)

    def run(*arguments: str) -> str:
        done = cli(*arguments, **place)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("migrate")
    first, second = crowd(5, 12), crowd(6, 12)
    later = [
        record._replace(session_id=f"{int(record.session_id, 16) + 99:064x}") for record in second
    ]
    processor = Server(tmp_path, ("process",), place)
    try:
        publish(log, first)
        processor.wait_for("processor_running")
        read_on_to(postgres_engine, len(first))
        run("archive", "--to", "archive")
        publish(log, later)
        read_on_to(postgres_engine, len(first) + len(later))
        assert processor.stop() == 0
    finally:
        processor.end()
    live = rows(postgres_engine, live_number(postgres_engine))
    assert live["sessions_closed"]
    run("rebuild", "--jobs", "1")
    run("rebuild", "--jobs", "1", "--archive", "archive")
    run("archive", "--to", "archive")
    run("rebuild", "--jobs", "1", "--archive", "archive", "--archive-only")
    for candidate in (2, 3, 4):
        assert rows(postgres_engine, candidate) == live
    assert "No difference" in run("diff", "4")
    run("projections", "drop", "2")
    assert [one.projection for one in describe(postgres_engine)] == [1, 3, 4]
    assert not any(rows(postgres_engine, 2).values())
    assert rows(postgres_engine, 3) == live


def test_a_new_projection_waits_for_no_reader_and_no_writer(postgres_engine: Engine) -> None:
    ensure_live_projection(postgres_engine, Policy(), 1)
    with postgres_engine.connect() as reader, postgres_engine.connect() as writer:
        reader.execute(text("SELECT count(*) FROM sessions")).scalar_one()
        writer.execute(text("DELETE FROM sessions_live WHERE projection = 1"))
        assert create_candidate(postgres_engine, Policy(), None, 2) == 2
        reader.execute(text("SELECT count(*) FROM sessions, ads")).scalar_one()
        writer.commit()


def test_a_partition_is_as_its_table_and_has_a_size(postgres_engine: Engine) -> None:
    ensure_live_projection(postgres_engine, Policy(), 1)
    create_candidate(postgres_engine, Policy(), None, 2)
    query = (
        "SELECT count(*), count(DISTINCT i.inhparent) FROM pg_inherits i"
        " JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind = :kind"
    )
    with postgres_engine.connect() as connection:
        for kind in ("r", "i"):  # each of two partitions, and each of their indexes, has a parent
            count, parents = connection.execute(text(query), {"kind": kind}).one()
            assert count == 2 * parents
            assert parents > 0
        loose = "SELECT count(*) FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid"
        loose += (
            " JOIN pg_class t ON t.oid = x.indrelid WHERE t.relispartition AND NOT c.relispartition"
        )
        assert connection.execute(text(loose)).scalar_one() == 0
        fill = "SELECT reloptions FROM pg_class WHERE relname = 'sessions_live_2'"
        assert connection.execute(text(fill)).scalar_one() == ["fillfactor=50"]
    first, second = describe(postgres_engine)
    assert first.bytes is not None
    assert first.bytes == second.bytes
    assert first.bytes > 0
