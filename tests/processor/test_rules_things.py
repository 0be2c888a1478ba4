"""What closes what, chapters, player states, quality and errors: one small session for each rule.

Beside docs/rules.md; the figures are worked out by hand. Whole sessions stand in tests/golden.
"""

from typing import Any

import pytest

from models.limits import PERIODS_MAX
from models.records import Event, EventType
from models.rows import EndedBy
from processor.session import fold
from processor.summarize import settle
from tests.processor.sessions import T0, Told, at, event, session, state_of, told

OPEN_BREAK = event("adBreakStart", 0)
AD = event("adStart", 0, id="a", length=10)


# --- what closes what ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "ender", "ended_by"),
    [
        ([OPEN_BREAK, AD], "adComplete", "adComplete"),
        ([OPEN_BREAK, AD], "adSkip", "adSkip"),
        ([OPEN_BREAK, AD], "adStart", "adStart"),
        ([OPEN_BREAK, AD], "adBreakStart", "adBreakStart"),
        ([OPEN_BREAK, AD], "adBreakComplete", "adBreakComplete"),
        ([OPEN_BREAK, AD], "sessionEnd", "close"),
        ([AD], "adComplete", "adComplete"),
        ([AD], "adStart", "adStart"),
        ([AD], "adBreakStart", "adBreakStart"),
        ([AD], "adBreakComplete", "adBreakComplete"),
        ([AD], "sessionEnd", "close"),
    ],
)
def test_what_ends_an_ad(before: list[Event], ender: EventType, ended_by: EndedBy) -> None:
    says = session(*before, event(ender, 7))
    ad = says.ads[0]
    assert (ad.ended_by, ad.ended_at, ad.playing_ms) == (ended_by, at(7), 7_000)
    assert ad.completed == (ender == "adComplete")
    is_found = ended_by in ("adStart", "adBreakStart", "adBreakComplete")
    assert ("ad_not_ended" in says.findings) == is_found


def test_a_second_break_makes_the_first_void() -> None:
    says = session(OPEN_BREAK, AD, event("adBreakStart", 7), event("adBreakComplete", 9))
    assert [(row.tracked, row.ended_at) for row in says.breaks] == [(False, at(7)), (True, at(9))]
    assert says.findings["break_not_completed"][1:3] == (1, at(0))


def test_a_swapped_ad_is_taken_into_its_break() -> None:
    says = session(AD, OPEN_BREAK, event("adComplete", 8), event("adBreakComplete", 8))
    assert (says.figures.ad_ms, says.figures.ad_count, says.figures.content_ms) == (8_000, 1, 0)
    assert says.ads[0].break_number == 1
    assert says.findings == {}


def test_a_break_that_starts_later_takes_no_ad_in() -> None:
    says = session(AD, event("adBreakStart", 0.001), event("adBreakComplete", 8))
    assert (says.figures.unbookended_ad_ms, says.figures.ad_gap_ms) == (1, 7_999)
    assert says.ads[0].break_number is None


def test_a_closing_bookend_ends_ad_and_break() -> None:
    says = session(OPEN_BREAK, AD, event("adBreakComplete", 8))
    assert (says.figures.ad_count, says.figures.ad_complete_count) == (1, 0)
    assert (says.figures.ad_break_count, says.figures.ad_ms) == (1, 8_000)


def test_a_lone_closing_bookend_changes_nothing() -> None:
    says = session(event("play", 0), event("adBreakComplete", 5, 5), event("ping", 9, 9))
    assert (says.figures.content_ms, says.breaks) == (9_000, [])


@pytest.mark.parametrize(
    ("between", "code"),
    [
        ([], "break_completed_twice"),
        ([event("ping", 6)], "break_completed_twice"),
        ([event("adStart", 6), event("adComplete", 7)], "break_without_start"),
    ],
)
def test_a_second_closing_bookend(between: list[Event], code: str) -> None:
    says = session(OPEN_BREAK, event("adBreakComplete", 5), *between, event("adBreakComplete", 8))
    assert says.findings[code][1:3] == (1, at(8))
    assert says.figures.ad_break_count == 1


@pytest.mark.parametrize("kind", ["adComplete", "adSkip", "chapterComplete", "chapterSkip"])
def test_an_end_without_a_beginning_is_ignored(kind: EventType) -> None:
    says = session(event("play", 0), event(kind, 5, 5), event("ping", 8, 8))
    assert (says.figures.content_ms, says.ads, says.chapters) == (8_000, [], [])
    code = "end_without_ad" if kind.startswith("ad") else "end_without_chapter"
    assert says.findings[code][1:3] == (1, at(5))


