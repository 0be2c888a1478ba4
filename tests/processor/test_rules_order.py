"""Order, lateness, duplicates and closing: one small session for each rule (docs/rules.md).

The figures are worked out by hand from the rules. Whole sessions stand in tests/golden.
"""

import pytest

from models.policy import DEFAULT_POLICY
from models.records import Event, EventType, playhead_to_ms
from processor.session import arrive, tick
from tests.processor.sessions import at, event, records, session, start, state_of, told

MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400


def live(*moments: float, kind: EventType = "ping") -> list[Event]:
    """Pings that arrive when they happen, with the playhead going along."""
    return [event(kind, second, second, second) for second in moments]


# --- order --------------------------------------------------------------------------------------


def test_playheads_are_whole_milliseconds() -> None:
    assert (playhead_to_ms(0.0004), playhead_to_ms(12.3456), playhead_to_ms(7)) == (0, 12_346, 7000)


@pytest.mark.parametrize(("arrives_s", "late"), [(5.0, 0), (5.001, 1)])
def test_an_event_waits_for_five_seconds_of_arrival_time(arrives_s: float, late: int) -> None:
    says = session(
        event("play", 10, 0, 0), event("ping", 20, 10, arrives_s), event("ping", 5, 0, arrives_s)
    )
    assert says.figures.late_event_count == late
    assert says.figures.event_count == 3


def test_what_waits_is_in_the_summary() -> None:
    says = session(event("play", 0, 0, 0), event("ping", 4, 4, 4))
    assert (says.figures.event_count, says.figures.content_ms) == (2, 4_000)


@pytest.mark.parametrize(
    ("kinds", "pause_ms"),
    [(("bufferStart", "pauseStart"), 5_000), (("pauseStart", "bufferStart"), 0)],
)
def test_equal_ts_keep_their_order_of_arrival(
    kinds: tuple[EventType, EventType], pause_ms: int
) -> None:
    first, second = kinds
    says = session(event("play", 0), event(first, 5, 5), event(second, 5, 5), event("ping", 10, 5))
    assert (says.figures.pause_ms, says.figures.buffer_ms) == (pause_ms, 5_000 - pause_ms)


@pytest.mark.parametrize(("waiting", "late"), [(1_000, 0), (1_001, 1)])
def test_at_most_a_thousand_wait(waiting: int, late: int) -> None:
    pings = [event("ping", 1 + second, second, 0) for second in range(waiting)]
    assert session(*pings, event("ping", 0.5, 0, 0)).figures.late_event_count == late


def test_an_event_overtaken_by_the_close_still_counts() -> None:
    says = session(
        event("play", 0, 0, 0), event("sessionEnd", 20, 20, 20), event("pauseStart", 10, 10, 22)
    )
    assert (says.figures.content_ms, says.figures.pause_ms) == (10_000, 10_000)
    assert says.figures.events_after_close_count == 0


# --- late, clock set back -----------------------------------------------------------------------

APPLIED_TO_20 = (event("play", 0, 0, 0), event("ping", 20, 20, 20), event("ping", 30, 30, 30))


def test_a_late_event_takes_effect_at_the_session_clock() -> None:
    says = session(
        *APPLIED_TO_20, event("chapterStart", 15, 15, 30, index=1), event("error", 12, 12, 30)
    )
    assert says.chapters[0].started_at == at(20)
    assert says.chapters[0].content_ms == 10_000
    assert (says.errors[0].at, says.errors[0].playhead_s) == (at(12), 12.0)
    assert says.findings["late_event"][1:3] == (2, at(15))


def test_a_late_event_moves_neither_clock_nor_playhead_nor_start() -> None:
    says = session(*APPLIED_TO_20, event("ping", -5, 99, 30))
    assert (says.figures.started_at, says.figures.last_event_at) == (at(0), at(30))
    assert (says.figures.content_ms, says.figures.unique_content_ms) == (30_000, 30_000)
    assert says.figures.max_playhead_s == 30.0
    assert says.figures.event_count == 4


