"""The report views from the time line: who watches in each minute, and which parts are watched.

Beside `models.reports`, with the same days. Both make ranges of whole numbers of the spans
(minutes, hundredths of a content), cut off each what earlier ranges had, and count what is left.
Imports nothing of the project outside this package; no I/O.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    Table,
    and_,
    case,
    cast,
    func,
    or_,
    select,
    true,
    union,
    union_all,
)

from models.reports import closed_by_day, live_by_day
from models.reports_sql import (
    PERCENT,
    count_if,
    counting_to,
    day_before,
    day_end,
    day_of,
    day_start,
    days_of,
    earlier_of,
    epoch_ms,
    floor_of,
    is_live,
    last_before,
    later_of,
    minute_start,
    next_day,
    quotient,
    ratio,
    same_session,
    total,
)
from models.tables import session_starts, sessions_closed, sessions_live, span_rows

_MINUTE_MS: Final = 60_000
NOT_WATCHED: Final = ("pause", "ended", "untracked")
"""What is on the screen of one who does not watch."""


def time_report_queries() -> dict[str, Select[Any]]:
    """The query behind each of the two views, by the view's name."""
    return {"audience_minute": _audience_minute(), "retention": _retention()}


# --- audience_minute -----------------------------------------------------------------------------


def _audience_minute() -> Select[Any]:
    """Minutes are numbers since the epoch until the end."""
    spans = union_all(_ended_spans(), _open_spans(0), _open_spans(1)).subquery("spans_of_day")
    minutes = _minutes(spans)
    of_session = _cut(minutes, (minutes.c.day, minutes.c.session_id), "first")
    same = and_(is_live(session_starts), session_starts.c.session_id == of_session.c.session_id)
    named = (
        select(of_session, session_starts.c.content_id, session_starts.c.visitor_id)
        .select_from(of_session.outerjoin(session_starts, same))
        .where(of_session.c.first <= of_session.c.last)
        .subquery("named")
    )
    by_visitor = (named.c.day, named.c.content_id, named.c.visitor_id)
    seen = _cut(named, by_visitor, "visitor_first")
    ahead = counting_to(seen.c.last - seen.c.first).table_valued("key", name="key")
    minute = seen.c.first + ahead.c.key
    is_new_visitor = and_(seen.c.visitor_id.is_not(None), minute >= seen.c.visitor_first)
    counted = (
        select(
            seen.c.day,
            minute.label("minute"),
            seen.c.content_id,
            func.count().label("sessions"),
            count_if(is_new_visitor).label("visitors"),
        )
        .select_from(seen.join(ahead, true()))
        .group_by(seen.c.day, "minute", seen.c.content_id)
        .subquery("counted")
    )
    named_minute = minute_start(counted.c.minute).label("minute")
    return select(*(named_minute if c.name == "minute" else c for c in counted.c))


def _ended_spans() -> Select[Any]:
    """Spans with each day that they lie in: the one that they began on, and the next."""
    began = days_of(span_rows.c.started_at)
    days = union(
        select(began.c.day).where(began.c.day.is_not(None)),
        select(next_day(began.c.day)).where(began.c.day.is_not(None)),
    ).subquery("days")
    begins = span_rows.c.started_at >= day_start(day_before(days.c.day))
    ends = span_rows.c.started_at < day_end(days.c.day)
    return (
        select(
            days.c.day,
            span_rows.c.session_id,
            span_rows.c.started_at,
            span_rows.c.ended_at,
        )
        .select_from(days.join(span_rows, and_(begins, ends, begins, ends)))
        .where(
            is_live(span_rows),
            span_rows.c.ended_at > day_start(days.c.day),
            span_rows.c.activity.not_in(NOT_WATCHED),
        )
    )


def _open_spans(days_later: int) -> Select[Any]:
    """The span that goes on of each live session, with the day that it began on or the next."""
    began = day_of(sessions_live.c.span_started_at)
    day = next_day(began) if days_later else began
    return select(
        day.label("day"),
        sessions_live.c.session_id,
        sessions_live.c.span_started_at,
        sessions_live.c.last_event_at,
    ).where(
        is_live(sessions_live),
        sessions_live.c.last_event_at > day_start(day),
        sessions_live.c.span_activity.not_in(NOT_WATCHED),
    )


def _minutes(spans: Subquery) -> Subquery:
    """The first and the last minute of each span on its day."""
    begins_ms = later_of(epoch_ms(spans.c.started_at), epoch_ms(day_start(spans.c.day)))
    ends_ms = earlier_of(epoch_ms(spans.c.ended_at), epoch_ms(day_end(spans.c.day)))
    return select(
        spans.c.day,
        spans.c.session_id,
        quotient(begins_ms, _MINUTE_MS).label("first"),
        quotient(ends_ms - 1, _MINUTE_MS).label("last"),
    ).subquery("minutes")


def _cut(ranges: Subquery, within: Sequence[ColumnElement[Any]], name: str) -> Subquery:
    """The ranges with the number that each one newly begins with, so that within a group none
    counts twice; after `last` if it has nothing new. `name`: of that column; it replaces `first`
    where it is called so."""
    before = last_before(ranges.c.last, within, ranges.c.first)
    newly = later_of(func.coalesce(before + 1, 0), ranges.c.first).label(name)
    others = [column for column in ranges.c if column.name != name]
    return select(*others, newly).subquery(f"{name}_of")


# --- retention -----------------------------------------------------------------------------------

_PLAY: Final = ("session_id", "content_id", "content_length_s", "content_started")


def _retention() -> Select[Any]:
    return retention_of(_plays_by_day())


