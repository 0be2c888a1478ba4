"""The report views by day: contents, ads, quality and findings, each of the live projection.

Beside `models.views`, which makes them. A day's sessions are those that started on it, its ads
those that started on it. Each arm of a union joins by itself, so that a condition on `day` reaches
the index on `started_at`; docs/sql.md describes each column. Imports nothing of the project outside
this package; no I/O.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Label,
    Select,
    Subquery,
    Table,
    and_,
    case,
    cast,
    distinct,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)

from models.reports_sql import (
    PERCENT,
    count_if,
    day_of,
    days_of,
    is_live,
    is_on,
    mean_ms,
    ratio,
    same_session,
    total,
)
from models.tables import (
    ad_break_rows,
    ad_rows,
    finding_rows,
    session_starts,
    sessions_closed,
    sessions_live,
)

_HOUR_MS: Final = 3_600_000


def daily_report_queries() -> dict[str, Select[Any]]:
    """The query behind each report view that has a row a day, by the view's name."""
    return {
        "content_daily": _content_daily(),
        "ad_daily": _ad_daily(),
        "quality_daily": _quality_daily(),
        "findings_daily": _findings_daily(),
    }


def sessions_by_day(*names: str) -> Subquery:
    """Columns of `sessions` by name, and `day`: that of the session's start."""
    return union_all(closed_by_day(names), live_by_day(names)).subquery("s")


def closed_by_day(names: Sequence[str]) -> Select[Any]:
    """The arm of the closed sessions: read day by day through their index."""
    days = days_of(sessions_closed.c.started_at)
    return (
        select(days.c.day, *_columns(sessions_closed, names))
        .select_from(
            days.join(sessions_closed, is_on(sessions_closed.c.started_at, days.c.day)).outerjoin(
                session_starts, same_session(sessions_closed, session_starts)
            )
        )
        .where(is_live(sessions_closed))
    )


def live_by_day(names: Sequence[str]) -> Select[Any]:
    """The arm of the live sessions: there are few enough to look at all of them."""
    return (
        select(
            day_of(sessions_live.c.started_at).label("day"),
            *_columns(sessions_live, names),
        )
        .select_from(
            sessions_live.outerjoin(session_starts, same_session(sessions_live, session_starts))
        )
        .where(is_live(sessions_live), sessions_live.c.started_at.is_not(None))
    )


def _columns(table: Table, names: Sequence[str]) -> list[ColumnElement[Any]]:
    return [table.c[name] if name in table.c else session_starts.c[name] for name in names]


def _totals(rows: Subquery, *names: str) -> list[Label[Any]]:
    return [total(rows.c[name]).label(name) for name in names]


def _content_daily() -> Select[Any]:
    s = sessions_by_day(
        "content_id", "content_name", "content_length_s", "channel", "player_name", "visitor_id",
        "content_started", "dropped_before_start", "completed", "valid_play", "complete_play",
        "content_ms", "ad_ms", "unbookended_ad_ms", "pause_ms", "buffer_ms", "stall_ms",
        "watched_ms", "average_minute_audience",
    )  # fmt: skip
    keys = (s.c.day, s.c.content_id, s.c.channel, s.c.player_name)
    sums = (
        select(
            s.c.day,
            s.c.content_id,
            func.max(s.c.content_name).label("content_name"),
            s.c.channel,
            s.c.player_name,
            func.count().label("starts"),
            count_if(s.c.content_started).label("content_starts"),
            count_if(s.c.dropped_before_start).label("drops"),
            count_if(s.c.completed).label("completes"),
            count_if(s.c.valid_play).label("valid_plays"),
            count_if(s.c.complete_play).label("complete_plays"),
            func.count(distinct(s.c.visitor_id)).label("unique_visitors"),
            *_totals(s, "content_ms", "ad_ms", "unbookended_ad_ms", "pause_ms", "buffer_ms"),
            *_totals(s, "stall_ms", "watched_ms"),
            func.sum(s.c.average_minute_audience).label("average_minute_audience"),
        )
        .group_by(*keys)
        .subquery("sums")
    )
    return select(
        *sums.c,
        ratio(sums.c.drops, sums.c.drops + sums.c.content_starts).label("drop_rate"),
        ratio(sums.c.completes, sums.c.content_starts).label("completion_rate"),
        ratio(sums.c.pause_ms, sums.c.content_ms).label("pause_ratio"),
        ratio(sums.c.buffer_ms, sums.c.watched_ms).label("buffering_share"),
    )


