"""The time line: what makes a span, what cuts one, what is kept; one small session for each rule.

Beside docs/rules.md "Time line"; worked out by hand. Whole sessions stand in tests/golden.
"""

from typing import Any

import pytest

from models.limits import CHILD_ROWS_MAX, SPANS_MAX
from models.policy import DEFAULT_POLICY, Policy
from models.records import Event, EventType
from processor.session import fold
from processor.summarize import settle, summarize
from tests.processor.sessions import T0, Told, at, event, session, start, state_of, told


def line(says: Told) -> list[tuple[Any, ...]]:
    """Activity, from and to in seconds, playhead from and to."""
    return [
        (
            row.activity,
            (row.started_at - T0) / 1000,
            (row.ended_at - T0) / 1000,
            row.playhead_from_s,
            row.playhead_to_s,
        )
        for row in says.spans
    ]


def things(says: Told) -> list[tuple[Any, ...]]:
    """Activity, break, ad and chapter number."""
    return [(s.activity, s.break_number, s.ad_number, s.chapter_number) for s in says.spans]


def test_time_with_one_activity_is_one_span() -> None:
    says = session(
        start(0),
        event("play", 2),
        event("ping", 12, 10),
        event("bitrateChange", 15, 13),
        event("ping", 22, 20),
        event("pauseStart", 25, 23),
        event("ping", 35, 23),
        event("bufferStart", 40, 23),
        event("play", 41, 23),
        event("ping", 51, 33),
    )
    assert line(says) == [
        ("startup", 0, 2, 0, 0),
        ("content", 2, 25, 0, 23),
        ("pause", 25, 40, 23, 23),
        ("buffer", 40, 41, 23, 23),
        ("content", 41, 51, 23, 33),
    ]
    assert [row.span_number for row in says.spans] == [1, 2, 3, 4, 5]
    assert all(row.duration_ms == row.ended_at - row.started_at for row in says.spans)


def test_breaks_ads_and_chapters_cut_and_are_named() -> None:
    says = session(
        start(0),
        event("play", 0),
        event("chapterStart", 5, 5, index=1),
        event("adBreakStart", 10, 10),
        event("adStart", 11, 10, id="a"),
        event("pauseStart", 14, 10),
        event("play", 16, 10),
        event("adComplete", 20, 10),
        event("adBreakComplete", 22, 10),
        event("chapterComplete", 30, 18),
        event("ping", 40, 28),
    )
    assert things(says) == [
        ("content", None, None, None),
        ("content", None, None, 1),
        ("break", 1, None, 1),
        ("ad", 1, 1, 1),
        ("pause", 1, 1, 1),
        ("ad", 1, 1, 1),
        ("break", 1, None, 1),
        ("content", None, None, 1),
        ("content", None, None, None),
    ]


@pytest.mark.parametrize(
    ("played_s", "joined"), [(10, True), (16, True), (16.001, False), (-0.001, False)]
)
def test_a_seek_ends_a_content_span_where_playing_on_would_have_led(
    played_s: float, joined: bool
) -> None:
    says = session(
        event("play", 0, 50),
        event("ping", 10, 60),
        event("ping", 20, 60 + played_s),
        event("ping", 30, 70 + played_s),
    )
    if joined:
        assert line(says) == [("content", 0, 30, 50, 70 + played_s)]
    else:
        assert line(says) == [
            ("content", 0, 20, 50, 70),
            ("content", 20, 30, 60 + played_s, 70 + played_s),
        ]


def test_content_spans_are_the_intervals_that_were_played() -> None:
    says = session(
        event("play", 0),
        event("ping", 10, 10),
        event("ping", 20, 5),
        event("ping", 30, 15),
        event("ping", 30, 40),
        event("ping", 35, 45),
    )
    spans = [(row.playhead_from_s, row.playhead_to_s) for row in says.spans]
    assert spans == [(0, 20), (5, 15), (40, 45)]
    assert says.figures.unique_content_ms == 25_000


