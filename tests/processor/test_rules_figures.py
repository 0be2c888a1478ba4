"""Derived figures, findings and bounds: one small session for each rule.

Beside docs/rules.md; the figures are worked out by hand. Whole sessions stand in tests/golden.
"""

from typing import Any, Final

import pytest

from models.policy import Policy
from models.records import Event, SchemaFinding
from processor.findings import FINDING_CODES
from tests.processor.sessions import at, event, session, start

PLAY = event("play", 0)


def played(*stretches: tuple[float, float, float]) -> list[Event]:
    """Stretches of (seconds, playhead from, playhead to), one after the other, each begun by a
    `pauseStart`, so that only the stretch itself is played."""
    events: list[Event] = []
    now = 0.0
    for seconds, playhead_from, playhead_to in stretches:
        events += [event("pauseStart", now, playhead_from), event("play", now, playhead_from)]
        now += seconds
        events.append(event("ping", now, playhead_to))
    return events


# --- unique time --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("playhead_s", "unique_ms"),
    [(10, 10_000), (0, 0), (3, 3_000), (16, 16_000), (16.001, 10_000), (600, 10_000)],
)
def test_what_one_stretch_of_ten_seconds_played(playhead_s: float, unique_ms: int) -> None:
    says = session(PLAY, event("ping", 10, playhead_s))
    assert (says.figures.unique_content_ms, says.figures.content_ms) == (unique_ms, 10_000)


def test_a_seek_back_plays_on_from_where_it_was() -> None:
    says = session(event("play", 0, 50), event("ping", 10, 20))
    assert says.figures.unique_content_ms == 10_000
    assert session(*played((10, 50, 20), (10, 50, 60))).figures.unique_content_ms == 10_000


def test_played_stretches_are_joined() -> None:
    says = session(*played((10, 0, 10), (10, 20, 30), (10, 10, 20), (10, 5, 15)))
    assert (says.figures.content_ms, says.figures.unique_content_ms) == (40_000, 30_000)


def test_unbookended_ads_play_no_content() -> None:
    says = session(PLAY, event("adStart", 5, 5), event("adComplete", 9, 9))
    assert (says.figures.content_ms, says.figures.unique_content_ms) == (9_000, 5_000)


def test_of_more_than_256_stretches_the_two_closest_become_one() -> None:
    gaps = [10.0] * 256
    gaps[100] = gaps[200] = 2.0
    playhead = 0.0
    stretches = []
    for gap in [*gaps, 0]:
        stretches.append((1.0, playhead, playhead + 1))
        playhead += 1 + gap
    assert session(*played(*stretches[:256])).figures.unique_content_ms == 256_000
    assert session(*played(*stretches)).figures.unique_content_ms == 257_000 + 2_000


@pytest.mark.parametrize(
    ("from_s", "to_s", "segment"),
    [
        (0, 48, "[0-1]"),
        (299.999, 310, "[0-2]"),
        (300, 310, "[1-2]"),
        (0, 300, "[0-1]"),
        (0, 300.001, "[0-2]"),
    ],
)
def test_the_content_segment_in_brackets_of_five_minutes(
    from_s: float, to_s: float, segment: str
) -> None:
    says = session(event("play", 0, from_s), event("ping", to_s - from_s, to_s))
    assert says.figures.content_segment == segment


def test_nothing_played_has_no_segment() -> None:
    assert session(start(0), event("ping", 10)).figures.content_segment is None


# --- shares of the content ----------------------------------------------------------------------

MARKERS: Final = (10, 25, 50, 75, 95)


@pytest.mark.parametrize(("playhead_s", "reached"), [(9.999, 0), (10, 1), (50, 3), (95, 5)])
def test_progress_is_the_largest_playhead_since_content_started(
    playhead_s: float, reached: int
) -> None:
    figures = session(start(0), PLAY, event("ping", 5, playhead_s), event("ping", 9, 1)).figures
    marks = [getattr(figures, f"progress_{share}") for share in MARKERS]
    assert marks == [True] * reached + [False] * (5 - reached)
    assert figures.max_playhead_s == playhead_s