def _ad_daily() -> Select[Any]:
    days = days_of(ad_rows.c.started_at)
    same_break = and_(
        same_session(ad_rows, ad_break_rows),
        ad_break_rows.c.break_number == ad_rows.c.break_number,
    )
    tracked = ad_break_rows.c.tracked
    untracked = ~func.coalesce(ad_break_rows.c.tracked, literal(False))
    quartiles = [f"quartile_{percent}" for percent in (25, 50, 75, 100)]
    playing_ms = ad_rows.c.playing_ms
    sums = (
        select(
            days.c.day,
            ad_rows.c.ad_id,
            func.max(ad_rows.c.name).label("ad_name"),
            ad_rows.c.campaign_id,
            ad_rows.c.creative_id,
            count_if(tracked).label("starts"),
            count_if(tracked & ad_rows.c.completed).label("completes"),
            count_if(tracked & (ad_rows.c.ended_by == "adSkip")).label("skips"),
            count_if(tracked & ad_rows.c.length_s.is_not(None)).label("starts_with_length"),
            *(count_if(tracked & ad_rows.c[name]).label(f"{name}s") for name in quartiles),
            total(case((tracked, playing_ms), else_=0)).label("ad_ms"),
            count_if(untracked).label("unbookended_starts"),
            total(case((untracked, playing_ms), else_=0)).label("unbookended_ad_ms"),
        )
        .select_from(
            days.join(ad_rows, is_on(ad_rows.c.started_at, days.c.day)).outerjoin(
                ad_break_rows, same_break
            )
        )
        .where(is_live(ad_rows))
        .group_by(days.c.day, ad_rows.c.ad_id, ad_rows.c.campaign_id, ad_rows.c.creative_id)
        .subquery("sums")
    )
    return select(
        *sums.c,
        ratio(sums.c.completes, sums.c.starts).label("completion_rate"),
        ratio(sums.c.skips, sums.c.starts).label("skip_rate"),
    )


def _quality_daily() -> Select[Any]:
    s = sessions_by_day(
        "player_name", "app_version", "content_type", "status", "exit_stage", "error_count",
        "initial_startup_ms", "stall_count", "buffer_count", "stall_ms", "buffer_ms", "watched_ms",
        "media_ms", "average_bitrate", "dropped_frames", "bitrate_change_count",
    )  # fmt: skip
    never_started = and_(s.c.exit_stage == "before_start", s.c.status != "live")
    has_bitrate = s.c.average_bitrate.is_not(None)
    sums = (
        select(
            s.c.day,
            s.c.player_name,
            s.c.app_version,
            s.c.content_type,
            func.count().label("sessions"),
            count_if(s.c.initial_startup_ms.is_not(None)).label("started_sessions"),
            count_if(never_started & (s.c.error_count == 0)).label("exits_before_start"),
            count_if(never_started & (s.c.error_count > 0)).label("start_failures"),
            total(s.c.initial_startup_ms).label("initial_startup_ms"),
            total(s.c.stall_count + s.c.buffer_count).label("stalls"),
            total(s.c.stall_ms + s.c.buffer_ms).label("stalled_ms"),
            *_totals(s, "watched_ms", "media_ms"),
            func.sum(s.c.average_bitrate * s.c.media_ms).label("bitrate_by_ms"),
            total(case((has_bitrate, s.c.media_ms), else_=0)).label("bitrate_ms"),
            total(s.c.bitrate_change_count).label("bitrate_changes"),
            total(s.c.dropped_frames).label("dropped_frames"),
            total(s.c.error_count).label("errors"),
        )
        .group_by(s.c.day, s.c.player_name, s.c.app_version, s.c.content_type)
        .subquery("sums")
    )
    c = sums.c
    return select(
        *(column for column in c if not column.name.startswith("bitrate_by")),
        mean_ms(c.initial_startup_ms, c.started_sessions).label("average_initial_startup_ms"),
        ratio(c.stalls, c.sessions).label("stalls_per_session"),
        ratio(c.stalls * _HOUR_MS, c.watched_ms).label("stalls_per_watched_hour"),
        ratio(PERCENT * c.stalled_ms, c.watched_ms).label("stalled_time_percent"),
        ratio(c.bitrate_by_ms, c.bitrate_ms).label("average_playback_bitrate"),
    )