def test_completed_is_what_adcomplete_says_tracked_or_not() -> None:
    says = session(AD, event("adComplete", 5))
    assert says.ads[0].completed
    assert (says.figures.ad_complete_count, says.figures.unbookended_ad_count) == (0, 1)


def test_a_skipped_ad() -> None:
    says = session(OPEN_BREAK, AD, event("adSkip", 5), event("adBreakComplete", 5))
    assert (says.figures.ad_skip_count, says.figures.ad_complete_count) == (1, 0)


def test_a_break_without_ads_is_a_break() -> None:
    says = session(OPEN_BREAK, event("adBreakComplete", 3))
    row = says.breaks[0]
    assert (says.figures.ad_break_count, row.ad_count, row.gap_ms) == (1, 0, 3_000)
    assert row.break_fill == 0


@pytest.mark.parametrize(
    ("playhead_s", "content_ms", "gap_ms"), [(20, 20_000, 0), (10, 10_000, 10_000)]
)
def test_two_lost_bookends_read_as_one_break(
    playhead_s: float, content_ms: int, gap_ms: int
) -> None:
    says = session(
        event("play", 0),
        event("adBreakStart", 10, 10),
        event("adStart", 10, 10),
        event("adComplete", 20, 10),
        event("adStart", 30, playhead_s),
        event("adComplete", 40, playhead_s),
        event("adBreakComplete", 40, playhead_s),
    )
    f = says.figures
    assert (f.content_ms, f.ad_gap_ms, f.ad_ms) == (content_ms, gap_ms, 20_000)
    assert (f.ad_break_count, f.ad_count) == (1, 2)
    assert ("playhead_moved_in_ad" in says.findings) == (gap_ms == 0)


def test_pod_numbers_are_kept_as_sent_and_never_trusted() -> None:
    twice = (
        event("adBreakStart", 0, podIndex=-1, podSecond=15),
        event("adBreakComplete", 1),
        event("adBreakStart", 2, podIndex=-1, podSecond=15),
        event("adBreakComplete", 3),
    )
    says = session(*twice)
    assert [(r.break_number, r.pod_index, r.pod_second) for r in says.breaks] == [
        (1, -1, 15),
        (2, -1, 15),
    ]


def test_a_close_ends_whatever_is_open() -> None:
    says = session(
        event("play", 0),
        event("chapterStart", 0, index=1),
        event("stateStart", 0, name="mute"),
        event("adBreakStart", 4, 4),
        event("adStart", 4, 4),
        event("sessionEnd", 6, 4),
    )
    assert (says.chapters[0].completed, says.chapters[0].ended_at) == (False, at(6))
    assert (says.ads[0].ended_by, says.breaks[0].ended_at) == ("close", at(6))
    assert says.player_states["mute"].total_ms == 6_000
    assert "ad_not_ended" not in says.findings, "a close is no fault of the ad's"


# --- chapters -----------------------------------------------------------------------------------


def test_chapter_time_is_content_time_alone() -> None:
    says = session(
        event("play", 0),
        event("chapterStart", 0, index=1),
        event("adStart", 5, 5),
        event("adComplete", 9, 5),
        event("pauseStart", 12, 8),
        event("play", 20, 8),
        event("chapterComplete", 25, 13),
    )
    assert says.chapters[0].content_ms == 13_000
    assert (says.figures.content_ms, says.figures.unbookended_ad_ms) == (17_000, 4_000)
    assert (says.figures.chapter_count, says.figures.chapter_complete_count) == (1, 1)


@pytest.mark.parametrize("kind", ["chapterSkip", "chapterStart"])
def test_a_chapter_that_is_left_is_not_completed(kind: EventType) -> None:
    says = session(event("play", 0), event("chapterStart", 0), event(kind, 5, 5))
    assert (says.chapters[0].completed, says.chapters[0].ended_at) == (False, at(5))
    assert says.figures.chapter_complete_count == 0


# --- player states ------------------------------------------------------------------------------


def test_player_states_run_on_through_pauses_and_ads_and_the_end() -> None:
    says = session(
        event("play", 0),
        event("stateStart", 2, 2, name="fullScreen"),
        event("pauseStart", 4, 4),
        event("play", 6, 4),
        event("sessionComplete", 8, 6),
        event("stateEnd", 12, 6, name="FULLSCREEN"),
        event("sessionEnd", 20, 6),
    )
    assert list(says.player_states) == ["fullscreen"]
    row = says.player_states["fullscreen"]
    assert (row.state_number, row.count, row.total_ms) == (1, 1, 10_000)