def test_a_late_close_closes_at_the_session_clock() -> None:
    says = session(*APPLIED_TO_20, event("sessionEnd", 10, 10, 30))
    assert (says.figures.close_reason, says.figures.closed_at) == ("session_end", at(20))
    assert says.figures.events_after_close_count == 1, "what waited behind it"
    assert says.figures.content_ms == 20_000


@pytest.mark.parametrize(("back_s", "late", "set_back"), [(600, 1, 0), (600.001, 0, 1)])
def test_more_than_ten_minutes_back_sets_the_clock_back(
    back_s: float, late: int, set_back: int
) -> None:
    says = session(
        event("play", 1000, 0, 0),
        event("ping", 1010, 10, 10),
        event("ping", 1020, 20, 20),
        event("ping", 1010 - back_s if late else 1020 - back_s - 10, 20, 20),
    )
    assert says.figures.late_event_count == late
    assert ("clock_set_back" in says.findings) == bool(set_back)
    assert says.figures.event_count == 4
    assert says.figures.content_ms == 20_000
    assert says.figures.last_event_at == (at(1020) if late else at(409.999))


def test_time_goes_on_from_where_the_clock_was_set_back() -> None:
    says = session(
        *APPLIED_TO_20, event("ping", -HOUR_S, 500, 30), event("ping", -HOUR_S + 10, 510, 40)
    )
    assert says.figures.content_ms == says.figures.unique_content_ms == 40_000
    assert says.figures.content_segment == "[0-2]", "0 to 30 s and 500 to 510 s"


def test_the_idle_clock_starts_anew_where_the_clock_was_set_back() -> None:
    set_back = event("ping", -HOUR_S, 20, 20)
    stands = [
        event("ping", -HOUR_S + minute * MINUTE_S, 20, 20 + minute * MINUTE_S)
        for minute in range(5, 36, 5)
    ]
    says = session(*APPLIED_TO_20[:2], set_back, *stands)
    assert says.figures.close_reason == "idle"
    assert says.figures.closed_at == at(-HOUR_S + 30 * MINUTE_S)


# --- sessionStart -------------------------------------------------------------------------------


def test_a_session_start_that_comes_after_the_pre_roll() -> None:
    says = session(
        event("adBreakStart", 0),
        event("adStart", 0),
        event("adComplete", 10),
        event("adBreakComplete", 10),
        start(10),
        event("play", 10),
    )
    assert says.figures.started_at == at(0)
    assert says.figures.ad_ms == 10_000
    assert says.start is not None
    assert says.start.content_id == "c"
    assert "no_session_start" not in says.findings


def test_the_fields_of_a_session_start_count_from_its_arrival() -> None:
    begun = start(0, 30)
    says = session(*APPLIED_TO_20, begun)
    assert says.start is not None
    assert says.figures.late_event_count == 1
    assert says.figures.progress_25, "30 s of 100 s"


def test_a_session_without_start_is_told_of_when_it_closes() -> None:
    assert "no_session_start" not in session(event("play", 0)).findings
    says = session(event("play", 0), event("sessionEnd", 5, 5))
    assert says.findings["no_session_start"][1:3] == (1, at(5))
    assert says.start is None
    assert says.figures.content_ms == 5_000


def test_a_second_session_start_changes_no_field() -> None:
    says = session(start(0), event("play", 0), start(5, id="other", length=7))
    assert says.start is not None
    assert (says.start.content_id, says.start.content_length_s) == ("c", 100)
    assert says.findings["second_session_start"][1:3] == (1, at(5))
    assert says.figures.event_count == 3


# --- duplicates and what is ignored -------------------------------------------------------------


