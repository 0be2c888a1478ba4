"""Records that were gone before they were read: refused, or accepted and written down."""

from dataclasses import replace

import pytest

from processor.source import LogGapError
from tests.contract.tables import place
from tests.processor_shell.test_runner import MINUTE_MS, set_progress
from tests.processor_shell.world import SMALL, World, event, session_id
from tests.reference.plans import T0


def test_a_log_cut_too_far_is_refused_and_the_gap_named(world: World) -> None:
    world.append_events(1, *(event("ping", n) for n in range(8)))
    world.process()
    set_progress(world, next_offset=3)
    world.log.execute('DELETE FROM log_records WHERE "offset" < 6')
    with pytest.raises(LogGapError, match=r"records 3 to 5 are gone"):
        world.process()


def test_a_gap_is_crossed_when_it_is_accepted(world: World) -> None:
    """The gap is a row, and every session that was live may have lost events: it says so."""
    world.append_events(1, event("play", 0))
    world.append_events(2, event("play", 1), event("sessionEnd", 2))
    world.append_events(3, event("ping", 3), event("ping", 4))
    world.now_ms = T0 + MINUTE_MS + 30_000
    world.process()
    world.log.execute("DELETE FROM log_records")
    world.append_events(4, *(event("ping", n) for n in (5, 6, 7)))
    world.log.execute('DELETE FROM log_records WHERE "offset" < 8')
    world.append_events(1, event("ping", 10))
    world.settings = replace(SMALL, accepts_gaps=True)
    world.now_ms += 5_000
    world.process()
    (gap,) = world.content()["log_gap_rows"]
    assert gap == {
        "projection": 1,
        "log_partition": 0,
        "first_offset": 6,
        "last_offset": 7,
        "session_count": 2,
        "read_until": T0 + 30_000,
        "accepted_at": world.now_ms,
    }
    detail = "records 6 to 7 of partition 0 are gone"
    found = [row for row in world.content()["finding_rows"] if row["code"] == "log_gap"]
    assert [(r["session_id"], r["first_ts"], r["detail"]) for r in found] == [
        (session_id(1), T0, detail),
        (session_id(3), T0 + 4_000, detail),
    ]
    (first,) = (r for r in world.content()["sessions_live"] if r["session_id"] == session_id(1))
    assert (first["event_count"], first["finding_count"]) == (2, 1)
    assert world.sample("lost_offsets_total") == 2
    assert place(world.engine)[0] == 10


def test_a_gap_stays_if_it_was_not_written(world: World) -> None:
    """A crash before the checkpoint leaves all as it was: the gap is met again."""
    world.append_events(1, event("play", 0), event("ping", 1))
    world.process()
    world.log.execute("DELETE FROM log_records")
    world.append_events(1, event("ping", 2), event("ping", 3))
    world.log.execute('DELETE FROM log_records WHERE "offset" < 4')
    before = world.content()
    world.settings = replace(SMALL, accepts_gaps=True)

    def crash(poll: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        world.process(crash)
    assert world.content() == before
    world.settings = SMALL
    with pytest.raises(LogGapError, match=r"go on without them by --accept-gap"):
        world.process()