def test_starting_twice_and_ending_twice_change_nothing() -> None:
    says = session(
        event("stateEnd", 0, name="mute"),
        event("stateStart", 1, name="mute"),
        event("stateStart", 2, name="MUTE"),
        event("stateEnd", 4, name="mute"),
        event("stateEnd", 5, name="mute"),
        event("stateStart", 6, name="mute"),
        event("ping", 7),
    )
    row = says.player_states["mute"]
    assert (row.count, row.total_ms) == (2, 4_000)


def test_ten_player_states_a_session() -> None:
    names = [event("stateStart", 0, name=f"s{number}") for number in range(1, 12)]
    says = session(*names, event("stateStart", 1, name="S3"), event("ping", 2))
    assert list(says.player_states) == [f"s{number}" for number in range(1, 11)]
    assert says.findings["too_many_states"][1] == 1


def _named(*names: str) -> list[dict[str, str]]:
    return [{"media.state.name": name} for name in names]


def test_a_states_update_first_ends_then_starts() -> None:
    says = session(
        event("stateStart", 0, name="mute"),
        event("statesUpdate", 5, statesStart=_named("mute", "cc"), statesEnd=_named("mute")),
        event("ping", 8),
    )
    mute, cc = says.player_states["mute"], says.player_states["cc"]
    assert (mute.count, mute.total_ms) == (2, 8_000)
    assert (cc.count, cc.total_ms) == (1, 3_000)


def _periods(says: Told, name: str) -> list[tuple[float, float]]:
    """From and to, in seconds."""
    periods = says.player_states[name].periods
    assert periods is not None
    return [((begin - T0) / 1000, (end - T0) / 1000) for begin, end in periods]


def test_the_periods_of_a_state_add_up_to_its_time() -> None:
    says = session(
        event("play", 0),
        event("stateStart", 2, 2, name="mute"),
        event("stateEnd", 2, 2, name="mute"),
        event("stateStart", 3, 3, name="mute"),
        event("stateEnd", 5, 5, name="mute"),
        event("stateStart", 5, 5, name="mute"),
        event("pauseStart", 6, 6),
        event("ping", 9, 6),
    )
    assert _periods(says, "mute") == [(3, 5), (5, 9)], "what takes no time is none"
    assert says.player_states["mute"][2:4] == (3, 6_000)


def test_untracked_time_and_a_clock_set_back_end_a_period() -> None:
    says = session(
        event("play", 0, 0, 0),
        event("stateStart", 2, 2, 2, name="mute"),
        event("ping", 10, 10, 10),
        event("ping", 2_000, 11, 20),
        event("ping", 2_005, 16, 25),
        event("ping", 1_000, 17, 40),
        event("stateEnd", 1_008, 25, 48, name="mute"),
    )
    assert _periods(says, "mute") == [(2, 10), (2_000, 2_005), (1_000, 1_008)]
    assert says.player_states["mute"][2:4] == (1, 21_000)


def test_a_late_start_of_a_state_takes_effect_at_the_session_clock() -> None:
    events = [event("play", 0, 0, 0), event("ping", 20, 20, 20), event("ping", 21, 21, 40)]
    late = event("stateStart", 3, 3, 41, name="mute")
    says = session(*events, late, event("ping", 30, 30, 42))
    assert _periods(says, "mute") == [(20, 30)]


def test_what_a_period_owes_to_a_waiting_event_is_taken_back() -> None:
    state = state_of([event("play", 0, 0, 0), event("stateStart", 1, 1, 1, name="mute")])
    fold([event("ping", 8, 8, 8), event("stateEnd", 12, 12, 12, name="mute")], state)
    says = told(state)
    settle(state, says.summary)
    assert _periods(says, "mute") == [(1, 12)]
    fold([event("sessionEnd", 9, 9, 13)], state)
    assert _periods(told(state), "mute") == [(1, 9)]


def test_a_hundred_periods_of_a_state() -> None:
    kinds: tuple[EventType, ...] = ("stateStart", "stateEnd")
    flips = [event(kinds[i % 2], i, name="mute") for i in range(2 * PERIODS_MAX + 5)]
    says = session(event("play", 0), *flips, event("ping", 2 * PERIODS_MAX + 5))
    assert _periods(says, "mute") == [(2 * i, 2 * i + 1) for i in range(PERIODS_MAX)]
    assert says.player_states["mute"][2:4] == (PERIODS_MAX + 3, 1_000 * (PERIODS_MAX + 3))


