"""Whatever happens on the way, the rows are those of one clean fold of the log."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from models.records import Record
from processor.projection import Projection
from tests.contract.tables import Content, place
from tests.processor_shell.eventful import TINY, write_eventful
from tests.processor_shell.faults import FaultAt, Killed, killed, lost_connection
from tests.processor_shell.world import IDLE_POLLS_MAX, World, copy_of, records_of, session_id
from tests.reference.wild import realistic, wild

HOUR_MS = 3_600_000


def crowd(seed: int, count: int) -> list[Record]:
    """Sessions of all kinds, starting within an hour of each other."""
    rng = Random(seed)
    records: list[Record] = []
    for number in range(count):
        steps = realistic(number) if rng.random() < 0.2 else wild(seed * 1_000 + number)
        shift_ms = rng.randrange(HOUR_MS)
        for record in records_of(number, steps):
            later = [e._replace(received_at=e.received_at + shift_ms) for e in record.events]
            records.append(record._replace(events=tuple(later)))
    return records


def assert_clean(world: World) -> None:
    rows, closes = world.clean()
    assert world.content() == rows
    assert world.closes() == closes


def process_crowd(world: World, seed: int) -> None:
    """Many checkpoints, and the rows of one fold."""
    records = crowd(seed, 15)
    world.append(*records)
    world.now_ms = max(record.events[0].received_at for record in records)
    assert world.process().status.state == "stopped"
    assert_clean(world)


@pytest.mark.parametrize("seed", range(6))
def test_many_checkpoints_give_the_rows_of_one_fold(world: World, seed: int) -> None:
    process_crowd(world, seed)


@pytest.mark.parametrize("seed", range(6, 9))
def test_a_processor_that_follows_the_log_gives_the_rows_of_one_fold(
    world: World, seed: int
) -> None:
    """Restarted again and again, always caught up, so that ticks fall in between."""
    records = sorted(crowd(seed, 8), key=lambda record: record.events[0].received_at)
    rng = Random(seed)
    while records:
        some, records = records[: (size := rng.randrange(1, 120))], records[size:]
        world.append(*some)
        next_ms = records[0].events[0].received_at if records else some[-1].events[0].received_at
        world.now_ms = max(world.now_ms, next_ms)
        world.process()
        assert_clean(world)


@pytest.fixture
def eventful(tmp_path: Path) -> Iterator[World]:
    """A small log with everything in it, not yet processed."""
    (tmp_path / "first").mkdir()
    world = World(tmp_path / "first", settings=TINY)
    write_eventful(world)
    yield world
    world.close()


class Expected(NamedTuple):
    """What every way through the eventful log must end with."""

    rows: Content
    closes: dict[str, int]
    points: int
    polls: int


@pytest.fixture
def expected(eventful: World, tmp_path: Path) -> Expected:
    """An undisturbed run, held to be clean."""
    world = copy_of(eventful, tmp_path / "expected")
    faults = FaultAt(world.engine, killed)
    polls: list[int] = []
    world.process(polls.append)
    points = faults.points
    assert_clean(world)
    found = Expected(world.content(), world.closes(), points, len(polls))
    world.close()
    return found


def test_the_eventful_log_has_it_all(eventful: World, expected: Expected) -> None:
    """Else the faults below would hit less than they claim."""
    empty = {name for name, rows in expected.rows.items() if not rows}
    of_operators = {"forgotten_sessions", "log_gap_rows", "settled_letters"}
    assert empty == {"closes_outbox", "sessions_live", *of_operators}
    sessions = expected.rows["sessions_closed"]
    assert {row["close_reason"] for row in sessions} == {"session_end", "inactive"}
    assert max(row["events_after_close_count"] for row in sessions) == 3
    assert [row["session_id"] for row in expected.rows["ad_rows"]] == [session_id(1)]
    eventful.process()
    told = eventful.log.execute("SELECT session_id, closed_at FROM closes").fetchall()
    assert (session_id(3), None) in told
    assert len([s for s, at in told if s == session_id(4)]) == 2


@pytest.mark.parametrize("fault", [killed, lost_connection])
def test_a_fault_at_any_point_changes_nothing(
    eventful: World, expected: Expected, tmp_path: Path, fault: Callable[[], BaseException]
) -> None:
    world = copy_of(eventful, tmp_path / "faulty")
    faults = FaultAt(world.engine, fault)
    for at in range(1, expected.points + 1):
        world.go_back_to(eventful)
        faults.arm(at)
        process_again_when_killed(world)
        assert faults.points >= at
        assert (world.content(), world.closes()) == (expected.rows, expected.closes)
    world.close()


def test_killed_far_behind_at_any_point_changes_nothing(
    eventful: World, expected: Expected, tmp_path: Path
) -> None:
    """Polls that are folded session by session, and checkpoints of several of them."""
    world = copy_of(eventful, tmp_path / "behind")
    world.settings = replace(TINY, poll_records_max=12, behind_ms=10_000, settled_after_s=0)
    faults = FaultAt(world.engine, killed)
    world.process()
    points = faults.points
    for at in range(1, points + 1):
        world.go_back_to(eventful)
        faults.arm(at)
        process_again_when_killed(world)
        assert (world.content(), world.closes()) == (expected.rows, expected.closes)
    world.close()


def process_again_when_killed(world: World) -> None:
    try:
        world.process()
    except Killed:
        world.process()


def test_killed_at_every_poll(eventful: World, expected: Expected, tmp_path: Path) -> None:
    world = copy_of(eventful, tmp_path / "killed")
    for at in range(1, expected.polls + 1):
        world.go_back_to(eventful)

        def kill(poll: int, at: int = at) -> None:
            if poll == at:
                raise Killed

        with pytest.raises(Killed):
            world.process(kill)
        world.process()
        assert (world.content(), world.closes()) == (expected.rows, expected.closes)
    world.close()


def test_a_stale_owner_writes_nothing_and_claims_anew(
    eventful: World, expected: Expected, tmp_path: Path
) -> None:
    """At each poll in turn another processor claims the partition."""
    world = copy_of(eventful, tmp_path / "stale")
    other = Projection(world.engine, world.projection)
    for at in range(1, expected.polls - IDLE_POLLS_MAX):
        world.go_back_to(eventful)

        def claim(poll: int, at: int = at) -> None:
            if poll == at:
                other.claim(0, (str(world.log_path), world.log_id), 1)

        runner = world.process(claim)
        lost = world.registry.get_sample_value("bookended_processor_claims_lost_total")
        assert (lost, runner.status.state) == (1, "stopped")
        assert (world.content(), world.closes()) == (expected.rows, expected.closes)
    world.close()


def test_two_processors_side_by_side_never_mix(eventful: World) -> None:
    """They take turns: each claims, works a while, and finds its claim lost."""
    turns = 0

    def other_works(poll: int) -> None:
        nonlocal turns
        if poll % 4 == 0 and turns < 5:
            turns += 1
            eventful.process(stop_after_two)

    def stop_after_two(poll: int) -> None:
        if poll > 2:
            raise Killed

    def hook(poll: int) -> None:
        try:
            other_works(poll)
        except Killed:
            return

    eventful.process(hook)
    assert turns == 5
    assert_clean(eventful)
    assert place(eventful.engine)[0] == len(eventful.log_records()) + 1
