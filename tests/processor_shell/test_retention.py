"""`--log-retention`: what may be deleted from the embedded log, and what never."""

import structlog
from sqlalchemy import insert, select

from models.tables import progress
from processor.embedded_source import TRIM_RECORDS_MAX, LogRetention
from processor.runner import TRIM_BATCHES_MAX
from processor.source import LogAwayError
from tests.contract.tables import place
from tests.processor_shell.world import World, event


def offsets(world: World) -> list[int]:
    return [record.offset for record in world.log_records()]


def process_with_retention(world: World, kept_ms: int) -> None:
    retention = LogRetention(world.log_path, kept_ms, lambda: world.now_ms)
    world.process(retention=retention)
    retention.close()


def test_old_records_go_once_they_are_in_sql(world: World) -> None:
    world.append_events(1, *(event("ping", 10 * n) for n in range(6)))
    world.now_ms = event("ping", 65).received_at
    process_with_retention(world, 30_000)
    assert offsets(world) == [5, 6]  # the others are older than 30 s
    world.append_events(1, event("ping", 70))
    process_with_retention(world, 30_000)
    assert place(world.engine)[0] == 8
    assert world.content()["sessions_live"][0]["event_count"] == 7


def test_what_a_second_projection_has_not_read_stays(world: World) -> None:
    world.append_events(1, *(event("ping", n) for n in range(6)))
    world.process()
    with world.engine.begin() as connection:
        row = connection.execute(select(progress)).mappings().one()
        slower = {**row, "projection": 2, "next_offset": 4}
        connection.execute(insert(progress).values(slower))
    world.now_ms = event("ping", 1_000).received_at
    process_with_retention(world, 0)
    assert offsets(world) == [4, 5, 6]


def test_much_is_trimmed_in_batches(world: World) -> None:
    count = 2 * TRIM_RECORDS_MAX + 5
    world.log.execute("BEGIN")
    world.append_events(1, *(event("ping", n / 1_000) for n in range(count)))
    world.log.execute("COMMIT")
    world.now_ms = event("ping", 100).received_at
    process_with_retention(world, 0)
    assert offsets(world) == []


def test_one_round_trims_only_so_much(world: World) -> None:
    calls = []

    class Endless:
        def trim(self, next_offset: int) -> int:
            calls.append(next_offset)
            return 1

    world.append_events(1, event("play", 0))
    runner = world.process(retention=Endless())
    assert runner.status.state == "stopped"
    assert len(calls) % TRIM_BATCHES_MAX == 0
    assert set(calls) == {2}


def test_a_log_that_cannot_be_trimmed_stops_nothing_else(world: World) -> None:
    class Broken:
        def trim(self, next_offset: int) -> int:
            raise LogAwayError("log.db", "database is locked")

    world.append_events(1, event("play", 0))
    with structlog.testing.capture_logs() as lines:
        world.process(retention=Broken())
    assert [line["event"] for line in lines].count("processor_cannot_write_log") == 1
    assert place(world.engine)[0] == 2
