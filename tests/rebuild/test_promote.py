"""Promotion and rollback: one row says what readers see, and processors follow it without loss."""

import threading
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import insert, select, update

from models.policy import Policy
from models.tables import closes_outbox, progress, projections
from processor.claim import ProjectionMissingError
from processor.database import open_database
from processor.projections import (
    LAG_MAX,
    NothingToRollBackError,
    PromotionRefusedError,
    Switched,
    create_candidate,
    describe,
    promote,
    rollback,
)
from tests.processor_shell.test_exactly_once import crowd
from tests.processor_shell.world import World, event
from tests.rebuild.rows import candidate_of, live_number, rebuild, rows_of, target_of

AD = Policy(unclosed_break="ad")


@pytest.fixture
def filled(world: World) -> World:
    records = crowd(3, 12)
    world.append(*records)
    world.now_ms = max(record.events[0].received_at for record in records)
    world.process()
    return world


def sessions_seen(world: World) -> list[tuple[object, ...]]:
    """What a reader of the public view sees."""
    with world.engine.connect() as connection:
        query = "SELECT * FROM sessions ORDER BY session_id"
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def assert_as_rebuilt(world: World, projection: int, policy: Policy) -> None:
    """A projection has the rows of one fold of the log up to where it is."""
    again = candidate_of(world, policy)
    rebuild(world, again, target=target_of(world.engine, projection))
    assert rows_of(world.engine, projection) == rows_of(world.engine, again)


def test_readers_see_the_candidate_once_it_is_promoted(filled: World) -> None:
    before = sessions_seen(filled)
    candidate = candidate_of(filled, AD)
    rebuild(filled, candidate)
    assert sessions_seen(filled) == before
    assert promote(filled.engine, candidate) == Switched(1, 2, 0)
    assert sessions_seen(filled) != before
    assert rollback(filled.engine) == Switched(2, 1, 0)
    assert sessions_seen(filled) == before


def test_the_processor_goes_on_with_the_promoted_projection(filled: World) -> None:
    candidate = candidate_of(filled, AD)
    rebuild(filled, candidate)
    filled.append(*crowd(5, 4))

    def promote_midway(poll: int) -> None:
        if poll == 5:
            promote(filled.engine, candidate)

    filled.process(hook=promote_midway)
    assert live_number(filled.engine) == candidate
    assert_as_rebuilt(filled, candidate, AD)


def test_an_idle_processor_follows_too(filled: World) -> None:
    candidate = candidate_of(filled, AD)
    rebuild(filled, candidate)

    def promote_midway(poll: int) -> None:
        if poll == 3:
            promote(filled.engine, candidate)

    filled.process(hook=promote_midway)
    with filled.engine.connect() as connection:
        rows = connection.execute(select(progress.c.projection, progress.c.owner))
        owners = {row.projection: row.owner for row in rows}
    assert owners[1] is None
    assert owners[candidate] is not None


def test_a_rollback_catches_up(filled: World) -> None:
    candidate = candidate_of(filled, AD)
    rebuild(filled, candidate)
    promote(filled.engine, candidate)
    filled.append(*crowd(5, 4))
    filled.process()
    switched = rollback(filled.engine)
    assert switched.behind > 0
    filled.process()
    assert_as_rebuilt(filled, 1, Policy())


def test_closes_that_wait_go_with_the_live_projection(filled: World) -> None:
    candidate = candidate_of(filled)
    rebuild(filled, candidate)
    waiting = {"projection": 1, "log_partition": 0, "session_id": "a", "closed_at": 5}
    with filled.engine.begin() as connection:
        connection.execute(insert(closes_outbox), [waiting])
    promote(filled.engine, candidate)
    filled.process()
    assert filled.closes()["a"] == 5


def test_what_is_far_behind_is_refused(filled: World) -> None:
    candidate = candidate_of(filled)
    with filled.engine.begin() as connection:
        connection.execute(update(progress).values(next_offset=LAG_MAX + 1))
    with pytest.raises(PromotionRefusedError, match="records behind") as refused:
        promote(filled.engine, candidate)
    assert f"bookended rebuild --into {candidate}" in str(refused.value)
    assert live_number(filled.engine) == 1


def test_what_is_no_whole_projection_of_this_release_is_refused(filled: World) -> None:
    part = create_candidate(filled.engine, Policy(), {"sessions": 3}, filled.now_ms)
    with pytest.raises(PromotionRefusedError, match="a part of the sessions"):
        promote(filled.engine, part)
    with pytest.raises(PromotionRefusedError, match="it already is"):
        promote(filled.engine, 1)
    with pytest.raises(ProjectionMissingError, match="no projection 9"):
        promote(filled.engine, 9)
    other = candidate_of(filled)
    rebuild(filled, other)
    with filled.engine.begin() as connection:
        mine = projections.c.projection == other
        connection.execute(update(projections).where(mine).values(fold_version=99))
    with pytest.raises(PromotionRefusedError, match="with the release that made it"):
        promote(filled.engine, other)


def test_what_was_read_from_another_log_is_refused(filled: World) -> None:
    candidate = candidate_of(filled)
    rebuild(filled, candidate)
    with filled.engine.begin() as connection:
        mine = progress.c.projection == candidate
        connection.execute(update(progress).where(mine).values(log_id="another"))
    with pytest.raises(PromotionRefusedError, match="from another log"):
        promote(filled.engine, candidate)


def test_without_an_earlier_one_there_is_nothing_to_roll_back_to(filled: World) -> None:
    with pytest.raises(NothingToRollBackError, match="no earlier projection"):
        rollback(filled.engine)


def test_projections_are_described(filled: World) -> None:
    candidate = candidate_of(filled, AD)
    rebuild(filled, candidate)
    promote(filled.engine, candidate)
    first, second = describe(filled.engine)
    assert (first.is_live, first.is_previous, second.is_live) == (False, True, True)
    assert first.sessions == second.sessions == 12
    assert second.policy == AD
    assert second.places[0].next_offset == first.places[0].next_offset


def test_readers_in_a_loop_see_one_projection_or_the_other(filled: World, tmp_path: Path) -> None:
    candidate = candidate_of(filled, AD)
    rebuild(filled, candidate)
    one = sessions_seen(filled)
    promote(filled.engine, candidate)
    other = sessions_seen(filled)
    assert one != other
    stop = threading.Event()
    seen: list[bool] = []

    def read() -> None:
        engine = open_database(f"sqlite:///{filled.database_path}", read_only=True)
        while not stop.is_set():
            with engine.connect() as connection:
                query = "SELECT * FROM sessions ORDER BY session_id"
                rows = [tuple(row) for row in connection.exec_driver_sql(query)]
            seen.append(rows in (one, other))
        engine.dispose()

    reader = threading.Thread(target=read)
    reader.start()
    chance = Random(1)
    try:
        for _ in range(30):
            rollback(filled.engine)
            stop.wait(chance.random() / 50)
    finally:
        stop.set()
        reader.join()
    assert len(seen) > 1
    assert all(seen)


def test_an_event_after_promotion_is_counted_once(world: World) -> None:
    world.append_events(900, event("play", 0), event("ping", 10))
    world.process()
    candidate = candidate_of(world)
    rebuild(world, candidate)
    promote(world.engine, candidate)
    world.append_events(900, event("ping", 20), event("ping", 30))
    world.process()
    (row,) = rows_of(world.engine, candidate)["sessions_live"]
    assert (row["content_ms"], row["event_count"]) == (30_000, 4)
