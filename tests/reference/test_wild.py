"""The generator of wild sessions is rich enough; the second reading keeps its laws on them."""

from collections import Counter
from functools import cache

import pytest

from models import limits
from tests.reference.arrivals import Arrival, Tick
from tests.reference.crowds import crowded, fidgety, flood
from tests.reference.reading import Reading, read
from tests.reference.wild import realistic, wild

SEEDS = range(2000)
FINDINGS = {
    "ad_not_ended",
    "ad_without_break",
    "break_completed_twice",
    "break_not_completed",
    "break_without_start",
    "clock_set_back",
    "close_before_start",
    "duplicate_event",
    "end_without_ad",
    "end_without_chapter",
    "event_after_close",
    "inferred_play",
    "late_event",
    "missing_length",
    "missing_param",
    "no_session_start",
    "ping_gap",
    "placeholder_value",
    "play_before_preroll",
    "playhead_moved_in_ad",
    "playhead_out_of_range",
    "second_session_start",
    "too_many_states",
    "unknown_param",
    "wrong_type",
}
"""All of semantics.md §10 but `too_many_rows`, which needs a crowd."""
REASONS = {None, "session_end", "inactive", "idle", "expired", "end_of_list"}
CORNERS = {
    "a close waited when a limit was over",
    "break over break",
    "content in break",
    "ended again",
    "inferred play in a break",
    "late sessionEnd",
    "late sessionStart",
    "not playing after break",
    "offline list of a known session",
    "smallest gap closed",
    "starting again",
    "state started twice",
    "swapped opening in order",
    "swapped opening late",
    "tick closed",
    "tick released",
    "untracked",
    "waited past the close",
    "waiting close ignored",
}


@cache
def readings() -> list[Reading]:
    return [read(wild(seed)) for seed in SEEDS]


def test_every_finding_is_met_often() -> None:
    met = Counter(f.code for r in readings() for f in r.findings)
    assert {code for code, count in met.items() if count >= 10} == FINDINGS


def test_every_way_to_close_is_met_often() -> None:
    met = Counter(r.figures.close_reason for r in readings())
    assert {reason for reason, count in met.items() if count >= 10} == REASONS


def test_every_corner_of_the_rules_is_met() -> None:
    met = Counter(trait for r in readings() for trait in r.traits)
    assert {corner for corner in CORNERS if met[corner] < 5} == set()


def test_every_time_is_met() -> None:
    met: Counter[str] = Counter()
    for r in readings():
        figures = r.figures._asdict()
        met.update(name for name in figures if name.endswith("_ms") and figures[name])
    assert min(met.values()) >= 50, met


def test_time_is_conserved() -> None:
    for r in readings():
        f = r.figures
        apart = f.pause_ms + f.buffer_ms + f.stall_ms + f.ad_gap_ms + f.startup_ms
        assert f.media_ms + apart + f.untracked_ms + r.ended_ms == r.elapsed_ms


def test_ticks_and_arrivals_stand_in_order() -> None:
    for seed in SEEDS:
        now = 0
        for step in wild(seed):
            times = [step.at] if isinstance(step, Tick) else [received(step)]
            assert times[0] >= now, seed
            now = times[0]


def received(arrival: Arrival) -> int:
    ats = {e.received_at for e in arrival.record.events}
    assert len(ats) == 1, "a record arrives at one instant"
    return ats.pop()


def test_a_seed_is_always_the_same_session() -> None:
    assert wild(7) == wild(7)
    assert wild(7) != wild(8)


@pytest.mark.parametrize("seed", range(20))
def test_realistic_sessions_are_closed_and_hardly_odd(seed: int) -> None:
    reading = read(realistic(seed))
    assert reading.figures.close_reason == "session_end"
    assert reading.figures.late_event_count == reading.figures.duplicate_event_count == 0


def test_flood_overflows_the_window() -> None:
    assert "more than 1000 waiting" in read(flood(1)).traits


def test_crowd_has_more_than_its_tables_keep() -> None:
    reading = read(crowded(1))
    tables = [reading.breaks, reading.ads, reading.chapters, reading.errors]
    assert [len(t) for t in tables] == [limits.CHILD_ROWS_MAX] * 4
    assert "too_many_rows" in {f.code for f in reading.findings}


def test_fidgety_sessions_have_more_periods_than_are_kept() -> None:
    reading = read(fidgety(0))
    assert [len(row.periods or ()) for row in reading.player_states] == [limits.PERIODS_MAX] * 2
    assert {"clock_set_back", "late_event"} <= {f.code for f in reading.findings}
    assert reading.figures.untracked_ms > 0
