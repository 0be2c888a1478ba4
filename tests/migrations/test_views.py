"""The public views: their columns as promised, what they derive, and their description in docs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from sqlalchemy import Engine, insert, inspect, literal_column, select, table, text

from models.policy import Policy
from models.tables import (
    ad_break_rows,
    ad_rows,
    live_projection,
    metadata,
    sessions_live,
    span_rows,
)
from models.views import view_queries
from processor.projection import create_projection
from tests.sqlite import new_sqlite

DOCS: Final = Path(__file__).resolve().parents[2] / "docs" / "sql.md"

# Written out by hand: what analysts rely on does not follow from the code.
SESSIONS: Final = """
    log_partition first_offset last_offset

    session_id report_suite org_id visitor_id customer_ids resumed downloaded

    content_id content_name content_length_s content_type stream_type channel player_name
    app_version show season episode asset_id genre first_air_date first_digital_date rating
    originator network show_type ad_load mvpd authorized day_part feed stream_format artist
    album label author station publisher custom_metadata other_params

    started_at last_event_at closed_at status close_reason seconds_since_last_event event_count
    late_event_count duplicate_event_count events_after_close_count finding_count

    content_ms ad_ms media_ms unbookended_ad_ms pause_ms buffer_ms stall_ms ad_gap_ms startup_ms
    initial_startup_ms untracked_ms watched_ms unique_content_ms

    content_started dropped_before_start completed progress_10 progress_25 progress_50 progress_75
    progress_95 max_playhead_s content_segment exit_stage valid_play complete_play
    average_minute_audience estimated_streams

    ad_break_count void_ad_break_count ad_count ad_complete_count ad_skip_count
    unbookended_ad_count chapter_count chapter_complete_count pause_count buffer_count stall_count
    bitrate_change_count error_count

    time_to_start_ms average_bitrate dropped_frames frames_per_second player_error_ids
    external_error_ids
"""
COLUMNS: Final = {
    "sessions": SESSIONS,
    "ad_breaks": "session_id break_number pod_index pod_second name started_at ended_at playhead_s"
    " tracked ad_count ad_ms gap_ms break_fill position",
    "ads": "session_id ad_number break_number ad_id name length_s pod_position player_name"
    " advertiser campaign_id creative_id site_id creative_url placement_id custom_metadata"
    " started_at ended_at playing_ms pause_ms buffer_ms completed ended_by tracked"
    " untracked_reason quartile_25 quartile_50 quartile_75 quartile_100",
    "chapters": "session_id chapter_number chapter_index offset_s length_s name custom_metadata"
    " started_at ended_at content_ms completed",
    "player_states": "session_id state_number name count total_ms periods",
    "errors": "session_id error_number at error_id source playhead_s",
    "findings": "session_id code count first_ts detail",
    "spans": "session_id span_number started_at ended_at duration_ms activity counted_as"
    " playhead_from_s playhead_to_s break_number ad_number chapter_number",
    "content_daily": "day content_id content_name channel player_name starts content_starts drops"
    " completes valid_plays complete_plays unique_visitors content_ms ad_ms unbookended_ad_ms"
    " pause_ms buffer_ms stall_ms watched_ms average_minute_audience drop_rate completion_rate"
    " pause_ratio buffering_share",
    "ad_daily": "day ad_id ad_name campaign_id creative_id starts completes skips"
    " starts_with_length quartile_25s quartile_50s quartile_75s quartile_100s ad_ms"
    " unbookended_starts unbookended_ad_ms completion_rate skip_rate",
    "quality_daily": "day player_name app_version content_type sessions started_sessions"
    " exits_before_start start_failures initial_startup_ms stalls stalled_ms watched_ms media_ms"
    " bitrate_ms bitrate_changes dropped_frames errors average_initial_startup_ms"
    " stalls_per_session stalls_per_watched_hour stalled_time_percent average_playback_bitrate",
    "findings_daily": "day player_name app_version code sessions of_sessions session_share times"
    " moved_ms",
    "audience_minute": "day minute content_id sessions visitors",
    "retention": "day content_id percent sessions plays share",
    "log_gaps": "log_partition first_offset last_offset session_count read_until accepted_at",
}
REPORTS: Final = (
    "content_daily",
    "ad_daily",
    "quality_daily",
    "findings_daily",
    "audience_minute",
    "retention",
)
OF_NO_SESSION: Final = (*REPORTS, "log_gaps")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = new_sqlite(tmp_path / "analytics.db")
    yield engine
    engine.dispose()


def columns_of(engine: Engine, view: str) -> list[str]:
    return [column["name"] for column in inspect(engine).get_columns(view)]


@pytest.mark.parametrize("view", COLUMNS)
def test_columns_are_those_promised(engine: Engine, view: str) -> None:
    assert columns_of(engine, view) == COLUMNS[view].split()


def test_there_are_no_other_views(engine: Engine) -> None:
    assert set(inspect(engine).get_view_names()) == set(COLUMNS)


def test_ads_take_tracked_from_their_break(engine: Engine) -> None:
    """A closing bookend changes the break's row alone."""
    rows = [ad(1, None), ad(2, 1), ad(3, 2), ad(4, 3)]
    with engine.begin() as connection:
        connection.execute(insert(live_projection).values(id=1, projection=1))
        connection.execute(insert(ad_rows), rows)
        connection.execute(insert(ad_break_rows), [ad_break(1, False), ad_break(2, True)])
        found = connection.execute(
            text("SELECT ad_number, tracked, untracked_reason FROM ads ORDER BY ad_number")
        ).all()
    assert [tuple(row) for row in found] == [
        (1, 0, "ad_without_break"),
        (2, 0, "break_not_completed"),
        (3, 1, None),
        (4, None, None),  # the break's row was not kept
    ]


