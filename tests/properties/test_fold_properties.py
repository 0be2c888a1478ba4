"""What must hold of the fold for any events at all, and for sane ones.

Each property names the rule it holds (docs/rules.md). The logs come from hypothesis strategies;
`wild` adds sessions that are silly in ways that hypothesis seldom finds by itself.
"""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.policy import Policy
from models.records import Event
from models.rows import BreakRow, SessionFigures
from tests.production import Live, fold_arrivals, fold_prefixes, fold_with_cuts
from tests.reference.arrivals import Arrival, Step, Tick
from tests.reference.compare import differences
from tests.reference.ordering import Desk, take, with_waiting_applied
from tests.reference.plans import arriving, one_by_one
from tests.reference.reading import Reading
from tests.reference.strategies import any_log, policies, sane_events, shuffled_within_window
from tests.reference.wild import wild

TIMES = [name for name in SessionFigures._fields if name.endswith("_ms")]
MAY_BE_NULL = {"initial_startup_ms", "time_to_start_ms"}
MOVED_BY_BOOKENDS = {"content_ms", "ad_ms", "unbookended_ad_ms"}
SEEDS = st.integers(0, 1_000_000)
LOGS = st.one_of(any_log(), SEEDS.map(wild))
MANY = settings(max_examples=100)
SOME = settings(max_examples=50)


def times_of(reading: Reading, without: set[str] | None = None) -> dict[str, Any]:
    figures = reading.figures._asdict()
    return {name: figures[name] for name in TIMES if name not in (without or set())}


def sum_of_dt(desk: Desk) -> int:
    """Σ max(0, ts - previous ts) over the applied events, told from the order alone."""
    clock, elapsed = None, 0
    for applied in with_waiting_applied(desk).applied:
        if applied.manner == "in order" and clock is not None:
            elapsed += applied.event.ts - clock
        if applied.manner != "late":
            clock = applied.event.ts
    return elapsed


# --- any events ------------------------------------------------------------------------------


@MANY
@given(any_log(), policies())
def test_any_sequence_has_a_result(steps: list[Step], policy: Policy) -> None:
    """Total: no event in any state raises, nor does a summary or the way through the bytes."""
    readings = list(fold_prefixes(steps, Live(policy, reload=True)))
    assert readings


@SOME
@given(LOGS, policies())
def test_time_is_conserved_at_every_step(steps: list[Step], policy: Policy) -> None:
    """The buckets and what *ended* swallowed add up to the sum of all dt (Elapsed time)."""
    live, desk = Live(policy), Desk(policy)
    for step in steps[:80]:
        live.take(step)
        live.checkpoint()
        take(desk, step)
        if live.figures is None:
            continue
        f = live.figures
        buckets = f.content_ms + f.ad_ms + f.pause_ms + f.buffer_ms + f.stall_ms
        buckets += f.ad_gap_ms + f.startup_ms + f.untracked_ms
        assert buckets + live.ended_ms == sum_of_dt(desk)
        assert f.content_ms + f.ad_ms <= sum_of_dt(desk)
        assert min(times_of(live.reading(), MAY_BE_NULL).values()) >= 0


@MANY
@given(LOGS, policies(), st.sets(st.integers(0, 60)))
def test_a_cut_fold_equals_the_uncut_one(steps: list[Step], policy: Policy, cuts: set[int]) -> None:
    """Cut anywhere, written, serialised, loaded and continued: the same rows."""
    uncut = fold_with_cuts(steps, [], Live(policy))
    cut = fold_with_cuts(steps, sorted(cuts), Live(policy, reload=True))
    assert differences(uncut, cut) == {}


@MANY
@given(LOGS, st.data())
def test_ticks_on_the_way_and_one_at_the_end_are_the_same(
    steps: list[Step], data: st.DataObject
) -> None:
    """Closing: a tick changes nothing but what it closes."""
    arrivals = [s for s in steps if isinstance(s, Arrival)]
    times = [s.record.events[0].received_at for s in arrivals]
    end = Tick(times[-1] + data.draw(st.sampled_from([0, 5001, 600_000, 600_001, 90_000_000])))
    ticked: list[Step] = []
    for i, arrival in enumerate(arrivals):
        ticked.append(arrival)
        until = times[i + 1] if i + 1 < len(times) else end.at
        at = data.draw(st.none() | st.integers(times[i], until))
        ticked += [] if at is None else [Tick(at)]
    at_end = fold_arrivals([*arrivals, end])
    on_the_way = fold_arrivals([*ticked, end])
    assert differences(at_end, on_the_way) == {}


