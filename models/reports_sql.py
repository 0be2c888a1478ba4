"""What the report views are made of: days and minutes in both dialects, sums, ratios, ranges.

Beside `models.reports`. A day is one of the reader's time zone: on PostgreSQL that of the setting
`TimeZone`, on SQLite UTC or that of its process (docs/sql.md "Days and time zones"). Imports
nothing of the project outside this package; no I/O.
"""

from collections.abc import Sequence
from functools import cache
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
LOCAL_DAYS: Final = "local_days"
"""A word to the compiler: days of the reading process's time zone, on SQLite."""
_PRECEDENCE: Final = 8  # that of * in SQLAlchemy


class _Function(FunctionElement[Any]):
    """What differs between the dialects in its name alone: nothing of it is in a cache's key."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        cls.inherit_cache = True  # SQLAlchemy asks each class for its own
        super().__init_subclass__(**kwargs)


class day_of(_Function):  # noqa: N801 - a function of SQL, named as one; so are the next
    """The day that an instant lies in."""

    type = Date()


class next_day(_Function):  # noqa: N801
    """The day after a day."""

    type = Date()


class day_before(_Function):  # noqa: N801
    """The day before a day."""

    type = Date()


class day_start(_Function):  # noqa: N801
    """The first instant of a day."""

    type = Instant()


class day_end(_Function):  # noqa: N801
    """The first instant after a day."""

    type = Instant()


class epoch_ms(_Function):  # noqa: N801
    """An instant as whole ms since the epoch."""

    type = BigInteger()


class minute_start(_Function):  # noqa: N801
    """The instant that so many minutes since the epoch are."""

    type = Instant()


class step_reached(_Function):  # noqa: N801
    """The first of the instants so many ms apart, from the epoch on, that is at or after an
    instant: in whatever the database makes and groups by fastest, for `step_number`."""

    type = BigInteger()


class step_number(_Function):  # noqa: N801
    """The number, from the epoch on, of what `step_reached` gave for steps of so many ms."""

    type = BigInteger()


class floor_of(_Function):  # noqa: N801
    """A number that is not negative, without what follows its point."""

    type = BigInteger()


class later_of(_Function):  # noqa: N801
    """The larger of two numbers, neither of them null."""

    type = BigInteger()


class earlier_of(_Function):  # noqa: N801
    """The smaller of two numbers, neither of them null."""

    type = BigInteger()


class counting_to(_Function):  # noqa: N801
    """A table with the column `key`: 0, 1, 2 and so on up to a number."""


_MS_ON_SQLITE: Final = (
    "(CAST(strftime('%s', {0}) AS INTEGER) * 1000 + CAST(substr({0}, 21, 3) AS INTEGER))"
)
_SQL: Final[dict[type[FunctionElement[Any]], tuple[str, str]]] = {
    day_of: ("CAST({0} AS DATE)", "substr({0}, 1, 10)"),
    next_day: ("({0} + 1)", "date({0}, '+1 day')"),
    day_before: ("({0} - 1)", "date({0}, '-1 day')"),
    day_start: ("CAST({0} AS TIMESTAMP WITH TIME ZONE)", "({0} || ' 00:00:00.000')"),
    day_end: (
        "CAST({0} + 1 AS TIMESTAMP WITH TIME ZONE)",
        "(date({0}, '+1 day') || ' 00:00:00.000')",
    ),
    epoch_ms: (
        "CAST(date_part('epoch', {0}) * 1000 AS BIGINT)",
        _MS_ON_SQLITE,
    ),
    minute_start: (
        "to_timestamp({0} * 60)",
        "strftime('%Y-%m-%d %H:%M:%f', {0} * 60, 'unixepoch')",
    ),
    # Bins have their beginning and not their end: begun 1 ms later, as instants are whole ms, they
    # have their end and not their beginning. Each is told by its beginning.
    step_reached: (
        "date_bin({1} * INTERVAL '1 millisecond', {0}, '1970-01-01 00:00:00.001+00')",
        f"(({_MS_ON_SQLITE} + ({{1}} - 1)) / {{1}})",
    ),
    step_number: ("((CAST(date_part('epoch', {0}) * 1000 AS BIGINT) - 1) / {1} + 1)", "{0}"),
    floor_of: ("CAST(floor({0}) AS BIGINT)", "CAST({0} AS INTEGER)"),
    later_of: ("greatest({0}, {1})", "max({0}, {1})"),
    earlier_of: ("least({0}, {1})", "min({0}, {1})"),
    # SQLite's own series are not in every build of it: an array with so many elements is.
    counting_to: (
        "generate_series(0, {0})",
        "json_each('[0' || replace(hex(zeroblob({0})), '00', ',0') || ']')",
    ),
}


_LOCAL_DAYS: Final[dict[type[FunctionElement[Any]], str]] = {
    day_of: "date({0}, 'localtime')",
    day_start: "strftime('%Y-%m-%d %H:%M:%f', {0}, 'utc')",
    day_end: "strftime('%Y-%m-%d %H:%M:%f', {0}, '+1 day', 'utc')",
}
"""On SQLite in the time zone of the process that reads."""


def _compile(element: FunctionElement[Any], compiler: SQLCompiler, **more: Any) -> str:
    on_postgres, on_sqlite = _SQL[type(element)]
    template = on_postgres if compiler.dialect.name == "postgresql" else on_sqlite
    if more.get(LOCAL_DAYS):
        template = _LOCAL_DAYS.get(type(element), template)
    return template.format(*(compiler.process(part, **more) for part in element.clauses))


for _function in _SQL:
    compiles(_function)(_compile)


def is_live(table: Table) -> ColumnElement[bool]:
    """Whether a row belongs to the projection that the public views show."""
    return table.c.projection == select(live_projection.c.projection).scalar_subquery()


def same_session(table: Table, other: Table) -> ColumnElement[bool]:
    """The join of two tables by projection and session: the start of each one's key."""
    return and_(other.c.projection == table.c.projection, other.c.session_id == table.c.session_id)


@cache  # one list of days, however often a view looks at it
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


def quotient(whole: ColumnElement[int], by: ColumnElement[int] | int) -> ColumnElement[int]:
    """Whole numbers divided as both databases do by themselves, without what is left over."""
    return whole.op("/", _PRECEDENCE, return_type=BigInteger())(by)


def ratio(part: ColumnElement[Any], whole: ColumnElement[Any]) -> ColumnElement[float]:
    """A ratio of two sums, null if there is nothing to divide by."""
    divisor: ColumnElement[float] = cast(func.nullif(whole, 0), Double)
    return cast(part, Double).op("/", _PRECEDENCE, return_type=Double())(divisor)


def mean_ms(sum_ms: ColumnElement[int], count: ColumnElement[int]) -> ColumnElement[int]:
    """Σ ÷ n in whole ms, halves up; null of none. By integers, so that databases agree."""
    return quotient(2 * sum_ms + count, func.nullif(2 * count, 0))


def last_before(
    last: ColumnElement[int], within: Sequence[ColumnElement[Any]], first: ColumnElement[int]
) -> ColumnElement[int]:
    """The last number that the ranges before this one reached, null for the first: what a range
    adds to them begins after it, so that ranges that overlap count once."""
    return func.max(last).over(partition_by=within, order_by=(first, last), rows=(None, -1))
