"""Who watches in each minute, and which part of a content, on spans written by hand."""

from typing import Any

import pytest
from sqlalchemy import Engine

from tests.reports.reading import read
from tests.reports.rows import Rows, at

# --- audience_minute -----------------------------------------------------------------------------


def audience(engine: Engine, *settings: str) -> list[tuple[Any, ...]]:
    """(day, hh:mm in UTC, content, sessions, visitors)"""
    is_sqlite = engine.dialect.name == "sqlite"
    clock = (
        "substr(minute, 12, 5)" if is_sqlite else "to_char(minute AT TIME ZONE 'UTC', 'HH24:MI')"
    )
    query = f"""
        SELECT day, {clock} AS clock, content_id, sessions, visitors FROM audience_minute
        ORDER BY day, minute, content_id"""  # noqa: S608 - the clock is ours
    return read(engine, query, *settings)


def test_a_session_is_counted_in_each_minute_that_it_watched_some_of(
    engine: Engine, rows: Rows
) -> None:
    """Up to the border of 10:03 and no further; the pause from 10:04 on leaves a gap."""
    rows.session("a", "10:01:59.999", content_id="film", visitor_id="ann")
    rows.span("a", 1, "10:01:59.999", "10:02:10", activity="startup")
    rows.span("a", 2, "10:02:10", "10:03:00")
    rows.span("a", 3, "10:03:00", "10:05:30", activity="pause")
    rows.span("a", 4, "10:05:30", "10:05:31", activity="buffer")
    rows.span("a", 5, "10:05:31", "10:05:32", activity="ended")
    rows.span("a", 6, "10:20:00", "10:40:00", activity="untracked")
    found = audience(engine)
    assert found == [("2026-03-01", f"10:0{m}", "film", 1, 1) for m in (1, 2, 5)]


def test_sessions_and_visitors_are_counted_once_a_minute(engine: Engine, rows: Rows) -> None:
    """Ann watches the film twice at once, Bob once, and one whom nobody knows; Ann also a clip."""
    viewings = [
        ("a", "ann", "film"),
        ("b", "ann", "film"),
        ("c", "bob", "film"),
        ("d", None, "film"),
    ]
    for session_id, visitor, content in [*viewings, ("e", "ann", "clip")]:
        rows.session(session_id, "10:00", content_id=content, visitor_id=visitor)
    rows.span("a", 1, "10:00", "10:02")
    rows.span("a", 2, "10:01:30", "10:02", activity="ad")  # a clock that was set back
    rows.span("b", 1, "10:01", "10:03")
    rows.span("c", 1, "10:01", "10:02", activity="stall")
    rows.span("d", 1, "10:01", "10:02", activity="break")
    rows.span("e", 1, "10:01", "10:02", activity="ad")
    assert audience(engine) == [
        ("2026-03-01", "10:00", "film", 1, 1),
        ("2026-03-01", "10:01", "clip", 1, 1),
        ("2026-03-01", "10:01", "film", 4, 2),
        ("2026-03-01", "10:02", "film", 1, 1),
    ]


def test_a_minute_belongs_to_its_own_day(engine: Engine, rows: Rows) -> None:
    rows.session("a", "23:59", content_id="film")
    rows.span("a", 1, "23:59", "2026-03-02 00:01")
    expected = [("2026-03-01", "23:59", "film", 1, 0), ("2026-03-02", "00:00", "film", 1, 0)]
    assert audience(engine) == expected
    query = "SELECT sessions FROM audience_minute WHERE day = '2026-03-02'"
    assert read(engine, query) == [(1,)]


def test_a_live_session_watches_up_to_its_latest_event(engine: Engine, rows: Rows) -> None:
    """Over midnight, too; and not in a pause."""
    for session_id, activity in (("a", "content"), ("b", "pause")):
        rows.session(
            session_id, "23:58", live=True, content_id="film", visitor_id=session_id,
            last_event_at=at("2026-03-02 00:00:30"), span_number=2, span_activity=activity,
            span_started_at=at("23:59:10"), span_duration_ms=80_000,
        )  # fmt: skip
        rows.span(session_id, 1, "23:58", "23:59:10", activity="ad")
    assert audience(engine) == [
        ("2026-03-01", "23:58", "film", 2, 2),
        ("2026-03-01", "23:59", "film", 2, 2),
        ("2026-03-02", "00:00", "film", 1, 1),
    ]