# --- quality ------------------------------------------------------------------------------------


def _with(kind: str, key: str, value: Any) -> Event:
    fields = {key: value}
    if kind == "qoeData":
        return event("ping", 0, qoe=fields)
    return event("ping", 0)._replace(params=fields)


@pytest.mark.parametrize("key", ["droppedFrames", "media.qoe.droppedFrames"])
@pytest.mark.parametrize("place", ["qoeData", "params"])
@pytest.mark.parametrize(("value", "dropped"), [(7, 7), ("7", 7), (7.9, 8)])
def test_where_a_quality_value_may_stand(
    place: str, key: str, value: float | str, dropped: int
) -> None:
    says = session(_with(place, key, value))
    assert (says.figures.dropped_frames, says.findings) == (dropped, {})


@pytest.mark.parametrize("value", ["many", True, [], {}, -1, "-1", "NaN", "1e999", "", "1_000"])
def test_a_quality_value_of_a_wrong_type_is_ignored(value: Any) -> None:
    says = session(event("play", 0, qoe={"droppedFrames": 3}), _with("qoeData", "bitrate", value))
    assert (says.figures.average_bitrate, says.figures.dropped_frames) == (None, 3)
    assert list(says.findings) == ["wrong_type"]


def test_quality_data_wins_over_params_and_the_latest_value_over_all() -> None:
    first = event("ping", 0, qoe={"timeToStart": 1})._replace(params={"timeToStart": 9})
    assert session(first).figures.time_to_start_ms == 1
    second = event("ping", 1, qoe={"media.qoe.timeToStart": 5, "framesPerSecond": 23.5})
    figures = session(first, second).figures
    assert (figures.time_to_start_ms, figures.frames_per_second) == (5, 23.5)


def test_the_average_bitrate_is_weighted_by_content_ad_and_stall_time() -> None:
    says = session(
        event("play", 0),
        event("ping", 5, 5, qoe={"bitrate": 1_000}),
        event("ping", 10, 10),
        event("pauseStart", 15, 15),
        event("play", 45, 15),
        event("bitrateChange", 45, 15, qoe={"bitrate": 4_000}),
        event("adBreakStart", 45, 15),
        event("adStart", 45, 15),
        event("adBreakComplete", 55, 15),
        event("ping", 60, 15),
        event("ping", 65, 15),
    )
    assert says.figures.stall_ms == 10_000
    assert says.figures.average_bitrate == (1_000 * 10 + 4_000 * (10 + 10)) / 30
    assert says.figures.bitrate_change_count == 1


def test_a_bitrate_without_any_time_behind_it_has_no_average() -> None:
    assert session(event("play", 0, qoe={"bitrate": 1_000})).figures.average_bitrate is None


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "qoe"),
    [
        ({"media.errorId": "e", "media.errorSource": "external"}, None),
        (None, {"media.qoe.errorID": "e", "media.qoe.errorSource": "external"}),
        (None, {"errorID": "e", "errorSource": "external"}),
        ({"media.errorId": "e"}, {"errorID": "other", "errorSource": "external"}),
    ],
)
def test_where_an_error_may_say_what_it_is(
    params: dict[str, str] | None, qoe: dict[str, str] | None
) -> None:
    says = session(event("error", 3, 3, qoe=qoe)._replace(params=params))
    row = says.errors[0]
    assert (row.error_id, row.source, row.at, row.playhead_s) == ("e", "external", at(3), 3.0)
    assert says.figures.external_error_ids == ("e",)


def test_an_error_without_an_id_counts() -> None:
    says = session(event("play", 0), event("error", 3, 3), event("ping", 5, 5))
    assert (says.figures.error_count, says.figures.player_error_ids) == (1, ())
    assert says.figures.content_ms == 5_000, "an error changes nothing in the player state"


def test_error_ids_are_distinct_and_in_order() -> None:
    says = _errors("b", "a", "b", "c", "a")
    assert says.figures.player_error_ids == ("b", "a", "c")
    assert says.figures.error_count == 5


def test_a_hundred_error_ids_a_session() -> None:
    says = _errors(*(f"e{number}" for number in range(101)))
    assert len(says.figures.player_error_ids) == 100
    assert (says.figures.error_count, len(says.errors)) == (101, 101)
    assert says.findings["too_many_rows"][1] == 1


def _errors(*ids: str) -> Told:
    return session(
        *(event("error", second, errorId=name) for second, name in enumerate(ids)),
    )