_EACH_SESSION: Final = ""
"""In place of a code: the row that counts a session, whatever was found in it."""


def _findings_daily() -> Select[Any]:
    """Sessions and what was found in them, counted in one go by (day, player, version, code); then
    the rows without a code give the others their number of sessions."""
    names = ("session_id", "player_name", "app_version")
    rows = union_all(
        *_found(closed_by_day(names), sessions_closed), *_found(live_by_day(names), sessions_live)
    ).subquery("f")
    build = (rows.c.day, rows.c.player_name, rows.c.app_version)
    counted = (
        select(
            *build,
            rows.c.code,
            func.count().label("sessions"),
            total(rows.c.times).label("times"),
            cast(func.sum(rows.c.moved_ms), BigInteger).label("moved_ms"),
        )
        .group_by(*build, rows.c.code)
        .subquery("counted")
    )
    is_each = counted.c.code == _EACH_SESSION
    of_build = [counted.c[column.name] for column in build]
    all_sessions = func.sum(case((is_each, counted.c.sessions), else_=0)).over(
        partition_by=of_build
    )
    shares = select(*counted.c, cast(all_sessions, BigInteger).label("of_sessions")).subquery("b")
    return select(
        *(shares.c[name] for name in ("day", "player_name", "app_version", "code", "sessions")),
        shares.c.of_sessions,
        ratio(shares.c.sessions, shares.c.of_sessions).label("session_share"),
        shares.c.times,
        shares.c.moved_ms,
    ).where(shares.c.code != _EACH_SESSION)


def _found(sessions: Select[Any], table: Table) -> tuple[Select[Any], Select[Any]]:
    """One row a session, and one a finding of a session."""
    each = sessions.add_columns(
        literal(_EACH_SESSION).label("code"),
        literal(0, BigInteger).label("times"),
        cast(null(), BigInteger).label("moved_ms"),
    )
    found = sessions.add_columns(
        finding_rows.c.code, finding_rows.c.count.label("times"), _moved_ms().label("moved_ms")
    ).where(table.c.finding_count > 0, same_session(table, finding_rows))
    return each, found


def _moved_ms() -> ColumnElement[int]:
    """The playing time of the session's ads that this finding made content; null for a finding
    that says nothing of a bookend."""
    same_break = and_(
        same_session(ad_rows, ad_break_rows),
        ad_break_rows.c.break_number == ad_rows.c.break_number,
    )
    is_its_cause = or_(
        and_(finding_rows.c.code == "ad_without_break", ad_rows.c.break_number.is_(None)),
        and_(finding_rows.c.code == "break_not_completed", ~ad_break_rows.c.tracked),
    )
    moved = (
        select(total(ad_rows.c.playing_ms))
        .select_from(ad_rows.outerjoin(ad_break_rows, same_break))
        .where(same_session(finding_rows, ad_rows), is_its_cause)
        .correlate(finding_rows)
    )
    codes = ("ad_without_break", "break_not_completed")
    return case((finding_rows.c.code.in_(codes), moved.scalar_subquery()), else_=null())
