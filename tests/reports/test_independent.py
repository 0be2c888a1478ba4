"""The reports of a simulated crowd are what DuckDB makes of the same sessions, ads and spans.

DuckDB's queries say what a column means in the plainest way, with DISTINCT over every minute and
every hundredth of every session; the views come to it by ranges, indexes and differences.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import Engine

from tests.reports.crowd import write_crowd
from tests.reports.duck import duckdb_of
from tests.reports.reading import read
from tests.reports.rows import at

SESSIONS = 250
TWO_DAYS_MS = 2 * 86_400_000
AHEAD_H = 7
"""Of UTC, in the second time zone: so that many sessions lie on another day in it."""

# In every query `on_day(x)` is the day of an instant.
QUERIES = {
    "content_daily": """
        SELECT on_day(started_at) AS day, content_id, max(content_name), channel, player_name,
               count(*), count(*) FILTER (content_started), count(*) FILTER (dropped_before_start),
               count(*) FILTER (completed), count(*) FILTER (valid_play),
               count(*) FILTER (complete_play), count(DISTINCT visitor_id), sum(content_ms),
               sum(ad_ms), sum(unbookended_ad_ms), sum(pause_ms), sum(buffer_ms), sum(stall_ms),
               sum(watched_ms), sum(average_minute_audience),
               count(*) FILTER (dropped_before_start)
                   / nullif(count(*) FILTER (dropped_before_start OR content_started), 0),
               count(*) FILTER (completed) / nullif(count(*) FILTER (content_started), 0),
               sum(pause_ms) / nullif(sum(content_ms), 0),
               sum(buffer_ms) / nullif(sum(watched_ms), 0)
        FROM sessions GROUP BY day, content_id, channel, player_name""",
    "ad_daily": """
        SELECT on_day(started_at) AS day, ad_id, max(name), campaign_id, creative_id,
               count(*) FILTER (tracked), count(*) FILTER (tracked AND completed),
               count(*) FILTER (tracked AND ended_by = 'adSkip'),
               count(*) FILTER (tracked AND length_s IS NOT NULL),
               count(*) FILTER (tracked AND quartile_25), count(*) FILTER (tracked AND quartile_50),
               count(*) FILTER (tracked AND quartile_75),
               count(*) FILTER (tracked AND quartile_100),
               coalesce(sum(playing_ms) FILTER (tracked), 0), count(*) FILTER (NOT tracked),
               coalesce(sum(playing_ms) FILTER (NOT tracked), 0),
               count(*) FILTER (tracked AND completed) / nullif(count(*) FILTER (tracked), 0),
               count(*) FILTER (tracked AND ended_by = 'adSkip')
                   / nullif(count(*) FILTER (tracked), 0)
        FROM ads GROUP BY day, ad_id, campaign_id, creative_id""",
    "quality_daily": """
        SELECT on_day(started_at) AS day, player_name, app_version, content_type, count(*),
               count(initial_startup_ms),
               count(*) FILTER (exit_stage = 'before_start' AND closed_at IS NOT NULL
                                AND error_count = 0),
               count(*) FILTER (exit_stage = 'before_start' AND closed_at IS NOT NULL
                                AND error_count > 0),
               coalesce(sum(initial_startup_ms), 0), sum(stall_count + buffer_count),
               sum(stall_ms + buffer_ms), sum(watched_ms), sum(media_ms),
               coalesce(sum(media_ms) FILTER (average_bitrate IS NOT NULL), 0),
               sum(bitrate_change_count), coalesce(sum(dropped_frames), 0), sum(error_count),
               CAST(floor(avg(initial_startup_ms) + 0.5) AS BIGINT),
               sum(stall_count + buffer_count) / count(*),
               3600000 * sum(stall_count + buffer_count) / nullif(sum(watched_ms), 0),
               100 * sum(stall_ms + buffer_ms) / nullif(sum(watched_ms), 0),
               sum(average_bitrate * media_ms)
                   / nullif(sum(media_ms) FILTER (average_bitrate IS NOT NULL), 0)
        FROM sessions GROUP BY day, player_name, app_version, content_type""",
    "findings_daily": """
        WITH moved AS (
            SELECT session_id, untracked_reason AS code, sum(playing_ms) AS moved_ms
            FROM ads WHERE NOT tracked GROUP BY session_id, untracked_reason),
        builds AS (
            SELECT on_day(started_at) AS day, player_name, app_version, count(*) AS of_sessions
            FROM sessions GROUP BY day, player_name, app_version)
        SELECT b.day, b.player_name, b.app_version, f.code, count(*), any_value(of_sessions),
               count(*) / any_value(of_sessions), sum(f.count), sum(m.moved_ms)
        FROM findings AS f
        JOIN sessions AS s USING (session_id)
        JOIN builds AS b ON b.day = on_day(s.started_at) AND b.player_name = s.player_name
            AND b.app_version = s.app_version
        LEFT JOIN moved AS m ON m.session_id = f.session_id AND m.code = f.code
        GROUP BY b.day, b.player_name, b.app_version, f.code""",
    "audience_minute": """
        WITH seen AS (
            SELECT session_id, unnest(generate_series(
                       date_trunc('minute', started_at),
                       date_trunc('minute', ended_at - INTERVAL 1 MILLISECOND),
                       INTERVAL 1 MINUTE)) AS minute
            FROM spans WHERE activity NOT IN ('pause', 'ended', 'untracked'))
        SELECT on_day(minute) AS day, minute, content_id, count(DISTINCT session_id),
               count(DISTINCT visitor_id)
        FROM seen JOIN sessions USING (session_id)
        GROUP BY minute, content_id""",
    "retention": """
        WITH plays AS (
            SELECT on_day(started_at) AS day, content_id, session_id, content_length_s
            FROM sessions WHERE content_started AND content_length_s > 0),
        contents AS (SELECT day, content_id, count(*) AS plays FROM plays GROUP BY day, content_id),
        parts AS (SELECT *, unnest(range(100)) AS percent FROM contents),
        seen AS (
            SELECT day, content_id, percent, count(DISTINCT session_id) AS sessions
            FROM plays JOIN spans USING (session_id), range(100) AS hundredths(percent)
            WHERE activity = 'content'
              AND playhead_from_s * 100 / content_length_s < percent + 1
              AND playhead_to_s * 100 / content_length_s > percent
              AND playhead_to_s > playhead_from_s
            GROUP BY day, content_id, percent)
        SELECT day, content_id, percent, coalesce(sessions, 0), plays,
               coalesce(sessions, 0) / plays
        FROM parts LEFT JOIN seen USING (day, content_id, percent)""",
}
DuckDB = Callable[[int], duckdb.DuckDBPyConnection]


@pytest.fixture
def crowd(engine: Engine, tmp_path: Path) -> duckdb.DuckDBPyConnection:
    write_crowd(engine, 11, SESSIONS, at("00:01"), TWO_DAYS_MS)
    return duckdb_of(engine, tmp_path)


def computed(crowd: duckdb.DuckDBPyConnection, view: str, ahead_h: int) -> set[tuple[Any, ...]]:
    day = f"CREATE OR REPLACE MACRO on_day(x) AS CAST(x + INTERVAL {ahead_h} HOUR AS DATE)"
    crowd.execute(day)
    return {tuple(map(_told, row)) for row in crowd.execute(QUERIES[view]).fetchall()}


def reported(engine: Engine, view: str, *settings: str) -> set[tuple[Any, ...]]:
    rows = read(engine, f"SELECT * FROM {view}", *settings)  # noqa: S608 - one of ours
    told = {tuple(map(_told, row)) for row in rows}
    assert len(told) == len(rows) > 5
    return told


def _told(value: Any) -> Any:
    """Comparable over databases: sums of floats depend on their order in the last digits."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    return str(value)[:19] if hasattr(value, "isoformat") or isinstance(value, str) else value


def test_reports_are_those_of_duckdb(engine: Engine, crowd: duckdb.DuckDBPyConnection) -> None:
    """On PostgreSQL in another time zone, too. One crowd for all: it takes a while to fold."""
    zones = {0: "SET TimeZone = 'UTC'", AHEAD_H: f"SET TimeZone = 'Etc/GMT-{AHEAD_H}'"}
    for view in QUERIES:
        if engine.dialect.name == "sqlite":
            assert reported(engine, view) == computed(crowd, view, 0), view
            continue
        for ahead_h, setting in zones.items():
            assert reported(engine, view, setting) == computed(crowd, view, ahead_h), view


def test_the_crowd_is_worth_reporting_on(engine: Engine, crowd: duckdb.DuckDBPyConnection) -> None:
    """It has what the reports tell apart."""
    for condition in (
        "status = 'live'", "dropped_before_start", "completed", "unbookended_ad_ms > 0",
        "content_length_s IS NULL OR content_type <> 'VOD'",
        "started_at::DATE <> last_event_at::DATE",
    ):  # fmt: skip
        found = crowd.execute(f"SELECT count(*) FROM sessions WHERE {condition}")  # noqa: S608
        assert found.fetchone() != (0,), condition
