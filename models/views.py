"""The public views: what analysts read, always the live projection.

At the end of the record's way, beside `models.tables`. Views hold no data: `migrations` drops and
makes them anew with every change of the schema. docs/sql.md describes each column; a test compares.
Imports nothing of the project outside this package; no I/O.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import (
    Column,
    CompoundSelect,
    Dialect,
    Label,
    Select,
    Table,
    TableClause,
    and_,
    case,
    column,
    false,
    literal,
    null,
    select,
    table,
    union_all,
)
from sqlalchemy.dialects import sqlite

from models.reports import daily_report_queries
from models.reports_sql import LOCAL_DAYS, is_live
from models.reports_time import time_report_queries
from models.rows import SessionFigures, StartRow
from models.tables import (
    CHILD_TABLES,
    ad_break_rows,
    ad_rows,
    log_gap_rows,
    session_starts,
    sessions_closed,
    sessions_live,
)
from models.views_spans import spans_query

ViewQuery = Select[Any] | CompoundSelect[Any]
_PLACE: Final = ("log_partition", "first_offset", "last_offset", "session_id")


@cache
def view_queries() -> Mapping[str, ViewQuery]:
    """The query behind each public view, by the view's name."""
    derived: dict[str, ViewQuery] = {"ads": _ads(), "spans": spans_query()}
    plain = {name: _child(table) for name, table in CHILD_TABLES.items() if name not in derived}
    gaps: dict[str, ViewQuery] = {"log_gaps": _child(log_gap_rows)}
    made = {"sessions": _sessions(), **derived, **plain, **gaps, **report_queries()}
    return MappingProxyType(made)


def report_queries() -> dict[str, ViewQuery]:
    """Of these the reports, which are made of days."""
    return {**daily_report_queries(), **time_report_queries()}


def view_table(name: str) -> TableClause:
    """A view as a table to select from: its columns with the types that they have in Python."""
    columns = view_queries()[name].selected_columns
    return table(name, *(column(found.name, found.type) for found in columns))


def create_statements(dialect: Dialect) -> list[str]:
    """`CREATE VIEW` for every public view, in the dialect's SQL."""
    return [
        f"CREATE VIEW {name} AS\n"
        + str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        for name, query in view_queries().items()
    ]


def local_day_statements() -> list[str]:
    """`CREATE TEMPORARY VIEW` for every report, in SQLite's SQL: for the connection that runs them
    the reports have the days of its process's time zone."""
    how = {"literal_binds": True, LOCAL_DAYS: True}
    return [
        f"CREATE TEMPORARY VIEW {name} AS\n"
        + str(query.compile(dialect=sqlite.dialect(), compile_kwargs=how))
        for name, query in report_queries().items()
    ]


def drop_statements() -> list[str]:
    """`DROP VIEW` for every public view, whether it exists or not."""
    return [f"DROP VIEW IF EXISTS {name}" for name in view_queries()]


def _sessions() -> CompoundSelect[Any]:
    """Live sessions, then closed ones. Each arm joins by itself so that a condition on the view
    reaches both tables' indexes."""
    return union_all(_sessions_of(sessions_live), _sessions_of(sessions_closed))


def _sessions_of(table: Table) -> Select[Any]:
    same_session = and_(
        session_starts.c.projection == table.c.projection,
        session_starts.c.session_id == table.c.session_id,
    )
    return (
        select(
            *(table.c[name] for name in _PLACE),
            *(session_starts.c[name] for name in StartRow._fields),
            *(table.c[name] for name in SessionFigures._fields),
        )
        .select_from(table.outerjoin(session_starts, same_session))
        .where(is_live(table))
    )


def _child(table: Table) -> Select[Any]:
    return select(*(c for c in table.c if c.name != "projection")).where(is_live(table))


def _ads() -> Select[Any]:
    same_break = and_(
        ad_break_rows.c.projection == ad_rows.c.projection,
        ad_break_rows.c.session_id == ad_rows.c.session_id,
        ad_break_rows.c.break_number == ad_rows.c.break_number,
    )
    return (
        select(*_ad_columns())
        .select_from(ad_rows.outerjoin(ad_break_rows, same_break))
        .where(is_live(ad_rows))
    )


def _ad_columns() -> list[Column[Any] | Label[Any]]:
    columns: list[Column[Any] | Label[Any]] = []
    for own in ad_rows.c:
        if own.name != "projection":
            columns.append(own)
        if own.name == "ended_by":
            columns += _tracked()
    return columns


def _tracked() -> list[Label[Any]]:
    """Derived from the break's row, so that a closing bookend changes one row and not each ad's.

    Both are null for an ad whose break's row was not kept (docs/rules.md: 1,000 rows a table).
    """
    outside = ad_rows.c.break_number.is_(None)
    return [
        case((outside, false()), else_=ad_break_rows.c.tracked).label("tracked"),
        case(
            (outside, literal("ad_without_break")),
            (ad_break_rows.c.tracked == false(), literal("break_not_completed")),
            else_=null(),
        ).label("untracked_reason"),
    ]