@pytest.mark.parametrize("break_gap", ["excluded", "content"])
def test_spans_count_as_their_break_and_the_policy_say(engine: Engine, break_gap: str) -> None:
    """What a span counts as is not stored with it; an ad's break is looked up where the ad began
    outside it. The last span is in the row of its live session."""
    activities = ("content", "pause", "buffer", "stall", "startup", "ended", "untracked")
    spans = [span(i, activity) for i, activity in enumerate(activities, 1)]
    spans += [span(11, "ad"), span(12, "ad", 1, 2), span(13, "ad", 2, 3), span(14, "ad", None, 4)]
    spans += [span(15, "break", 2), span(16, "content", 2)]
    policy = Policy(break_gap="content" if break_gap == "content" else "excluded")
    with engine.begin() as connection:
        create_projection(connection, 1, policy, 0)
        connection.execute(insert(live_projection).values(id=1, projection=1))
        connection.execute(insert(span_rows), spans)
        connection.execute(insert(ad_rows), [ad(1, None), ad(2, 1), ad(3, 2), ad(4, 2)])
        connection.execute(insert(ad_break_rows), [ad_break(1, False), ad_break(2, True)])
        connection.execute(insert(sessions_live), [open_ad(17, 2)])
        found = connection.execute(
            text("SELECT span_number, activity, counted_as, break_number FROM spans ORDER BY 1")
        ).all()
        goes_on = connection.execute(text("SELECT * FROM spans WHERE span_number = 17")).one()
    gap = "content" if break_gap == "content" else "none"
    assert [tuple(row) for row in found] == [
        (1, "content", "content", None),
        *((i, activity, "none", None) for i, activity in enumerate(activities[1:], 2)),
        (11, "ad", "content", None),
        (12, "ad", "content", 1),
        (13, "ad", "ad", 2),
        (14, "ad", "ad", 2),
        (15, "break", gap, 2),
        (16, "content", "content", 2),
        (17, "ad", "ad", 2),
    ]
    assert goes_on[2:5] == ("1970-01-01 00:00:00.002", "1970-01-01 00:00:00.009", 7)
    assert goes_on[7:9] == (3.0, 4.0)


def span(
    number: int, activity: str, break_number: int | None = None, ad_number: int | None = None
) -> dict[str, Any]:
    numbers = {"span_number": number, "break_number": break_number, "ad_number": ad_number}
    return filled("span_rows") | numbers | {"activity": activity}


