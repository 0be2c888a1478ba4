"""What the report views are made of: days and minutes in both dialects, sums, ratios, ranges.

Beside `models.reports`. A day is one of the reader's time zone: on PostgreSQL that of the setting
`TimeZone`, on SQLite UTC (docs/sql.md "Days and time zones"). Imports nothing of the project
outside this package; no I/O.
"""

from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Date,
    Double,
    Table,
    and_,
    cast,
    func,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from models.tables import live_projection
from models.tables_types import Instant

PERCENT: Final = 100
_PRECEDENCE: Final = 8  # that of * in SQLAlchemy


class day_of(FunctionElement[Any]):  # noqa: N801 - a function of SQL, named as one
    """The day that an instant lies in."""

    type = Date()
    inherit_cache = True


class day_start(FunctionElement[Any]):  # noqa: N801
    """The first instant of a day."""

    type = Instant()
    inherit_cache = True


class day_end(FunctionElement[Any]):  # noqa: N801
    """The first instant after a day."""

    type = Instant()
    inherit_cache = True


_SQL: Final = {
    day_of: ("CAST({0} AS DATE)", "substr({0}, 1, 10)"),
    day_start: ("CAST({0} AS TIMESTAMP WITH TIME ZONE)", "({0} || ' 00:00:00.000')"),
    day_end: (
        "CAST({0} + 1 AS TIMESTAMP WITH TIME ZONE)",
        "(date({0}, '+1 day') || ' 00:00:00.000')",
    ),
}


def _compile(element: FunctionElement[Any], compiler: SQLCompiler, **more: Any) -> str:
    on_postgres, on_sqlite = _SQL[type(element)]
    template = on_postgres if compiler.dialect.name == "postgresql" else on_sqlite
    return template.format(*(compiler.process(part, **more) for part in element.clauses))


for _function in _SQL:
    compiles(_function)(_compile)


def is_live(table: Table) -> ColumnElement[bool]:
    """Whether a row belongs to the projection that the public views show."""
    return table.c.projection == select(live_projection.c.projection).scalar_subquery()


def same_session(table: Table, other: Table) -> ColumnElement[bool]:
    """The join of two tables by projection and session: the start of each one's key."""
    return and_(other.c.projection == table.c.projection, other.c.session_id == table.c.session_id)


def days_of(column: Column[Any]) -> CTE:
    """The days that have an instant in an indexed column, one row (`day`) each, and one null.

    The index is asked for the first instant of each day in turn, so that empty years between a
    client's wrong clock and today cost nothing. A condition on the day of a view that joins these
    with `is_on` reaches the same index; one on an expression would not, in any zone but one.
    """
    first = select(day_of(func.min(column)).label("day")).where(is_live(column.table))
    days = first.cte(f"days_of_{column.table.name}", recursive=True)
    later = select(day_of(func.min(column))).where(
        is_live(column.table), column >= day_end(days.c.day)
    )
    return days.union_all(select(later.scalar_subquery()).where(days.c.day.is_not(None)))


def is_on(column: Column[Any], day: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether an instant lies in a day, as a range of the column's index.

    Said twice for PostgreSQL, which takes a third of all rows for each inequality whose bound it
    does not know: four of them make a day out to be an 81st of the table, near enough to read the
    rest by indexes too; two make it a ninth, and other tables are read whole.
    """
    begins, ends = column >= day_start(day), column < day_end(day)
    return and_(begins, ends, begins, ends)


def total(value: ColumnElement[Any]) -> ColumnElement[int]:
    """The sum of whole numbers as a whole number (PostgreSQL would make it numeric), 0 of none."""
    return cast(func.coalesce(func.sum(value), 0), BigInteger)


def count_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows of the group fulfil the condition."""
    return func.count().filter(condition)


def ratio(part: ColumnElement[Any], whole: ColumnElement[Any]) -> ColumnElement[float]:
    """A ratio of two sums, null if there is nothing to divide by."""
    divisor: ColumnElement[float] = cast(func.nullif(whole, 0), Double)
    return cast(part, Double).op("/", _PRECEDENCE, return_type=Double())(divisor)


def mean_ms(sum_ms: ColumnElement[int], count: ColumnElement[int]) -> ColumnElement[int]:
    """Σ ÷ n in whole ms, halves up; null of none. By integers, so that databases agree."""
    whole: ColumnElement[int] = (2 * sum_ms + count).op("/", _PRECEDENCE, return_type=BigInteger())(
        func.nullif(2 * count, 0)
    )
    return whole