def retention_of(plays: Subquery) -> Select[Any]:
    """The view's rows of other plays. `plays`: `day`, `content_id`, `session_id`,
    `content_length_s` of each, with `playhead_from_s` and `playhead_to_s` of each stretch of it
    that `has_content`, null if there is none.

    By differences: a range adds one to all hundredths from its first on and takes it away after
    its last, so that only their ends need be counted, and not each hundredth of each session."""
    changes = _changes(plays)
    key = (changes.c.day, changes.c.content_id)
    summed = (
        select(
            *key,
            changes.c.percent,
            total(changes.c.change).label("change"),
            total(changes.c.plays).label("plays"),
        )
        .group_by(*key, changes.c.percent)
        .subquery("summed")
    )
    of_content = (summed.c.day, summed.c.content_id)
    next_percent = func.lead(summed.c.percent, 1, PERCENT).over(
        partition_by=of_content, order_by=summed.c.percent
    )
    so_far = func.sum(summed.c.change).over(partition_by=of_content, order_by=summed.c.percent)
    steps = select(
        *of_content,
        summed.c.percent,
        next_percent.label("next_percent"),
        cast(so_far, BigInteger).label("sessions"),
        cast(func.sum(summed.c.plays).over(partition_by=of_content), BigInteger).label("plays"),
    ).subquery("steps")
    ahead = counting_to(steps.c.next_percent - steps.c.percent - 1).table_valued("key", name="key")
    return (
        select(
            steps.c.day,
            steps.c.content_id,
            cast(steps.c.percent + ahead.c.key, BigInteger).label("percent"),
            steps.c.sessions,
            steps.c.plays,
            ratio(steps.c.sessions, steps.c.plays).label("share"),
        )
        .select_from(steps.join(ahead, true()))
        .where(steps.c.percent < PERCENT)
    )


def _changes(plays: Subquery) -> Subquery:
    """Of each range that a session newly played: one more at its first hundredth and one less after
    its last; and of each session a play, and no change, at 0, where every content begins."""
    ranges = _played_ranges(plays)
    cut = _cut(ranges, (ranges.c.day, ranges.c.content_id, ranges.c.session_id), "first")
    is_new = cut.c.first <= cut.c.last
    kinds = counting_to(2).table_valued("key", name="key")
    kind = kinds.c.key
    return (
        select(
            cut.c.day,
            cut.c.content_id,
            case((kind == 0, 0), (kind == 1, cut.c.first), else_=cut.c.last + 1).label("percent"),
            case((kind == 0, 0), (kind == 1, 1), else_=-1).label("change"),
            case((and_(kind == 0, cut.c.nth == 1), 1), else_=0).label("plays"),
        )
        .select_from(cut.join(kinds, true()))
        .where(or_(is_new, kind == 0))
        .subquery("changes")
    )


def _plays_by_day() -> Subquery:
    """All plays, with the day that they began on."""
    ended = (span_rows.c.playhead_from_s, span_rows.c.playhead_to_s)
    goes_on = (sessions_live.c.span_playhead_from_s, sessions_live.c.span_playhead_to_s)
    of_live = _plays(live_by_day(_PLAY))
    return union_all(
        _with_spans(_plays(closed_by_day(_PLAY)), sessions_closed).add_columns(*ended),
        _with_spans(of_live, sessions_live).add_columns(*ended),
        of_live.add_columns(*goes_on).where(
            sessions_live.c.span_activity == "content", _lies_within(*goes_on)
        ),
    ).subquery("plays")


def _played_ranges(plays: Subquery) -> Subquery:
    """The hundredths of its content that each session played, stretch by stretch; a row with nulls
    for a session that has no such stretch."""
    hundredths = select(
        plays.c.day,
        plays.c.content_id,
        plays.c.session_id,
        _first_hundredth(plays).label("first"),
        _last_hundredth(plays).label("last"),
    ).subquery("hundredths")
    nth = func.row_number().over(
        partition_by=(hundredths.c.day, hundredths.c.content_id, hundredths.c.session_id),
        order_by=(hundredths.c.first, hundredths.c.last),
    )
    return select(*hundredths.c, nth.label("nth")).subquery("ranges")


def _plays(sessions: Select[Any]) -> Select[Any]:
    """Sessions that played a content of known length."""
    columns = sessions.selected_columns
    return sessions.where(columns.content_length_s > 0, columns.content_started)


def _with_spans(sessions: Select[Any], table: Table) -> Select[Any]:
    played = and_(
        same_session(table, span_rows),
        span_rows.c.activity == "content",
        _lies_within(span_rows.c.playhead_from_s, span_rows.c.playhead_to_s),
    )
    return sessions.outerjoin(span_rows, played)


def _lies_within(
    playhead_from_s: ColumnElement[float], playhead_to_s: ColumnElement[float]
) -> ColumnElement[bool]:
    return has_content(playhead_from_s, playhead_to_s, session_starts.c.content_length_s)


def has_content(
    playhead_from_s: ColumnElement[float],
    playhead_to_s: ColumnElement[float],
    length_s: ColumnElement[float],
) -> ColumnElement[bool]:
    """Whether a stretch has some of a content of this length in it."""
    return and_(playhead_to_s > playhead_from_s, playhead_from_s < length_s, playhead_to_s > 0)


def _first_hundredth(spans: Subquery) -> ColumnElement[int]:
    begins = spans.c.playhead_from_s * PERCENT / spans.c.content_length_s
    return case((begins > 0, floor_of(begins)), (begins <= 0, 0))


def _last_hundredth(spans: Subquery) -> ColumnElement[int]:
    """The one that `playhead_to_s` lies in, or the one before if it lies on the border."""
    reached = spans.c.playhead_to_s * PERCENT / spans.c.content_length_s
    last = floor_of(reached) - case((reached == floor_of(reached), 1), else_=0)
    return case((spans.c.playhead_to_s >= spans.c.content_length_s, PERCENT - 1), else_=last)