def test_playheads_before_content_started_are_no_progress() -> None:
    figures = session(start(0), event("ping", 1, 95), event("play", 2, 20)).figures
    assert (figures.max_playhead_s, figures.progress_10, figures.progress_25) == (20.0, True, False)


@pytest.mark.parametrize(
    "fields", [{"contentType": "Live"}, {"contentType": "LINEAR"}, {"length": 0}, {"length": None}]
)
def test_no_progress_without_a_length_and_never_for_live(fields: dict[str, Any]) -> None:
    figures = session(start(0, **fields), PLAY, event("ping", 60, 99)).figures
    assert not any(getattr(figures, f"progress_{share}") for share in MARKERS)


def test_average_minute_audience_and_complete_play() -> None:
    figures = session(start(0), PLAY, event("ping", 99, 99)).figures
    assert (figures.average_minute_audience, figures.complete_play) == (0.99, True)
    figures = session(start(0), PLAY, event("ping", 98.999, 98.999)).figures
    assert figures.complete_play is False
    figures = session(PLAY, event("ping", 99, 99)).figures
    assert (figures.average_minute_audience, figures.complete_play) == (None, None)


def test_the_shares_of_a_valid_and_a_complete_play_can_be_set() -> None:
    events = (start(0), PLAY, event("ping", 20, 20))
    policy = Policy(valid_play_ms=20_000, complete_play_share=0.2)
    figures = session(*events, policy=policy).figures
    assert (figures.valid_play, figures.complete_play) == (True, True)
    figures = session(*events).figures
    assert (figures.valid_play, figures.complete_play) == (False, False)


@pytest.mark.parametrize(("seconds", "valid"), [(29.999, False), (30, True)])
def test_a_valid_play_has_thirty_seconds_of_content(seconds: float, valid: bool) -> None:
    assert session(PLAY, event("ping", seconds, seconds)).figures.valid_play == valid


@pytest.mark.parametrize(("last_s", "streams"), [(1_799.999, 1), (1_800, 2)])
def test_a_stream_every_half_hour_of_media_time(last_s: float, streams: int) -> None:
    pings = [event("ping", second, second) for second in (600, 1_200, last_s)]
    assert session(PLAY, *pings).figures.estimated_streams == streams
    assert session(start(0)).figures.estimated_streams == 1


# --- start, exit, sums --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "initial_ms", "startup_ms"),
    [
        ([start(0), event("play", 3)], 3_000, 3_000),
        ([start(0), event("bufferStart", 1), event("play", 3)], 3_000, 1_000),
        ([start(0), event("adStart", 2), event("adComplete", 5), event("ping", 6)], 2_000, 3_000),
        ([start(0), event("ping", 2), event("ping", 5, 3)], 2_000, 2_000),
        ([start(0), event("ping", 700), event("play", 701)], 701_000, 1_000),
        ([start(0), event("ping", 2)], None, 2_000),
    ],
)
def test_time_to_the_first_start_of_anything(
    events: list[Event], initial_ms: int | None, startup_ms: int
) -> None:
    figures = session(*events).figures
    assert (figures.initial_startup_ms, figures.startup_ms) == (initial_ms, startup_ms)


@pytest.mark.parametrize(
    ("events", "stage"),
    [
        ([start(0), event("bufferStart", 1)], "before_start"),
        ([event("adBreakStart", 0)], "before_start"),
        ([event("adBreakStart", 0), event("adStart", 1)], "preroll"),
        ([event("adStart", 1)], "preroll"),
        ([event("adStart", 1), event("adComplete", 2)], "before_content"),
        ([PLAY], "content"),
        ([PLAY, event("pauseStart", 1)], "content"),
        ([PLAY, event("adBreakStart", 1)], "midroll"),
        ([PLAY, event("adStart", 1)], "midroll"),
        ([PLAY, event("sessionComplete", 1), event("adStart", 2)], "completed"),
    ],
)
@pytest.mark.parametrize("is_closed", [True, False])
def test_where_the_last_event_left_the_viewer(
    events: list[Event], stage: str, is_closed: bool
) -> None:
    close = [event("sessionEnd", 3)] if is_closed else []
    assert session(*events, *close).figures.exit_stage == stage


