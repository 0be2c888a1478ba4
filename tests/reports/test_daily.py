"""The reports by day on sessions written by hand, few enough to check by eye."""

from typing import Any

import pytest
from sqlalchemy import Engine

from tests.reports.reading import days_in, read
from tests.reports.rows import Rows

# --- content_daily -------------------------------------------------------------------------------


def film(rows: Rows, session_id: str, start: str, **more: Any) -> None:
    """A viewer of a film of 100 s on the web channel."""
    said: dict[str, Any] = {"content_id": "film", "content_name": "Film", "content_length_s": 100.0}
    rows.session(session_id, start, **{**said, "channel": "web", "player_name": "tv", **more})


def three_viewings(rows: Rows) -> None:
    """One that sees it all, one that leaves in the middle, one that leaves before it starts."""
    film(
        rows, "a", "10:00", visitor_id="ann", content_started=True, completed=True,
        valid_play=True, complete_play=True, content_ms=100_000, ad_ms=20_000, watched_ms=125_000,
        buffer_ms=5_000, average_minute_audience=1.0,
    )  # fmt: skip
    film(
        rows, "b", "11:00", visitor_id="bob", content_started=True, valid_play=True,
        complete_play=False, content_ms=50_000, unbookended_ad_ms=10_000, pause_ms=30_000,
        stall_ms=2_000, watched_ms=52_000, average_minute_audience=0.5,
    )  # fmt: skip
    film(
        rows, "c", "12:00", visitor_id="ann", dropped_before_start=True, watched_ms=3_000,
        average_minute_audience=0.0, complete_play=False, exit_stage="before_start",
    )  # fmt: skip


def test_content_daily(engine: Engine, rows: Rows) -> None:
    three_viewings(rows)
    query = """
        SELECT day, content_id, content_name, channel, player_name, starts, content_starts, drops,
               completes, valid_plays, complete_plays, unique_visitors, content_ms, ad_ms,
               unbookended_ad_ms, pause_ms, buffer_ms, stall_ms, watched_ms,
               average_minute_audience, drop_rate, completion_rate, pause_ratio, buffering_share
        FROM content_daily"""
    assert read(engine, query) == [
        (
            "2026-03-01", "film", "Film", "web", "tv", 3, 2, 1,
            1, 2, 1, 2, 150_000, 20_000,
            10_000, 30_000, 5_000, 2_000, 180_000,
            1.5, 1 / 3, 1 / 2, 30 / 150, 5 / 180,
        )
    ]  # fmt: skip


def test_content_daily_has_a_row_for_each_content_channel_player_and_day(
    engine: Engine, rows: Rows
) -> None:
    film(rows, "a", "23:59:59.999")
    film(rows, "b", "2026-03-02 00:00")
    film(rows, "c", "10:00", channel="app")
    film(rows, "d", "10:00", player_name="phone")
    film(rows, "e", "10:00", content_id="other", content_name=None)
    rows.session("f", "10:00")  # without a sessionStart's fields
    rows.session("g", "10:01")
    query = """
        SELECT day, content_id, channel, player_name, starts FROM content_daily
        ORDER BY day, coalesce(content_id, ''), channel, player_name"""
    assert read(engine, query) == [
        ("2026-03-01", None, None, None, 2),
        ("2026-03-01", "film", "app", "tv", 1),
        ("2026-03-01", "film", "web", "phone", 1),
        ("2026-03-01", "film", "web", "tv", 1),
        ("2026-03-01", "other", "web", "tv", 1),
        ("2026-03-02", "film", "web", "tv", 1),
    ]


def test_ratios_of_nothing_are_null(engine: Engine, rows: Rows) -> None:
    rows.session("a", "10:00", live=True)
    query = """
        SELECT starts, drop_rate, completion_rate, pause_ratio, buffering_share,
               average_minute_audience
        FROM content_daily"""
    assert read(engine, query) == [(1, None, None, None, None, None)]


def test_live_sessions_count_beside_closed_ones(engine: Engine, rows: Rows) -> None:
    film(rows, "a", "10:00", visitor_id="ann", content_started=True, content_ms=1_000)
    film(rows, "b", "10:00", visitor_id="ann", content_started=True, content_ms=500, live=True)
    film(rows, "c", "2026-03-02 10:00", live=True)
    query = "SELECT day, starts, content_ms, unique_visitors, drop_rate FROM content_daily"
    assert read(engine, f"{query} ORDER BY day") == [
        ("2026-03-01", 2, 1_500, 1, 0),
        ("2026-03-02", 1, 0, 0, None),  # still waiting: neither a drop nor a start
    ]
    assert len(read(engine, f"{query} WHERE day = '2026-03-02'")) == 1