def test_a_playhead_that_moves_in_no_time_cuts_any_span() -> None:
    says = session(
        event("play", 0),
        event("pauseStart", 10, 10),
        event("ping", 20, 10),
        event("ping", 20, 70),
        event("ping", 25, 70),
    )
    assert line(says) == [
        ("content", 0, 10, 0, 10),
        ("pause", 10, 20, 10, 10),
        ("pause", 20, 25, 70, 70),
    ]


def test_a_stall_is_cut_out_of_the_content_before_it() -> None:
    """From the first event of the unmoved run on."""
    says = session(
        event("play", 0),
        event("ping", 10, 10),
        event("ping", 11, 10),
        event("ping", 12, 10),
        event("ping", 15, 10),
        event("ping", 20, 15),
    )
    assert line(says) == [
        ("content", 0, 10, 0, 10),
        ("stall", 10, 15, 10, 10),
        ("content", 15, 20, 10, 15),
    ]


def test_a_stall_from_the_start_of_a_span_leaves_no_content_before_it() -> None:
    says = session(event("play", 0), event("ping", 1), event("ping", 2), event("ping", 3))
    assert line(says) == [("stall", 0, 3, 0, 0)]
    assert [row.span_number for row in says.spans] == [1]


def test_each_stall_is_a_span_of_its_own() -> None:
    says = session(
        event("play", 0),
        *(event("ping", second) for second in (1, 2)),
        event("chapterSkip", 3),
        *(event("ping", second) for second in (4, 5)),
    )
    assert line(says) == [("stall", 0, 3, 0, 0), ("stall", 3, 5, 0, 0)]
    assert says.figures.stall_count == 2


def test_without_stall_detection_it_stays_content() -> None:
    events = (event("play", 0), event("ping", 1), event("ping", 2), event("ping", 3))
    says = session(*events, policy=Policy(stall_detection="off"))
    assert line(says) == [("content", 0, 3, 0, 0)]


def test_what_takes_no_time_is_no_span() -> None:
    says = session(
        event("play", 0),
        event("pauseStart", 10, 10),
        event("play", 10, 10),
        event("ping", 20, 20),
        event("bufferStart", 20, 20),
    )
    assert line(says) == [("content", 0, 20, 0, 20)]


def test_an_ad_of_no_time_cuts_all_the_same() -> None:
    says = session(
        event("play", 0),
        event("adStart", 10, 10, id="a"),
        event("adComplete", 10, 10),
        event("ping", 20, 20),
    )
    assert line(says) == [("content", 0, 10, 0, 10), ("content", 10, 20, 10, 20)]


def test_untracked_time_and_time_after_the_end_are_spans() -> None:
    says = session(
        event("play", 0),
        event("ping", 10, 10),
        event("ping", 1_000, 10),
        event("sessionComplete", 1_010, 20),
        event("sessionEnd", 1_020, 20),
    )
    assert line(says) == [
        ("content", 0, 10, 0, 10),
        ("untracked", 10, 1_000, 10, 10),
        ("content", 1_000, 1_010, 10, 20),
        ("ended", 1_010, 1_020, 20, 20),
    ]
    assert says.summary.open_span.span_number is None


def test_a_clock_set_back_ends_a_span_and_may_overlap_it() -> None:
    says = session(
        event("play", 1_000, 0, 1_000),
        event("ping", 1_010, 10, 1_010),
        event("ping", 20, 20, 1_020),
        event("ping", 30, 30, 1_030),
    )
    assert line(says) == [("content", 1_000, 1_010, 0, 10), ("content", 20, 30, 20, 30)]


def test_content_that_runs_on_in_a_break_names_the_break() -> None:
    says = session(
        event("play", 0),
        event("adBreakStart", 10, 10),
        event("ping", 15, 10),
        event("ping", 25, 20),
    )
    assert things(says) == [
        ("content", None, None, None),
        ("break", 1, None, None),
        ("content", 1, None, None),
    ]


