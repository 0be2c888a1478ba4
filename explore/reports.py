"""What the overview and the ranking of findings ask the database.

Beside `reading`, whose connections they use. The overview adds up the view `sessions`, so that
every filter holds for every figure of it; the ranking reads the view `findings_daily`. Imports
`models`.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, cast, func, select

from explore.filters import Asked, BadAddressError
from explore.reading import conditions, rows_of, view
from models.reports_sql import count_if
from models.time_line import Row

Unit = Literal["hour", "day", "month"]
RANKED_MAX: Final = 200
_HOURS_MS_MAX: Final = 2 * 86_400_000
_DAYS_MS_MAX: Final = 120 * 86_400_000
_LENGTHS: Final[dict[Unit, int]] = {"hour": 13, "day": 10, "month": 7}
_FORMATS: Final[dict[Unit, str]] = {
    "hour": "YYYY-MM-DD HH24",
    "day": "YYYY-MM-DD",
    "month": "YYYY-MM",
}
SUMS: Final = (
    "content_ms", "ad_ms", "unbookended_ad_ms", "buffer_ms", "stall_ms", "watched_ms",
)  # fmt: skip
COUNTS: Final = (
    "sessions", "live", "content_starts", "completes", "drops", "with_findings",
)  # fmt: skip


class Overview(NamedTuple):
    """`totals`: names of `SUMS` and `COUNTS`. `parts`: the same for each unit of time in which
    sessions began, in order."""

    unit: Unit
    totals: Row
    parts: list[Row]


def unit_of(wanted: Asked, now_ms: int) -> Unit:
    """By what the overview is cut: so that there are neither too few parts nor too many."""
    if wanted.since_ms is None:
        return "month"
    length = (now_ms if wanted.until_ms is None else wanted.until_ms) - wanted.since_ms
    if length <= _HOURS_MS_MAX:
        return "hour"
    return "day" if length <= _DAYS_MS_MAX else "month"


def overview(connection: Connection, wanted: Asked, now_ms: int) -> Overview:
    """The figures of all sessions that fit, each counted where it began."""
    unit = unit_of(wanted, now_ms)
    sessions = view("sessions").c
    part = _part(connection, unit, sessions.started_at).label("part")
    counted = {
        "sessions": func.count(),
        "live": count_if(sessions.status == "live"),
        "content_starts": count_if(sessions.content_started),
        "completes": count_if(sessions.completed),
        "drops": count_if(sessions.dropped_before_start),
        "with_findings": count_if(sessions.finding_count > 0),
    }
    columns: list[Any] = [part, *(count.label(name) for name, count in counted.items())]
    columns += [cast(func.sum(sessions[name]), BigInteger).label(name) for name in SUMS]
    query = select(*columns).where(*conditions(wanted)).group_by(part).order_by(part)
    parts = rows_of(connection, query)
    totals = {name: sum(row[name] for row in parts) for name in (*COUNTS, *SUMS)}
    return Overview(unit, totals, parts)


def _part(connection: Connection, unit: Unit, at: ColumnElement[Any]) -> ColumnElement[str]:
    """The beginning of an instant's text, in UTC: `2026-03-01 10`."""
    if connection.dialect.name == "postgresql":
        return func.to_char(at, _FORMATS[unit])  # the connection's time zone is UTC
    return func.substr(at, 1, _LENGTHS[unit])


class Days(NamedTuple):
    """Whole days, both of them part of it; None: no bound."""

    first: date | None
    last: date | None


def days_of(wanted: Asked) -> Days:
    """The days that a period touches."""
    until = None if wanted.until_ms is None else wanted.until_ms - 1
    return Days(_day(wanted.since_ms), _day(until))


def _day(ms: int | None) -> date | None:
    return (
        None if ms is None else (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(0, 0, 0, ms)).date()
    )


def ranked_findings(connection: Connection, wanted: Asked) -> list[Row]:
    """Findings of each player and app version, those first that moved most time, then those in
    most sessions. Errors: `BadAddressError` for a filter that the view has no column for."""
    found = view("findings_daily").c
    days = days_of(wanted)
    query = select(
        found.player_name,
        found.app_version,
        found.code,
        *(
            cast(func.sum(found[name]), BigInteger).label(name)
            for name in ("sessions", "times", "moved_ms")
        ),
    ).group_by(found.player_name, found.app_version, found.code)
    for column, value in wanted.equal.items():
        if column not in found:
            raise BadAddressError("Findings are filtered by time, player and version alone.")
        query = query.where(found[column] == value)
    if days.first is not None:
        query = query.where(found.day >= days.first)
    if days.last is not None:
        query = query.where(found.day <= days.last)
    moved = func.coalesce(func.sum(found.moved_ms), 0)
    order = (moved.desc(), func.sum(found.sessions).desc(), found.code)
    return rows_of(connection, query.order_by(*order).limit(RANKED_MAX))