def test_only_the_live_projection_counts(engine: Engine, rows: Rows) -> None:
    three_viewings(rows)
    counts = (
        "SELECT (SELECT sum(starts) FROM content_daily), (SELECT sum(sessions) FROM quality_daily)"
    )
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE live_projection SET projection = 2")
    assert read(engine, counts) == [(None, None)]


# --- ad_daily ------------------------------------------------------------------------------------


def test_ad_daily(engine: Engine, rows: Rows) -> None:
    """An ad in a whole break, one in a void one, one in none, and one that was skipped; the last
    after midnight of a session that began before."""
    film(rows, "a", "23:50")
    rows.ad_break("a", 1, "23:50", tracked=True)
    rows.ad_break("a", 2, "23:55")
    spot = {"ad_id": "spot", "name": "Spot", "campaign_id": "c1", "creative_id": "k1"}
    reached = {
        "quartile_25": True,
        "quartile_50": True,
        "quartile_75": False,
        "quartile_100": False,
    }
    rows.ad(
        "a", 1, "23:50", **spot, **reached, break_number=1, length_s=20.0, playing_ms=12_000,
        completed=True, ended_by="adComplete",
    )  # fmt: skip
    rows.ad("a", 2, "23:55", **spot, break_number=2, playing_ms=7_000, completed=True)
    rows.ad("a", 3, "23:58", **spot, playing_ms=500, ended_by="close")
    rows.ad("a", 4, "23:59", **spot, break_number=1, playing_ms=3_000, ended_by="adSkip")
    rows.ad("a", 5, "2026-03-02 00:01", **spot, break_number=1, playing_ms=1)
    query = """
        SELECT day, ad_id, ad_name, campaign_id, creative_id, starts, completes, skips,
               starts_with_length, quartile_25s, quartile_50s, quartile_75s, quartile_100s, ad_ms,
               unbookended_starts, unbookended_ad_ms, completion_rate, skip_rate
        FROM ad_daily ORDER BY day"""
    which = ("spot", "Spot", "c1", "k1")
    assert read(engine, query) == [
        ("2026-03-01", *which, 2, 1, 1, 1, 1, 1, 0, 0, 15_000, 2, 7_500, 1 / 2, 1 / 2),
        ("2026-03-02", *which, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0),
    ]


def test_an_ad_whose_break_was_not_kept_is_not_counted_as_tracked(
    engine: Engine, rows: Rows
) -> None:
    film(rows, "a", "10:00")
    rows.ad("a", 1, "10:00", break_number=1_001, playing_ms=5)
    query = "SELECT starts, unbookended_starts, unbookended_ad_ms, completion_rate FROM ad_daily"
    assert read(engine, query) == [(0, 1, 5, None)]


# --- quality_daily -------------------------------------------------------------------------------


def test_quality_daily(engine: Engine, rows: Rows) -> None:
    """A good session, a bad one, one that was left before it started and one that failed to."""
    build: dict[str, Any] = {"player_name": "tv", "app_version": "2.0", "content_type": "VOD"}
    rows.session(
        "a", "10:00", **build, initial_startup_ms=1_000, watched_ms=3_000_000,
        media_ms=2_900_000, average_bitrate=4_000.0, bitrate_change_count=1, dropped_frames=3,
    )  # fmt: skip
    rows.session(
        "b", "11:00", **build, initial_startup_ms=2_001, watched_ms=600_000, media_ms=100_000,
        average_bitrate=1_000.0, stall_count=1, stall_ms=4_000, buffer_count=2, buffer_ms=5_000,
        error_count=2,
    )  # fmt: skip
    rows.session("c", "12:00", **build, exit_stage="before_start")
    rows.session("d", "13:00", **build, exit_stage="before_start", error_count=1)
    rows.session("e", "14:00", **build, exit_stage="before_start", error_count=1, live=True)
    query = """
        SELECT day, player_name, app_version, content_type, sessions, started_sessions,
               exits_before_start, start_failures, initial_startup_ms, stalls, stalled_ms,
               watched_ms, media_ms, bitrate_ms, bitrate_changes, dropped_frames, errors,
               average_initial_startup_ms, stalls_per_session, stalls_per_watched_hour,
               stalled_time_percent, average_playback_bitrate
        FROM quality_daily"""
    assert read(engine, query) == [
        (
            "2026-03-01", "tv", "2.0", "VOD", 5, 2,
            1, 1, 3_001, 3, 9_000,
            3_600_000, 3_000_000, 3_000_000, 1, 3, 4,
            1_501, 3 / 5, 3.0,
            0.25, 3_900.0,
        )
    ]  # fmt: skip