def test_an_ad_that_a_break_took_in_names_it_in_its_row_alone() -> None:
    """adStart and adBreakStart were swapped, and the latter came late: the view looks it up."""
    says = session(
        event("play", 0, 0, 0),
        event("adStart", 10, 10, 1, id="a"),
        event("ping", 15, 10, 7),
        event("ping", 20, 10, 13),
        event("adBreakStart", 10, 10, 14),
        event("adComplete", 30, 10, 20),
    )
    assert things(says) == [
        ("content", None, None, None),
        ("ad", None, 1, None),
        ("ad", 1, 1, None),
    ]
    assert [ad.break_number for ad in says.ads] == [1]


# --- the span that goes on ----------------------------------------------------------------------


def test_a_ping_of_a_playing_session_writes_no_row() -> None:
    state = state_of([start(0, 0), event("play", 1, 0, 1), event("ping", 11, 10, 11)])
    settle(state, summarize(state))
    for second in (21, 31):
        fold([event("ping", second, second - 1, second)], state)
        says = told(state)
        settle(state, says.summary)
    assert says.summary.rows == {}
    assert says.summary.gone == ()
    assert line(says) == [("content", 1, 31, 0, 30)]


def test_what_rests_on_a_waiting_event_is_taken_back() -> None:
    state = state_of([start(0, 0), event("play", 1, 0, 1), event("pauseStart", 20, 20, 21)])
    fold([event("play", 22, 20, 22), event("ping", 25, 23, 25)], state)
    says = told(state)
    settle(state, says.summary)
    assert line(says)[1:] == [
        ("content", 1, 20, 0, 20),
        ("pause", 20, 22, 20, 20),
        ("content", 22, 25, 20, 23),
    ]
    fold([event("sessionEnd", 10, 9, 26)], state)
    says = told(state)
    assert says.summary.gone == (("spans", 3),)
    assert line(says)[-1] == ("content", 1, 10, 0, 9)


# --- what is kept -------------------------------------------------------------------------------


def flicker(count: int) -> list[Event]:
    """A session of `count` spans: play and pause in turn, a second each."""
    kinds: tuple[EventType, ...] = ("play", "pauseStart")
    return [event(kinds[i % 2], i, i // 2) for i in range(count + 1)]


def test_ten_thousand_spans_a_session() -> None:
    says = session(*flicker(SPANS_MAX + 2))
    assert len(says.spans) == SPANS_MAX
    assert says.summary.open_span.span_number is None
    found = says.findings["too_many_rows"]
    assert (found.count, found.first_ts) == (2, at(SPANS_MAX + 1))
    figures = says.figures
    assert figures.content_ms + figures.pause_ms == 1_000 * (SPANS_MAX + 2)


def test_a_span_whose_ad_has_no_row_is_not_kept() -> None:
    events = [event("adBreakStart", 0)]
    for i in range(CHILD_ROWS_MAX + 1):
        events += [event("adStart", i, id="a"), event("adComplete", i + 1)]
    says = session(*events, event("adBreakComplete", CHILD_ROWS_MAX + 2))
    assert [row.ad_number for row in says.spans] == [*range(1, CHILD_ROWS_MAX + 1), None]
    assert says.spans[-1].span_number == CHILD_ROWS_MAX + 2
    assert "too_many_rows" in says.findings


def test_policies_do_not_change_the_line() -> None:
    """What a span counts as is not in it: a bookend or a policy changes no row of it."""
    events = [
        event("play", 0),
        event("adBreakStart", 10, 10),
        event("adStart", 12, 10, id="a"),
        event("ping", 20, 10),
    ]
    lines = [
        session(*events, policy=policy).spans
        for policy in (DEFAULT_POLICY, Policy(unclosed_break="ad"), Policy(break_gap="content"))
    ]
    assert lines[0] == lines[1] == lines[2]
