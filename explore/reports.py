"""What the overview asks the database: sums over the view `sessions`, and who watches when.

Beside `reading`, whose connections it uses. Every filter holds for every figure. Imports `models`.
"""

from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    cast,
    func,
    literal_column,
    or_,
    select,
)

from explore.filters import Asked
from explore.findings import worst_builds
from explore.reading import conditions, together, view
from explore.viewers import Period, Viewers, goes_on_in, period_of, viewers_of, watching
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
_USED: Final = (
    "session_id", "started_at", "status", "content_started", "completed", "dropped_before_start",
    "finding_count", "player_name", "app_version", *SUMS,
)  # fmt: skip
_BUILDS_SHOWN: Final = 10
_ONLY_A_WORD: Final = "NOT MATERIALIZED"


class Overview(NamedTuple):
    """`totals`: names of `SUMS` and `COUNTS`. `parts`: the same for each unit of time in which
    sessions began, in order. `watching`: who watches when. `builds`: those of `Findings`."""

    unit: Unit
    totals: Row
    parts: list[Row]
    watching: Viewers
    builds: list[Row]


def unit_of(wanted: Asked, now_ms: int) -> Unit:
    """By what the overview is cut: so that there are neither too few parts nor too many."""
    if wanted.since_ms is None:
        return "month"
    length = (now_ms if wanted.until_ms is None else wanted.until_ms) - wanted.since_ms
    if length <= _HOURS_MS_MAX:
        return "hour"
    return "day" if length <= _DAYS_MS_MAX else "month"


def overview(connection: Connection, wanted: Asked, now_ms: int) -> Overview:
    """The figures of all sessions that fit, each counted where it began, out of one statement: what
    the filters leave over is looked up once."""
    unit, period = unit_of(wanted, now_ms), period_of(wanted, now_ms)
    fitting, began = _fitting(wanted, period)
    queries = {
        "parts": _parts(began, *_part(connection, unit, began.c.started_at)),
        "builds": worst_builds(began, _BUILDS_SHOWN),
    }
    if period is not None:
        queries["watching"] = watching(period, fitting if wanted.is_narrowed else None)
    found = together(connection, queries)
    parts = found["parts"]
    totals = {name: sum(row[name] for row in parts) for name in SUMS_AND_COUNTS}
    viewers = viewers_of(period, found.get("watching", []))
    return Overview(unit, totals, parts, viewers, found["builds"])


def _fitting(wanted: Asked, period: Period | None) -> tuple[CTE, CTE]:
    """The sessions that the filters leave over, with those that began before the time asked for
    and can have viewers in it; and of them those that began in it. Without a filter all of that is
    only a word for the view: nothing is looked up that one of the queries does not use."""
    sessions = view("sessions").c
    query = select(*(sessions[name] for name in _USED))
    since_ms = wanted.since_ms
    if not wanted.is_narrowed or period is None or since_ms is None or since_ms <= period.first_ms:
        fitting = query.where(*conditions(wanted)).cte("fitting")
        return (fitting,) * 2 if wanted.is_narrowed else (fitting.prefix_with(_ONLY_A_WORD),) * 2
    early = conditions(wanted._replace(since_ms=period.first_ms))
    is_within = sessions.started_at >= since_ms
    fitting = query.where(*early, or_(is_within, goes_on_in(period))).cte("fitting")
    began = select(fitting).where(fitting.c.started_at >= since_ms).cte("began")
    return fitting, began.prefix_with(_ONLY_A_WORD)


def _parts(began: CTE, start: ColumnElement[Any], part: ColumnElement[str]) -> Select[Any]:
    """Sums and counts by what the instants of one unit have in common (`_part`)."""
    sessions = began.c
    columns: dict[str, ColumnElement[Any]] = {
        "part": part,
        "sessions": func.count(),
        "live": count_if(sessions.status == "live"),
        "content_starts": count_if(sessions.content_started),
        "completes": count_if(sessions.completed),
        "drops": count_if(sessions.dropped_before_start),
        "with_findings": count_if(sessions.finding_count > 0),
    }
    columns |= {name: cast(func.sum(sessions[name]), BigInteger) for name in SUMS}
    labelled = (column.label(name) for name, column in columns.items())
    return select(*labelled).group_by(start).order_by(start)


def _part(
    connection: Connection, unit: Unit, at: ColumnElement[Any]
) -> tuple[ColumnElement[Any], ColumnElement[str]]:
    """What instants of one unit have in common, and how that begins as a text in UTC:
    `2026-03-01 10`. The text is made once a group: it costs more than the rest of a row."""
    if connection.dialect.name == "postgresql":  # the connection's time zone is UTC
        start = func.date_trunc(literal_column(f"'{unit}'"), at)
        return start, func.to_char(start, _FORMATS[unit])
    text = func.substr(at, 1, _LENGTHS[unit])
    return text, text
