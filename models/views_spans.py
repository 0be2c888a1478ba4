"""The public view `spans`: a session's time line, with what each stretch counted as.

Beside `models.views`, which makes the view. What a stretch counts as is not stored: it follows from
the row of its break and from the projection's policy, so that a closing bookend changes one row and
not those of all its ads' time. Imports nothing of the project outside this package; no I/O.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Label,
    Select,
    Table,
    and_,
    case,
    func,
    literal,
    select,
    true,
    union_all,
)

from models.rows import SpanRow
from models.tables import (
    ad_break_rows,
    ad_rows,
    live_projection,
    projections,
    sessions_live,
    span_rows,
)

_COLUMNS: Final = ("session_id", *SpanRow._fields)


def spans_query() -> CompoundSelect[Any]:
    """The stretches that ended, then the one that goes on of each live session. Each arm joins by
    itself so that a condition on the view reaches both tables' indexes."""
    ended = {name: span_rows.c[name] for name in _COLUMNS}
    goes_on = {name: _open(name) for name in _COLUMNS}
    return union_all(
        _stretches(span_rows, ended),
        _stretches(sessions_live, goes_on).where(sessions_live.c.span_number.is_not(None)),
    )


def _open(name: str) -> Column[Any]:
    """The column that a live session's row has for a column of `spans`."""
    if name == "ended_at":
        return sessions_live.c.last_event_at
    return sessions_live.c[name if name in ("session_id", "span_number") else f"span_{name}"]


def _stretches(table: Table, column: Mapping[str, Column[Any]]) -> Select[Any]:
    """`column`: of `table`, by the name that it has in `spans`."""
    in_same_session = [
        (other.c.projection == table.c.projection, other.c.session_id == table.c.session_id)
        for other in (ad_rows, ad_break_rows)
    ]
    # An ad that began outside a break, and was taken in by one later: its row knows.
    taken_in = and_(
        column["break_number"].is_(None),
        *in_same_session[0],
        ad_rows.c.ad_number == column["ad_number"],
    )
    break_number = func.coalesce(column["break_number"], ad_rows.c.break_number)
    same_break = and_(*in_same_session[1], ad_break_rows.c.break_number == break_number)
    live = select(live_projection.c.projection).scalar_subquery()
    return (
        select(*_labelled(column, break_number))
        .select_from(table.outerjoin(ad_rows, taken_in).outerjoin(ad_break_rows, same_break))
        .where(table.c.projection == live)
    )


def _labelled(
    column: Mapping[str, Column[Any]], break_number: ColumnElement[int]
) -> list[Label[Any]]:
    columns: list[Label[Any]] = []
    for name in _COLUMNS:
        is_derived = name == "break_number"
        columns.append((break_number if is_derived else column[name]).label(name))
        if name == "activity":
            columns.append(_counted_as(column[name], break_number))
    return columns


def _counted_as(activity: ColumnElement[str], break_number: ColumnElement[int]) -> Label[str]:
    """docs/rules.md "Bookends": an ad counts as one only in a break that has both of them."""
    is_tracked = and_(break_number.is_not(None), ad_break_rows.c.tracked == true())
    return case(
        (activity == "content", literal("content")),
        (and_(activity == "ad", is_tracked), literal("ad")),
        (activity == "ad", literal("content")),
        (and_(activity == "break", _break_gap() == "content"), literal("content")),
        else_=literal("none"),
    ).label("counted_as")


def _break_gap() -> ColumnElement[str]:
    """The policy of the live projection for the time in a break between its ads."""
    of_live = select(projections.c.policy["break_gap"].as_string()).where(
        projections.c.projection == select(live_projection.c.projection).scalar_subquery()
    )
    return of_live.scalar_subquery()