def open_ad(number: int, break_number: int) -> dict[str, Any]:
    goes_on = {"span_number": number, "span_activity": "ad", "span_break_number": break_number}
    times = {"started_at": 1, "span_started_at": 2, "last_event_at": 9, "span_duration_ms": 7}
    playheads = {"span_playhead_from_s": 3.0, "span_playhead_to_s": 4.0}
    return filled("sessions_live") | goes_on | times | playheads | {"state": b""}


def ad(number: int, break_number: int | None) -> dict[str, Any]:
    return filled("ad_rows") | {"ad_number": number, "break_number": break_number}


def ad_break(number: int, tracked: bool) -> dict[str, Any]:
    return filled("ad_break_rows") | {"break_number": number, "tracked": tracked}


def filled(name: str) -> dict[str, Any]:
    """Some value for each column that must have one."""
    values: dict[str, Any] = {"TEXT": "a", "BOOLEAN": True, "DOUBLE": 1.0}
    columns = [column for column in metadata.tables[name].columns if not column.nullable]
    return {c.name: 1 if c.name.endswith("_at") else values.get(str(c.type), 1) for c in columns}


def test_one_session_is_found_by_an_index(engine: Engine) -> None:
    for view in COLUMNS.keys() - OF_NO_SESSION:
        assert "session_id=?" in plan_of(engine, view, "session_id")
        assert not re.search(
            r"SCAN (sessions_|session_starts|\w+_rows)", plan_of(engine, view, "session_id")
        )
    assert "content_id=?" in plan_of(engine, "sessions", "content_id")
    assert not re.search(
        r"SCAN (sessions_|session_starts)", plan_of(engine, "sessions", "content_id")
    )


@pytest.mark.parametrize("view", REPORTS)
def test_a_day_is_found_by_an_index(engine: Engine, view: str) -> None:
    plan = plan_of(engine, view, "day")
    assert "started_at>? AND started_at<?" in plan
    assert not re.search(r"SCAN (sessions_|session_starts|(?!days_of_)\w+_rows)", plan)


def plan_of(engine: Engine, view: str, column: str) -> str:
    """How SQLite looks for the rows of a view with one value in a column."""
    query = select(text("*")).select_from(table(view)).where(literal_column(column) == "a")
    compiled = query.compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        return "\n".join(
            row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")
        )


# --- docs/sql.md ---------------------------------------------------------------------------------


class Described(NamedTuple):
    """One row of a table in docs/sql.md."""

    column: str
    kind: str
    unit: str
    rule: str


def described() -> dict[str, list[Described]]:
    """The columns that docs/sql.md describes, by view."""
    views: dict[str, list[Described]] = {}
    view = ""
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## `(\w+)`", line):
            view = heading[1]
        elif line.startswith("## "):
            view = ""
        elif view and (row := re.match(r"\| `(\w+)` \| ([^|]+) \| ([^|]*) \| (.+) \|$", line)):
            views.setdefault(view, []).append(Described(*(cell.strip() for cell in row.groups())))
    return views


def test_every_view_and_column_is_described_in_order(engine: Engine) -> None:
    found = {view: [row.column for row in rows] for view, rows in described().items()}
    assert found == {view: columns_of(engine, view) for view in COLUMNS}


def test_every_column_is_described_with_its_type(engine: Engine) -> None:
    kinds = {
        "Instant": "timestamp",
        "Text": "text",
        "BigInteger": "integer",
        "Integer": "integer",
        "Boolean": "boolean",
        "Date": "date",
        "Double": "number",
        "Number": "number",
        "Json": "json",
        "String": "text",
        "Case": "boolean",
    }
    for view, query in view_queries().items():
        types = {c.name: kinds[type(c.type).__name__] for c in query.selected_columns}
        assert {row.column: row.kind for row in described()[view]} == types


def test_every_column_has_a_rule_and_a_unit_where_its_name_has_one() -> None:
    units = {"_ms": "ms", "_s": "s"}
    for rows in described().values():
        for row in rows:
            assert len(row.rule) > 3, row
            for suffix, unit in units.items():
                if row.column.endswith(suffix) and row.kind != "timestamp":
                    assert row.unit == unit, row


def queries() -> list[str]:
    return re.findall(r"```sql\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


def test_the_documented_queries_run(engine: Engine) -> None:
    assert len(queries()) >= 6
    with engine.connect() as connection:
        for query in queries():
            connection.exec_driver_sql(query).all()
