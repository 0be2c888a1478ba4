"""What the overview asks the database: sums over the view `sessions`, and who watches when.

Beside `reading`, whose connections it uses. Every filter holds for every figure. Imports `models`.
"""

from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, cast, func, select

from explore.filters import Asked
from explore.reading import conditions, rows_of, view
from models.reports_sql import count_if
from models.time_line import Row

Unit = Literal["hour", "day", "month"]
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
SUMS_AND_COUNTS: Final = (*SUMS, *COUNTS)


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
    totals = {name: sum(row[name] for row in parts) for name in SUMS_AND_COUNTS}
    return Overview(unit, totals, parts)


def _part(connection: Connection, unit: Unit, at: ColumnElement[Any]) -> ColumnElement[str]:
    """The beginning of an instant's text, in UTC: `2026-03-01 10`."""
    if connection.dialect.name == "postgresql":
        return func.to_char(at, _FORMATS[unit])  # the connection's time zone is UTC
    return func.substr(at, 1, _LENGTHS[unit])