@pytest.mark.parametrize(
    ("before", "playhead_s", "position"),
    [
        ([start(0)], 0, "pre"),
        ([start(0)], 99.5, "pre"),
        ([start(0), PLAY], 50, "mid"),
        ([start(0), PLAY], 98.999, "mid"),
        ([start(0), PLAY], 99, "post"),
        ([start(0), PLAY, event("sessionComplete", 1)], 50, "post"),
        ([PLAY], 99, "mid"),
    ],
)
def test_the_position_of_a_break(before: list[Event], playhead_s: float, position: str) -> None:
    assert session(*before, event("adBreakStart", 5, playhead_s)).breaks[0].position == position


def test_watched_and_media_time_and_break_fill() -> None:
    says = session(
        start(0),
        event("bufferStart", 1),
        event("play", 3),
        event("adBreakStart", 8, 5),
        event("adStart", 10, 5),
        event("adComplete", 16, 5),
        event("adBreakComplete", 16, 5),
        event("ping", 20, 9),
        event("ping", 22, 9),
        event("ping", 24, 9),
        event("pauseStart", 24, 9),
        event("sessionEnd", 50, 9),
    )
    f = says.figures
    buckets = (f.startup_ms, f.buffer_ms, f.content_ms, f.ad_gap_ms, f.ad_ms, f.stall_ms)
    assert buckets == (1_000, 2_000, 9_000, 2_000, 6_000, 4_000)
    assert (f.watched_ms, f.media_ms, f.pause_ms) == (24_000, 15_000, 26_000)
    assert says.breaks[0].break_fill == 0.75


def test_a_break_without_any_time_has_no_fill() -> None:
    says = session(event("adBreakStart", 0), event("adBreakComplete", 0))
    assert says.breaks[0].break_fill is None


@pytest.mark.parametrize(
    ("length", "seconds", "reached"),
    [(10, 7.5, 3), (10, 7.499, 2), (10, 10, 4), (None, 10, None), (0, 10, None)],
)
def test_quartiles_of_an_ad_go_by_its_playing_time(
    length: int | None, seconds: float, reached: int | None
) -> None:
    ad = session(event("adStart", 0, length=length), event("adComplete", seconds)).ads[0]
    quartiles = [ad.quartile_25, ad.quartile_50, ad.quartile_75, ad.quartile_100]
    if reached is None:
        assert quartiles == [None] * 4
    else:
        assert quartiles == [True] * reached + [False] * (4 - reached)


# --- findings -----------------------------------------------------------------------------------

