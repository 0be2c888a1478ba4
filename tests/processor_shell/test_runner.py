"""The live loop: where it starts, what stops it, what it waits for, when it ticks."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import structlog
from sqlalchemy import text, update

from models.policy import FOLD_VERSION
from models.tables import progress, projections
from processor.pace import RunnerSettings
from processor.runner import Runner
from processor.source import BeyondLogError, LogAwayError, OtherLogError
from tests.contract.tables import everything, live_ids, place
from tests.processor_shell.world import SMALL, World, event, session_id

MINUTE_MS = 60_000
CLAIMED = "processor_claimed_partition"


def set_progress(world: World, **values: object) -> None:
    with world.engine.begin() as connection:
        connection.execute(update(progress).values(**values))


def states_told(run: Callable[[], Runner]) -> list[str]:
    """The changes of state that were logged."""
    with structlog.testing.capture_logs() as lines:
        run()
    return [line["event"] for line in lines if line["event"] != CLAIMED]


# --- where it starts -----------------------------------------------------------------------------


def test_a_database_of_another_log_is_refused(world: World) -> None:
    world.append_events(1, event("play", 0))
    world.process()
    set_progress(world, log_id="another")
    before = everything(world.engine)
    with pytest.raises(OtherLogError, match="start with an empty database"):
        world.process()
    assert everything(world.engine) == before


def test_a_database_ahead_of_its_log_is_refused(world: World) -> None:
    world.append_events(1, event("play", 0))
    world.process()
    set_progress(world, next_offset=9)
    with pytest.raises(BeyondLogError, match=r"ends at offset 2 .* read on to 9"):
        world.process()


def test_a_new_database_begins_where_a_cut_log_starts(world: World) -> None:
    world.append_events(1, *(event("ping", n) for n in range(8)))
    world.log.execute('DELETE FROM log_records WHERE "offset" < 6')
    world.process()
    assert world.content()["sessions_live"][0]["first_offset"] == 6
    assert place(world.engine) == (9, None)


def test_a_database_that_has_read_all_of_an_emptied_log_goes_on(world: World) -> None:
    world.append_events(1, *(event("ping", n) for n in range(3)))
    world.process()
    world.log.execute("DELETE FROM log_records")
    world.append_events(1, event("ping", 4))
    world.process()
    assert place(world.engine)[0] == 5


# --- what is in its way --------------------------------------------------------------------------


def test_a_projection_of_other_rules_is_waited_for(world: World) -> None:
    world.append_events(1, event("play", 0))

    def set_version(version: int) -> None:
        with world.engine.begin() as connection:
            connection.execute(update(projections).values(fold_version=version))

    set_version(FOLD_VERSION + 1)
    waits = []

    class Stop(threading.Event):
        """Sees each pause; the projection is promoted in the third."""

        def wait(self, timeout: float | None = None) -> bool:
            waits.append(runner.status)
            if len(waits) == 3:
                set_version(FOLD_VERSION)
            return super().wait(0)

    runner = world.runner_of_its_own(stop := Stop())
    told = states_told(lambda: run_of(runner, stop))
    assert [status.state for status in waits] == ["standing_by"] * 3 + ["running"]
    assert f"rules of version {FOLD_VERSION + 1}" in waits[0].reason
    assert told == ["processor_standing_by", "processor_running", "processor_stopped"]
    assert live_ids(world.engine) == {session_id(1)}


def run_of(runner: Runner, stop: threading.Event) -> Runner:
    runner.run(stop)
    return runner


def test_a_locked_database_is_retried_until_it_is_free(world: World) -> None:
    world.append_events(1, *(event("ping", n) for n in range(9)))
    other = world.engine.connect()

    def hook(poll: int) -> None:
        if poll == 1:
            other.execute(text("SELECT 1"))  # begins, and so takes the write lock

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            if len(waits) == 4:
                other.close()
            return super().wait(0)

    waits: list[float | None] = []
    world.settings = replace(SMALL, backoff_first_s=0.1, backoff_max_s=0.3)
    runner = world.runner_of_its_own(stop := Stop(), hook)
    told = states_told(lambda: run_of(runner, stop))
    assert waits == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.0])
    assert told == ["processor_running", "processor_retrying", *told[-2:]]
    assert told[-2:] == ["processor_running", "processor_stopped"]
    assert world.sample("retries_total") == 4
    rows, _ = world.clean()
    assert world.content() == rows


def test_a_log_that_is_away_is_retried(world: World) -> None:
    world.append_events(1, *(event("ping", n) for n in range(9)))

    def hook(poll: int) -> None:
        if poll in (2, 3):
            raise LogAwayError("log.db", "disk I/O error")

    runner = world.process(hook)
    assert world.sample("retries_total") == 2
    assert runner.status.state == "stopped"
    rows, _ = world.clean()
    assert world.content() == rows


def test_a_defect_fails_and_is_told(world: World) -> None:
    def hook(poll: int) -> None:
        raise ZeroDivisionError("a defect")

    stop = threading.Event()
    runner = world.runner_of_its_own(stop, hook)
    with pytest.raises(ZeroDivisionError):
        runner.run(stop)
    assert runner.status == ("failed", "a defect")
    assert not runner.is_ready


def test_it_is_ready_only_while_it_works(world: World) -> None:
    stop = threading.Event()
    seen = []
    runner = world.runner_of_its_own(stop, lambda poll: seen.append(runner.is_ready))
    assert not runner.is_ready
    runner.run(stop)
    assert seen
    assert all(seen)
    assert not runner.is_ready
    assert world.sample("running") == 0


def test_stopping_writes_what_was_folded(world: World) -> None:
    world.settings = RunnerSettings()  # a checkpoint only after 1 s or 50,000 events
    world.append_events(1, event("play", 0), event("sessionEnd", 5))
    world.steady_s = -1_000_000

    def frozen() -> float:
        return world.steady_s

    stop = threading.Event()
    world.steady = frozen  # type: ignore[method-assign]  # no time passes
    runner = world.runner_of_its_own(stop, lambda poll: stop.set() if poll == 2 else None)
    runner._round_at = world.steady_s + 1
    runner.run(stop)
    assert place(world.engine)[0] == 3
    assert world.closes() == {session_id(1): event("ping", 5).ts}


# --- ticks ---------------------------------------------------------------------------------------


def reasons(world: World) -> dict[str, Any]:
    rows = world.content()["sessions_closed"]
    return {row["session_id"]: row["close_reason"] for row in rows}


def test_silence_closes_a_session_by_the_wall_clock(world: World) -> None:
    world.append_events(1, event("play", 0), event("ping", 5))
    world.now_ms = event("ping", 5).received_at + 10 * MINUTE_MS + SMALL.tick_delay_ms
    world.process()
    assert reasons(world) == {}
    world.now_ms += 1
    world.process()
    assert reasons(world) == {session_id(1): "inactive"}
    assert place(world.engine)[1] == world.now_ms - SMALL.tick_delay_ms


def test_a_tick_waits_until_all_is_read_that_had_arrived(world: World) -> None:
    """Seen too early, the session would seem silent, and its next event come after close."""
    world.append_events(1, *(event("ping", 500 * n) for n in range(40)))
    world.now_ms = event("ping", 500 * 39).received_at + MINUTE_MS
    world.settings = replace(SMALL, poll_records_max=1, checkpoint_events_max=1)
    world.process()
    (row,) = world.content()["sessions_live"]
    assert (row["event_count"], row["status"]) == (40, "live")


def test_a_processor_that_cannot_ask_where_the_log_ends_does_not_tick(world: World) -> None:
    world.append_events(1, event("play", 0))
    world.now_ms = event("play", 0).received_at + 60 * MINUTE_MS
    stop = threading.Event()
    runner = world.runner_of_its_own(stop)
    asked = 0

    def end_offset(partition: int) -> int:
        nonlocal asked
        asked += 1
        if asked > 1:  # the first is for the claim
            stop.set()
            raise LogAwayError("log.db", "gone")
        return 2

    runner._source.end_offset = end_offset  # type: ignore[method-assign]  # that is the fault
    runner.run(stop)
    assert asked > 1
    assert reasons(world) == {}


def test_a_wall_clock_set_back_takes_no_tick_back(world: World) -> None:
    world.append_events(1, event("play", 0))
    world.now_ms = event("play", 0).received_at + 11 * MINUTE_MS + 1
    world.process()
    _, tick = place(world.engine)
    world.append_events(2, event("play", 0), event("ping", 1))
    world.now_ms -= 5 * MINUTE_MS
    world.process()
    assert place(world.engine) == (4, tick)


@pytest.mark.parametrize("sessions_max", [1, 2, 100])
def test_ticks_in_slices_close_the_same(world: World, sessions_max: int) -> None:
    for number in range(7):
        world.append_events(number, event("play", number // 3), event("ping", 10 + number // 3))
    world.now_ms = event("ping", 12).received_at + 11 * MINUTE_MS + 1
    world.settings = replace(SMALL, tick_sessions_max=sessions_max)
    world.process()
    assert len(reasons(world)) == 7
    rows, _ = world.clean()
    assert world.content() == rows


def test_states_are_decoded_only_when_they_are_touched(world: World) -> None:
    world.append_events(1, event("play", 0))
    world.append_events(2, event("play", 0))
    world.process()
    with world.engine.begin() as connection:
        connection.execute(
            text("UPDATE sessions_live SET state = 'no state' WHERE session_id = :id"),
            {"id": session_id(2)},
        )
    world.append_events(1, event("ping", 10))
    world.process()
    counts = {r["session_id"]: r["event_count"] for r in world.content()["sessions_live"]}
    assert counts == {session_id(1): 2, session_id(2): 1}


# --- what it shows -------------------------------------------------------------------------------


def test_metrics_follow_the_log(world: World) -> None:
    world.append_events(
        1, event("play", 0), event("ping", 30), event("ping", 30), event("ping", 60)
    )
    world.append_events(1, event("ping", 1)._replace(received_at=event("ping", 61).received_at))
    world.append_events(2, event("play", 62), event("sessionEnd", 63), event("ping", 70))
    world.process()
    assert world.sample("events_total") == 8
    assert world.sample("records_total") == 8
    assert world.sample("duplicate_events_total") == 1
    assert world.sample("late_events_total") == 1
    assert world.sample("sessions_closed_total", reason="session_end") == 1
    assert world.sample("closes_published_total") == 1
    assert world.sample("next_offset", partition="0") == 9
    assert world.sample("live_sessions", partition="0") == 1
    assert world.sample("lag_records", partition="0") == 0
    assert world.sample("lag_seconds", partition="0") == 0
    assert world.sample("checkpoint_timestamp_seconds") == world.now_ms / 1000
    fold_count = world.sample("fold_seconds_count")
    assert fold_count is not None
    assert fold_count >= 2


def test_lag_is_what_waits_in_the_log(world: World) -> None:
    world.append_events(1, *(event("ping", n) for n in range(20)))
    world.settings = replace(SMALL, poll_records_max=5, checkpoint_events_max=5)
    world.now_ms = event("ping", 34).received_at
    seen = []

    def look(poll: int) -> None:
        seen.append(
            (
                world.sample("lag_records", partition="0"),
                world.sample("lag_seconds", partition="0"),
            )
        )

    world.process(look)
    assert (15.0, 30.0) in seen
    assert seen[-1] == (0.0, 0.0)


def test_a_change_of_state_is_one_line_and_an_event_none(world: World) -> None:
    world.append_events(1, *(event("ping", n) for n in range(50)))
    with structlog.testing.capture_logs() as lines:
        world.process()
    told = [line["event"] for line in lines]
    assert told == [CLAIMED, "processor_running", "processor_stopped"]
    assert json.dumps(lines)
