"""Hypothesis strategies: any events of the contract, logs of them, and sane plans.

Only for tests; imports no `processor`.
"""

from typing import Any

from hypothesis import strategies as st

from models import limits
from models.policy import Policy
from models.records import EVENT_TYPES, Event, EventType, Record
from tests.reference.arrivals import Arrival, Step, Tick
from tests.reference.columns import CUSTOMERS_KEY, FLAG_COLUMNS, TEXT_COLUMNS, VISITOR_KEYS
from tests.reference.plans import (
    SESSION_ID,
    T0,
    AdPlan,
    Buffer,
    Chapter,
    Part,
    Pause,
    Play,
    Pod,
    Send,
    Wait,
    arriving,
    events_of_plan,
)
from tests.reference.quality import KEYS as QOE_KEYS

KNOWN_KEYS = [
    *TEXT_COLUMNS.values(),
    *VISITOR_KEYS,
    *FLAG_COLUMNS.values(),
    CUSTOMERS_KEY,
    "media.length",
    "media.ad.id",
    "media.ad.length",
    "media.ad.podIndex",
    "media.ad.podSecond",
    "media.ad.podPosition",
    "media.ad.podFriendlyName",
    "media.chapter.index",
    "media.chapter.length",
    "media.chapter.friendlyName",
    "media.state.name",
    "statesStart",
    "statesEnd",
    "media.errorId",
    "media.errorSource",
    *[
        prefix + key
        for key in (*QOE_KEYS, "errorID", "errorSource")
        for prefix in ("", "media.qoe.")
    ],
]
TEXTS = st.one_of(
    st.sampled_from(["N/A", "", "0", "-1", "1e999", "nan", "12.5", "live", "external", "mute"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30),
)
NUMBERS = st.one_of(
    st.integers(-limits.INTEGER_MAX, limits.INTEGER_MAX),
    st.floats(-limits.NUMBER_MAX, limits.NUMBER_MAX),
    st.integers(-1, 100),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(TEXTS, inner, max_size=3),
        st.lists(st.fixed_dictionaries({"media.state.name": inner}), max_size=3),
    ),
    max_leaves=4,
)
FIELDS = st.one_of(
    st.none(), st.dictionaries(st.one_of(st.sampled_from(KNOWN_KEYS), TEXTS), VALUES, min_size=1)
)
CUSTOM = st.one_of(st.none(), st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=2))
KINDS: st.SearchStrategy[EventType] = st.sampled_from(EVENT_TYPES)
INSTANTS = st.one_of(
    st.integers(T0, T0 + 10_000),
    st.integers(T0, T0 + 5_000_000),
    st.integers(0, limits.TS_MS_MAX),
)
PLAYHEADS = st.one_of(
    st.integers(0, 60_000), st.integers(0, limits.PLAYHEAD_MS_MAX), st.sampled_from([0, 600_000])
)


@st.composite
def any_event(draw: st.DrawFn) -> Event:
    """An event that the contract allows, whatever it says."""
    return Event(
        draw(KINDS),
        draw(INSTANTS),
        draw(PLAYHEADS),
        draw(FIELDS),
        draw(FIELDS),
        draw(CUSTOM),
    )


@st.composite
def any_log(draw: st.DrawFn, max_size: int = 25) -> list[Step]:
    """Records and ticks in the order of a log: `received_at` never runs backwards."""
    gaps = st.sampled_from([0, 0, 0, 1, 1000, 5000, 5001, 60_000, 600_000, 600_001, 86_400_000])
    now = T0
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, max_size))):
        now += draw(gaps)
        dice = draw(st.integers(0, 19))
        if dice == 0 and steps:
            steps.append(Tick(now))
            continue
        many = 4 if dice < 3 else 1
        drawn = draw(st.lists(any_event(), min_size=1, max_size=many))
        events = tuple(e._replace(received_at=now) for e in drawn)
        steps.append(Arrival(Record(SESSION_ID, dice == 1, events)))
    return steps