BREAK: Final = event("adBreakStart", 1)
AD: Final = event("adStart", 1)
END: Final = event("sessionEnd", 90, 90)
FOUND_IN: Final[dict[str, tuple[list[Event], float]]] = {
    "ad_without_break": ([AD, event("adComplete", 2)], 1),
    "break_not_completed": ([BREAK, END], 1),
    "break_completed_twice": ([BREAK, *(event("adBreakComplete", s) for s in (2, 3))], 3),
    "break_without_start": ([event("adBreakComplete", 2)], 2),
    "ad_not_ended": ([BREAK, AD, event("adBreakComplete", 2)], 2),
    "end_without_ad": ([event("adSkip", 2)], 2),
    "end_without_chapter": ([event("chapterSkip", 2)], 2),
    "play_before_preroll": ([PLAY, event("adBreakStart", 0)], 0),
    "playhead_moved_in_ad": ([BREAK, AD, event("ping", 2, 1)], 2),
    "playhead_out_of_range": ([start(0), PLAY, event("ping", 2, 101.001)], 2),
    "ping_gap": ([PLAY, event("ping", 25.001, 25)], 25.001),
    "inferred_play": ([start(0), event("ping", 2, 2)], 2),
    "late_event": ([event("play", 9, 0, 0), event("ping", 20, 0, 6), event("ping", 8, 0, 6)], 8),
    "clock_set_back": (
        [event("play", 999, 0, 0), event("ping", 1005, 0, 6), event("ping", 9, 0, 6)],
        9,
    ),
    "duplicate_event": ([PLAY, PLAY], 0),
    "event_after_close": ([END, event("ping", 91, 0)], 91),
    "close_before_start": ([start(9), event("sessionComplete", 8)], 8),
    "no_session_start": ([PLAY, END], 90),
    "second_session_start": ([start(0), start(1)], 1),
    "too_many_states": ([event("stateStart", n, name=f"s{n}") for n in range(11)], 10),
    "too_many_rows": ([event("chapterStart", n) for n in range(1_001)], 1_000),
    "missing_length": ([start(0, length=None)], 0),
    "placeholder_value": ([start(0, channel="N/A")], 0),
    "wrong_type": ([PLAY, event("ping", 2, qoe={"bitrate": "high"})], 2),
    "unknown_param": ([event("ping", 3, findings=(SchemaFinding("unknown_param", "a"),))], 3),
    "missing_param": ([event("ping", 3, findings=(SchemaFinding("missing_param", "a"),))], 3),
}
"""By code: a session that has the finding once, and the `ts` it is told with, in seconds."""


def test_every_finding_is_shown() -> None:
    assert set(FOUND_IN) == set(FINDING_CODES)


@pytest.mark.parametrize("code", FINDING_CODES)
def test_a_finding_has_a_count_a_ts_and_a_line(code: str) -> None:
    events, second = FOUND_IN[code]
    says = session(*events)
    found = says.findings[code]
    assert (found.count, found.first_ts) == (1, at(second))
    assert found.detail
    assert len(found.detail) <= 200
    assert says.figures.finding_count == len(says.findings)


def test_a_session_without_faults_has_no_findings() -> None:
    says = session(
        start(0),
        event("adBreakStart", 1, 0, podIndex=1, podSecond=0),
        event("adStart", 1, 0, id="a", length=5, podPosition=1),
        event("adComplete", 6),
        event("adBreakComplete", 6),
        event("play", 6),
        event("chapterStart", 6, 0, index=1, offset=0, length=10),
        event("ping", 16, 10),
        event("chapterComplete", 16, 10),
        event("sessionComplete", 30, 24),
        event("sessionEnd", 30, 24),
    )
    assert says.findings == {}


@pytest.mark.parametrize(
    "events",
    [
        [start(0), PLAY, event("ping", 2, 101)],
        [start(0, contentType="live"), PLAY, event("ping", 2, 101.001)],
        [PLAY, event("ping", 25, 25)],
        [PLAY, event("pauseStart", 1, 1), event("ping", 60, 1)],
        [start(0, contentType="Live", length=None)],
        [BREAK, AD, event("pauseStart", 1), event("ping", 2, 1)],
        [PLAY, event("ping", 1, 1), event("adBreakStart", 1, 1)],
    ],
)
def test_what_is_not_odd_is_no_finding(events: list[Event]) -> None:
    assert session(*events).findings == {}


@pytest.mark.parametrize("value", ["N/A", ""])
def test_placeholders_become_null(value: str) -> None:
    says = session(start(0, channel=value), event("adStart", 1, id=value, length=5))
    assert says.start is not None
    assert (says.start.channel, says.ads[0].ad_id) == (None, None)
    assert says.findings["placeholder_value"][1] == 2


def test_a_finding_counts_and_keeps_its_first_detail() -> None:
    says = session(PLAY, *(event("adSkip", second) for second in (5, 6, 7)))
    assert says.findings["end_without_ad"] == ("end_without_ad", 3, at(5), "adSkip with no ad open")


def test_a_thousand_rows_a_table() -> None:
    says = session(*(event("error", second) for second in range(1_003)))
    assert (len(says.errors), says.figures.error_count) == (1_000, 1_003)
    assert says.findings["too_many_rows"][1] == 3