@pytest.mark.parametrize(("applied", "duplicates"), [(16, 1), (17, 0)])
def test_the_last_sixteen_applied_are_remembered(applied: int, duplicates: int) -> None:
    pings = live(*range(0, 10 * applied + 1, 10))
    says = session(*pings, pings[0]._replace(received_at=at(10 * applied)))
    assert says.figures.duplicate_event_count == duplicates
    assert says.figures.late_event_count == 1 - duplicates
    assert says.figures.event_count == applied + 2 - duplicates


def test_another_quality_value_makes_another_event() -> None:
    says = session(
        event("play", 0),
        event("ping", 0, 0, qoe={"bitrate": 1}),
        event("ping", 0, 0),
        event("ping", 0, 0),
    )
    assert (says.figures.event_count, says.figures.duplicate_event_count) == (3, 1)


def test_a_late_event_that_comes_twice() -> None:
    late = event("ping", 10, 10, 30)
    says = session(*APPLIED_TO_20, late, late)
    assert (says.figures.late_event_count, says.figures.duplicate_event_count) == (1, 1)


@pytest.mark.parametrize("kind", ["sessionEnd", "sessionComplete"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_close_of_the_session_before_is_ignored(kind: EventType, is_first: bool) -> None:
    close, begun = event(kind, -1, 0, 0), start(0, 0)
    says = session(*((close, begun) if is_first else (begun, close)), event("play", 1, 0, 1))
    assert says.figures.status == "live"
    assert (says.figures.event_count, says.figures.started_at) == (2, at(0))
    assert says.findings["close_before_start"][1:3] == (1, at(-1))


def test_a_close_before_the_start_counts_once_the_clock_was_set_back() -> None:
    says = session(
        start(0, 0),
        *APPLIED_TO_20,
        event("ping", -HOUR_S, 30, 30),
        event("sessionEnd", -HOUR_S + 5, 35, 35),
    )
    assert says.figures.close_reason == "session_end"
    assert "close_before_start" not in says.findings


def test_what_comes_after_the_close_only_counts_itself() -> None:
    end = event("sessionEnd", 10, 10, 10)
    says = session(
        event("play", 0, 0, 0),
        end,
        event("ping", 20, 20, 20),
        end._replace(received_at=at(21)),
        event("ping", 5, 5, 22),
    )
    assert says.figures.events_after_close_count == 3
    assert (says.figures.duplicate_event_count, says.figures.late_event_count) == (0, 0)
    assert (says.figures.event_count, says.figures.last_event_at) == (2, at(10))
    assert says.findings["event_after_close"][1:3] == (3, at(20))


# --- closing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gap_s", "reason"), [(600, None), (600.001, "inactive")])
@pytest.mark.parametrize("by_tick", [True, False])
def test_inactive_after_ten_minutes_of_arrival_time(
    gap_s: float, reason: str | None, by_tick: bool
) -> None:
    events = live(0, 10)
    if by_tick:
        says = session(*events, tick_s=10 + gap_s)
    else:
        says = session(*events, event("ping", 15, 15, 10 + gap_s))
    assert says.figures.close_reason == reason
    if reason:
        assert (says.figures.closed_at, says.figures.seconds_since_last_event) == (at(10), 600)
        assert says.figures.events_after_close_count == (0 if by_tick else 1)


def _day_long(last_s: int) -> list[Event]:
    """A day of one event every five minutes, the last one arriving at `last_s`."""
    return live(*range(0, last_s - 300, 300), last_s)


@pytest.mark.parametrize(
    ("last_s", "reason", "seconds"),
    [(86_399, "expired", 1), (85_801, "expired", 599), (85_800, "inactive", 600)],
)
@pytest.mark.parametrize("by_tick", [True, False])
def test_expired_after_a_day_of_arrival_time(
    last_s: int, reason: str, seconds: int, by_tick: bool
) -> None:
    events = _day_long(last_s)
    if by_tick:
        says = session(*events, tick_s=DAY_S + 0.001)
    else:
        says = session(*events, event("ping", DAY_S, 1, DAY_S + 0.001))
    assert (says.figures.close_reason, says.figures.closed_at) == (reason, at(last_s))
    assert says.figures.seconds_since_last_event == seconds


def test_a_day_and_no_more_is_not_expired() -> None:
    assert session(*_day_long(86_399), tick_s=DAY_S).figures.status == "live"


def test_any_arrival_keeps_a_session_open() -> None:
    first, second = live(0, 10)
    says = session(first, second, second._replace(received_at=at(500)), tick_s=1_100)
    assert says.figures.duplicate_event_count == 1
    assert says.figures.status == "live"


def test_a_close_that_waits_comes_before_the_limit() -> None:
    says = session(*live(0, 10), event("sessionEnd", 12, 12, 12), tick_s=1_000)
    assert (says.figures.close_reason, says.figures.closed_at) == ("session_end", at(12))


@pytest.mark.parametrize(("tick_s", "late"), [(15, 0), (15.001, 1)])
def test_a_tick_releases_what_has_waited(tick_s: float, late: int) -> None:
    state = state_of(live(0, 10))
    tick(state, at(tick_s), DEFAULT_POLICY)
    arrive(state, event("ping", 8, 8, 10), DEFAULT_POLICY)
    assert told(state).figures.late_event_count == late


@pytest.mark.parametrize(("last_s", "reason"), [(1_799.999, None), (1_800, "idle")])
def test_idle_after_half_an_hour_without_the_playhead_moving(
    last_s: float, reason: str | None
) -> None:
    pings = [event("ping", minute * 60, 0) for minute in range(9, 30, 9)]
    says = session(
        event("play", 0),
        event("pauseStart", 0),
        *pings,
        event("play", last_s, 0, qoe={"droppedFrames": 7}),
    )
    assert says.figures.close_reason == reason
    assert says.figures.pause_ms == round(last_s * 1000), "its time counts"
    assert says.figures.event_count == 6
    assert says.figures.dropped_frames == (None if reason else 7), "its effect does not"


def test_two_hundred_thousand_events_close_a_session() -> None:
    pings = [event("ping", second / 10, second / 10, second / 10) for second in range(200_001)]
    says = session(event("play", 0, 0, 0), *pings)
    assert (says.figures.event_count, says.figures.events_after_close_count) == (200_000, 2)
    assert says.figures.close_reason == "too_many_events"
    assert says.figures.closed_at == says.figures.last_event_at == at(19_999.8)


# --- offline lists ------------------------------------------------------------------------------


def test_an_offline_list_knows_no_limit() -> None:
    stands = [event("ping", minute * 60, 0) for minute in range(0, 26 * 60, 5)]
    says = records([start(0), event("play", 0), event("pauseStart", 0), *stands], offline=True)
    assert says.figures.close_reason == "end_of_list"
    assert says.figures.pause_ms == (26 * 60 - 5) * 60_000


def test_an_offline_list_may_bring_its_close() -> None:
    says = records([start(0), event("play", 0), event("sessionEnd", 5, 5)], offline=True)
    assert (says.figures.close_reason, says.figures.closed_at) == ("session_end", at(5))


def test_an_offline_list_that_comes_twice() -> None:
    listed = [start(0), event("play", 0), event("ping", 5, 5)]
    says = records(listed, listed, offline=True)
    assert (says.figures.event_count, says.figures.events_after_close_count) == (3, 3)
    assert says.figures.content_ms == 5_000


def test_ten_minutes_without_events_are_untracked_offline_too() -> None:
    says = records([start(0), event("play", 0), event("ping", 601, 601)], offline=True)
    assert (says.figures.untracked_ms, says.figures.content_ms) == (601_000, 0)


def test_downloaded_content_that_comes_event_by_event_follows_the_usual_rules() -> None:
    begun = start(0, 0, downloaded=True)
    says = session(begun, event("play", 0, 0, 0), tick_s=600.001)
    assert says.figures.close_reason == "inactive"