@MANY
@given(LOGS, st.sampled_from([0, 3000, 5001, 600_001, 90_000_000]))
def test_a_tick_changes_only_what_it_closes(steps: list[Step], later: int) -> None:
    """Closing: an open session that stays open keeps its rows; one that closes keeps its times."""
    arrivals = [s for s in steps if isinstance(s, Arrival)]
    last = arrivals[-1].record.events[0].received_at
    before, after = fold_arrivals(arrivals), fold_arrivals([*arrivals, Tick(last + later)])
    found = differences(before, after)
    found.pop("session.final", None)
    if before.closed or not after.closed:
        assert found == {}
    assert times_of(before) == times_of(after)
    assert before.figures.event_count == after.figures.event_count


# --- order and duplicates --------------------------------------------------------------------


@MANY
@given(shuffled_within_window(), st.booleans())
def test_order_within_the_window_does_not_matter(
    logs: tuple[list[Step], list[Step]], ticked: bool
) -> None:
    """Order: any arrival order within 5 s that keeps the order of equal ts gives the same rows."""
    in_order, shuffled = logs
    last = max(s.record.events[0].received_at for s in shuffled if isinstance(s, Arrival))
    end: list[Step] = [Tick(last + 5_001)] if ticked else []
    one, other = fold_arrivals([*in_order, *end]), fold_arrivals([*shuffled, *end])
    assert drop_final(differences(one, other)) == {}


def drop_final(found: dict[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    """Whether something still waits depends on the arrival of the last event, not on the rows."""
    return {name: pair for name, pair in found.items() if name != "session.final"}


@MANY
@given(sane_events(), st.data())
def test_duplicates_change_only_their_counter(events: list[Event], data: st.DataObject) -> None:
    """Order: an exact repeat of a waiting event or of one of the last 16 is only counted."""
    sent = [e._replace(received_at=e.ts + 50) for e in events]
    repeats = data.draw(st.lists(st.integers(0, len(sent) - 3), min_size=1, max_size=5))
    log = list(sent)
    for i in sorted(repeats, reverse=True):
        after = data.draw(st.integers(i, min(i + 12, len(sent) - 3)))
        log.insert(after + 1, sent[i]._replace(received_at=sent[after].received_at))
    once, twice = fold_arrivals(list(one_by_one(sent))), fold_arrivals(list(one_by_one(log)))
    assert twice.figures.duplicate_event_count == len(repeats)
    assert [f for f in twice.findings if f.code != "duplicate_event"] == list(once.findings)
    expected = once.figures._replace(
        duplicate_event_count=len(repeats), finding_count=once.figures.finding_count + 1
    )
    assert twice.figures == expected
    assert twice[1:7] == once[1:7]


# --- bookends and pings ----------------------------------------------------------------------


@MANY
@given(sane_events(), st.data())
def test_a_lost_bookend_moves_that_break_into_content(
    events: list[Event], data: st.DataObject
) -> None:
    """Bookends: without one, exactly that break's ad time is content; no other total moves."""
    bookends = [i for i, e in enumerate(events) if e.type in ("adBreakStart", "adBreakComplete")]
    assume(bookends)
    lost = data.draw(st.sampled_from(bookends))
    opened = [i for i in bookends if events[i].type == "adBreakStart"]
    number = sum(i <= lost for i in opened)
    whole = fold_arrivals(arriving(events))
    broken = fold_arrivals(arriving(events[:lost] + events[lost + 1 :]))
    moved = break_of(whole, number).ad_ms
    assert times_of(broken, MOVED_BY_BOOKENDS) == times_of(whole, MOVED_BY_BOOKENDS)
    assert broken.figures.content_ms == whole.figures.content_ms + moved
    assert broken.figures.unbookended_ad_ms == whole.figures.unbookended_ad_ms + moved
    assert broken.figures.ad_ms == whole.figures.ad_ms - moved
    assert broken.figures.pause_count == whole.figures.pause_count
    assert broken.figures.stall_count == 0


def break_of(reading: Reading, number: int) -> BreakRow:
    return next(b for b in reading.breaks if b.break_number == number)


@MANY
@given(sane_events(), st.data())
def test_added_pings_change_no_total(events: list[Event], data: st.DataObject) -> None:
    """Elapsed time: durations come from ts, so more pings change no total."""
    fuller = list(events)
    for number in range(data.draw(st.integers(1, 8))):
        i = data.draw(st.integers(0, len(fuller) - 2))
        ping = ping_between(fuller[i], fuller[i + 1], data)
        fuller.insert(i + 1, ping._replace(custom={"added": str(number)}))
    few, many = fold_arrivals(arriving(events)), fold_arrivals(arriving(fuller))
    allowed = {"figures.event_count", "figures.finding_count"}
    found = {
        name: pair
        for name, pair in differences(few, many).items()
        if name not in allowed and not name.startswith("findings[ping_gap]")
    }
    assert found == {}


def ping_between(before: Event, after: Event, data: st.DataObject) -> Event:
    """A ping on the way, its playhead in proportion."""
    dt = after.ts - before.ts
    passed = data.draw(st.integers(0, dt))
    way = (after.playhead_ms - before.playhead_ms) * passed // dt if dt else 0
    return Event("ping", before.ts + passed, before.playhead_ms + way)