def policies() -> st.SearchStrategy[Policy]:
    return st.builds(
        Policy,
        unclosed_break=st.sampled_from(["content", "ad"]),
        break_gap=st.sampled_from(["excluded", "content"]),
        stall_detection=st.sampled_from(["on", "off"]),
        inactive_ms=st.sampled_from([600_000, 60_000]),
        idle_ms=st.sampled_from([1_800_000, 120_000]),
        expired_ms=st.sampled_from([86_400_000, 3_600_000]),
    )


# --- sane plans ------------------------------------------------------------------------------

DURATIONS = st.sampled_from([1, 300, 1000, 9_999, 10_000, 24_000, 61_500])
ADS = st.builds(
    AdPlan,
    ms=DURATIONS,
    pause_ms=st.sampled_from([0, 0, 0, 2500]),
    end=st.sampled_from(["adComplete", "adSkip"]),
)
PODS = st.builds(Pod, ads=st.lists(ADS, max_size=3).map(tuple), gap_ms=st.just(0))
PLAYS = st.builds(Play, ms=DURATIONS, permille=st.sampled_from([1000, 1500]))
BITRATES = st.sampled_from([800, 2400.5]).map(
    lambda rate: Send("bitrateChange", None, {"media.qoe.bitrate": rate})
)
PARTS: st.SearchStrategy[list[Part]] = st.one_of(
    PLAYS.map(lambda play: [play]),
    st.tuples(PLAYS, PODS, PLAYS).map(list),
    st.tuples(PLAYS, PODS).map(list),
    st.builds(Pause, DURATIONS).map(lambda pause: [pause]),
    st.builds(Buffer, DURATIONS).map(lambda buffer: [buffer]),
    st.sampled_from([[Chapter("chapterComplete")], [Chapter("chapterSkip")]]),
    BITRATES.map(lambda change: [change]),
    st.just([Send("stateStart", {"media.state.name": "mute"})]),
)


@st.composite
def sane_plan(draw: st.DrawFn) -> list[Part]:
    """Breaks without gaps whose ads all end; the playhead advances on content, else it stands.

    Content follows a break at once, so that no time passes in which only the bookends would tell
    a break from what is around it.
    """
    parts: list[Part] = [Wait(draw(st.sampled_from([0, 700])))]
    parts += draw(st.lists(PODS, max_size=2))
    parts.append(draw(PLAYS))
    for more in draw(st.lists(PARTS, max_size=8)):
        parts += more
    parts += [draw(PLAYS), Send("sessionComplete"), Send("sessionEnd")]
    return parts


@st.composite
def sane_events(draw: st.DrawFn) -> list[Event]:
    """The events of a sane plan, none of them the repeat of another."""
    events = events_of_plan(draw(sane_plan()), draw(st.sampled_from([2000, 10_000])))
    return [e._replace(custom={"number": str(i)}) for i, e in enumerate(events)]


@st.composite
def shuffled_within_window(draw: st.DrawFn) -> tuple[list[Step], list[Step]]:
    """A log in the order of `ts`, and the same events overtaking each other within the window.

    `sessionStart` is the first, `sessionEnd` the last, no event is there twice, and equal `ts` keep
    their order. No event is 10 min from the next, nor 30 min pass: no limit is touched.
    """
    kinds = st.sampled_from([k for k in EVENT_TYPES if k not in ("sessionStart", "sessionEnd")])
    gaps = st.sampled_from([0, 0, 1, 700, 3000, 5000, 10_000, 26_000])
    steps = draw(st.lists(st.tuples(kinds, gaps, PLAYHEADS, FIELDS, FIELDS), max_size=25))
    now, events = T0, [Event("sessionStart", T0, 0, draw(FIELDS))]
    for number, (kind, gap, playhead, params, qoe) in enumerate(steps):
        now += gap
        custom = {"number": str(number)}
        events.append(Event(kind, now, playhead, params, qoe, custom))
    if draw(st.booleans()):
        events.append(Event("sessionEnd", now + draw(st.sampled_from([1, 5000])), 0))
    delays = {e.ts: draw(st.integers(0, limits.REORDER_WINDOW_MS)) for e in events}
    sent = [e._replace(received_at=e.ts + delays[e.ts]) for e in events]
    sent.sort(key=lambda e: e.received_at)
    return arriving(events), [Arrival(Record(SESSION_ID, False, (e,))) for e in sent]