def test_minutes_lie_in_the_reader_s_day(postgres_engine: Engine) -> None:
    rows = Rows(postgres_engine)
    rows.session("a", "22:59", content_id="film")
    rows.span("a", 1, "22:59", "23:01")
    assert audience(postgres_engine, "SET TimeZone = 'Europe/Berlin'") == [
        ("2026-03-01", "22:59", "film", 1, 0),
        ("2026-03-02", "23:00", "film", 1, 0),
    ]


# --- retention -----------------------------------------------------------------------------------


def play(rows: Rows, session_id: str, *played: tuple[float, float], **more: Any) -> None:
    """A viewer of a content of 200 s, so that a hundredth of it lasts 2 s."""
    said = {"content_id": "film", "content_length_s": 200.0, "content_started": True}
    rows.session(session_id, "10:00", **{**said, **more})
    for number, (begin, end) in enumerate(played, 1):
        rows.span(session_id, number, "10:00", "10:01", playhead_from_s=begin, playhead_to_s=end)


def parts(engine: Engine, content: str = "film") -> dict[int, tuple[int, int]]:
    """Sessions and plays of the parts that differ from the one before, by percent."""
    query = f"""
        SELECT percent, sessions, plays FROM retention
        WHERE day = '2026-03-01' AND content_id = '{content}' ORDER BY percent"""  # noqa: S608
    found = [(percent, (sessions, plays)) for percent, sessions, plays in read(engine, query)]
    assert [percent for percent, _ in found] == list(range(100))
    last: Any = None
    return {p: (last := now) for p, now in found if now != last}


def test_a_part_is_seen_by_those_who_played_some_of_it(engine: Engine, rows: Rows) -> None:
    play(rows, "a", (0.0, 200.0))  # all of it
    play(rows, "b", (0.0, 100.0))  # to the border of 50 %
    play(rows, "c", (0.0, 3.0), (150.0, 151.0))  # a look at the start, and at 75 %
    play(rows, "d", (40.0, 61.0), (20.0, 50.0), (58.0, 60.0))  # parts of it several times
    play(rows, "e")  # began and saw nothing
    assert parts(engine) == {
        0: (3, 5),
        2: (2, 5),
        10: (3, 5),
        31: (2, 5),
        50: (1, 5),
        75: (2, 5),
        76: (1, 5),
    }
    shares = read(engine, "SELECT DISTINCT share FROM retention WHERE percent IN (0, 99)")
    assert sorted(shares) == [(0.2,), (0.6,)]


def test_only_content_of_known_length_that_was_started_counts(engine: Engine, rows: Rows) -> None:
    play(rows, "a", (0.0, 10.0))
    play(rows, "b", (0.0, 10.0), content_started=False)
    play(rows, "c", (0.0, 10.0), content_length_s=None)
    play(rows, "d", (0.0, 10.0), content_length_s=0.0)
    rows.span("a", 9, "10:00", "10:01", activity="ad", playhead_from_s=10.0, playhead_to_s=30.0)
    assert parts(engine) == {0: (1, 1), 5: (0, 1)}


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (198.0, 205.0, {0: (0, 1), 99: (1, 1)}),
        (201.0, 205.0, {0: (0, 1)}),
        (-5.0, 2.0, {0: (1, 1), 1: (0, 1)}),
        (1.999, 2.001, {0: (1, 1), 2: (0, 1)}),
        (58.0, 60.0, {0: (0, 1), 29: (1, 1), 30: (0, 1)}),  # no rounding: 58 s are 29 %
        (60.0, 60.0, {0: (0, 1)}),
    ],
)
def test_borders_of_parts(
    engine: Engine, rows: Rows, begin: float, end: float, expected: dict[int, tuple[int, int]]
) -> None:
    play(rows, "a", (begin, end))
    assert parts(engine) == expected


def test_what_a_live_session_plays_now_counts(engine: Engine, rows: Rows) -> None:
    play(
        rows, "a", (0.0, 20.0), live=True, span_number=2, span_activity="content",
        span_playhead_from_s=100.0, span_playhead_to_s=120.0,
    )  # fmt: skip
    play(
        rows, "b", live=True, span_number=1, span_activity="pause",
        span_playhead_from_s=100.0, span_playhead_to_s=120.0,
    )  # fmt: skip
    assert parts(engine) == {0: (1, 2), 10: (0, 2), 50: (1, 2), 60: (0, 2)}