def test_ratios_are_of_sums_and_never_means_of_ratios(engine: Engine, rows: Rows) -> None:
    """1 s of 10 s and 1 s of 990 s stalled is 0.2 %, not the mean of 10 % and 0.1 %."""
    rows.session("a", "10:00", watched_ms=10_000, stall_ms=1_000)
    rows.session("b", "10:00", watched_ms=990_000, stall_ms=1_000)
    query = "SELECT stalled_time_percent FROM quality_daily"
    assert read(engine, query) == [(0.2,)]


def test_an_unknown_bitrate_has_no_weight(engine: Engine, rows: Rows) -> None:
    rows.session("a", "10:00", media_ms=1_000, average_bitrate=800.0)
    rows.session("b", "10:00", media_ms=9_000)
    query = "SELECT bitrate_ms, average_playback_bitrate FROM quality_daily"
    assert read(engine, query) == [(1_000, 800.0)]


# --- findings_daily ------------------------------------------------------------------------------


def test_findings_daily(engine: Engine, rows: Rows) -> None:
    """Two sessions of three lack bookends: 30 s by a break left open, 8 s by one never opened."""
    build: dict[str, Any] = {"player_name": "tv", "app_version": "2.0"}
    rows.session("a", "10:00", **build, finding_count=2)
    rows.session("b", "11:00", **build, finding_count=2, live=True)
    rows.session("c", "12:00", **build)
    rows.session("d", "12:00", player_name="phone", finding_count=1)
    rows.ad_break("a", 1, "10:01")
    rows.ad_break("a", 2, "10:05", tracked=True)
    rows.ad("a", 1, "10:01", break_number=1, playing_ms=10_000)
    rows.ad("a", 2, "10:02", break_number=1, playing_ms=20_000)
    rows.ad("a", 3, "10:05", break_number=2, playing_ms=15_000)
    rows.ad("b", 1, "11:01", playing_ms=8_000)
    rows.finding("a", "break_not_completed")
    rows.finding("a", "ping_gap", 7)
    rows.finding("b", "ad_without_break")
    rows.finding("b", "ping_gap", 2)
    rows.finding("d", "late_event")
    query = """
        SELECT day, player_name, app_version, code, sessions, of_sessions, session_share, times,
               moved_ms
        FROM findings_daily ORDER BY player_name DESC, code"""
    tv = ("2026-03-01", "tv", "2.0")
    assert read(engine, query) == [
        (*tv, "ad_without_break", 1, 3, 1 / 3, 1, 8_000),
        (*tv, "break_not_completed", 1, 3, 1 / 3, 1, 30_000),
        (*tv, "ping_gap", 2, 3, 2 / 3, 9, None),
        ("2026-03-01", "phone", None, "late_event", 1, 1, 1, 1, None),
    ]


# --- days ----------------------------------------------------------------------------------------

VIEWS = ("content_daily", "ad_daily", "quality_daily", "findings_daily")


def on_four_days(rows: Rows) -> None:
    """On 1, 2 and 4 March, and on 1 January 1970, by a device whose clock is wrong."""
    for number, day in enumerate(("1970-01-01", "2026-03-01", "2026-03-02", "2026-03-04")):
        rows.session(str(number), f"{day} 12:00", finding_count=1)
        rows.ad(str(number), 1, f"{day} 12:00", playing_ms=5)
        rows.finding(str(number), "ad_without_break")


@pytest.mark.parametrize("view", VIEWS)
def test_a_report_has_the_days_on_which_something_happened(
    engine: Engine, rows: Rows, view: str
) -> None:
    on_four_days(rows)
    assert days_in(engine, view) == ["1970-01-01", "2026-03-01", "2026-03-02", "2026-03-04"]


@pytest.mark.parametrize("view", VIEWS)
def test_an_empty_database_has_no_days(engine: Engine, view: str) -> None:
    assert days_in(engine, view) == []


@pytest.mark.parametrize(
    ("condition", "days"),
    [
        ("day = '2026-03-02'", ["2026-03-02"]),
        ("day >= '2026-03-01' AND day < '2026-03-03'", ["2026-03-01", "2026-03-02"]),
        ("day BETWEEN '2026-03-02' AND '2026-03-31'", ["2026-03-02", "2026-03-04"]),
        ("day IN ('2026-03-01', '2026-03-03')", ["2026-03-01"]),
    ],
)
@pytest.mark.parametrize("view", VIEWS)
def test_days_are_chosen_by_plain_conditions(
    engine: Engine, rows: Rows, view: str, condition: str, days: list[str]
) -> None:
    on_four_days(rows)
    assert days_in(engine, view, condition) == days
