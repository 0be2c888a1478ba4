"""Rows out of the public views, within a bound of time; nothing is ever written.

The explorer's only door to SQL. Imports `models`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, or_, select, text

from explore.filters import SORTS, Asked
from models.time_line import Row, SessionRows
from models.views import view_table

view: Final = cache(view_table)
"""A view, one object each time: two would be joined with each other."""
PAGE_ROWS: Final = 50
STATEMENT_S_MAX: Final = 10
SPANS_SHOWN_MAX: Final = 1_000
"""Stretches of one session that a page shows; the rest is read by SQL."""
_INSTRUCTIONS_BETWEEN: Final = 20_000
_LISTED: Final = (
    "session_id", "started_at", "last_event_at", "status", "content_id", "content_name", "channel",
    "player_name", "app_version", "content_ms", "ad_ms", "unbookended_ad_ms", "finding_count",
)  # fmt: skip
_ORDER: Final = {
    "spans": ("span_number",),
    "ad_breaks": ("break_number",),
    "ads": ("ad_number",),
    "chapters": ("chapter_number",),
    "findings": ("first_ts", "code"),
}
"""The fields of `SessionRows` after the first: each a view, in this order."""


class Page(NamedTuple):
    """Rows of a list, and the place after which the next page begins; None at the list's end."""

    rows: list[Row]
    next_after: str | None


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One snapshot, in which a statement takes at most `STATEMENT_S_MAX`.

    Errors: those of the driver (`sqlalchemy.exc.DBAPIError`), also when the time is over.
    """
    is_postgres = engine.dialect.name == "postgresql"
    with engine.connect() as connection:
        if is_postgres:
            connection.execution_options(isolation_level="REPEATABLE READ")
            connection.execute(
                text(f"SET LOCAL statement_timeout = {round(1000 * STATEMENT_S_MAX)}")
            )
            yield connection
            return
        driver: Any = connection.connection.driver_connection
        deadline = time.monotonic() + STATEMENT_S_MAX
        driver.set_progress_handler(lambda: time.monotonic() > deadline, _INSTRUCTIONS_BETWEEN)
        try:
            yield connection
        finally:
            driver.set_progress_handler(None, 0)


def session_page(connection: Connection, wanted: Asked) -> Page:
    """One page of the list of sessions, found by key, never by counting rows off."""
    sessions = view("sessions").c
    name, is_falling = SORTS[wanted.sort]
    key = sessions[name]
    query = select(*(sessions[column] for column in _LISTED)).where(*conditions(wanted))
    if wanted.after is not None:
        value, session_id = wanted.after
        beyond = key < value if is_falling else key > value
        same = and_(key == value, sessions.session_id > session_id)
        query = query.where(or_(beyond, same))
    query = query.order_by(key.desc() if is_falling else key.asc(), sessions.session_id)
    rows = rows_of(connection, query.limit(PAGE_ROWS + 1))
    if len(rows) <= PAGE_ROWS:
        return Page(rows, None)
    last = rows[PAGE_ROWS - 1]
    return Page(rows[:PAGE_ROWS], f"{last[name]}~{last['session_id']}")


def conditions(wanted: Asked) -> Iterator[ColumnElement[bool]]:
    """What the sessions have in common that were asked for."""
    sessions = view("sessions").c
    yield sessions.started_at.is_not(None)
    if wanted.since_ms is not None:
        yield sessions.started_at >= wanted.since_ms
    if wanted.until_ms is not None:
        yield sessions.started_at < wanted.until_ms
    for column, value in wanted.equal.items():
        yield sessions[column] == value
    if wanted.finding:
        found = view("findings").c
        yield sessions.session_id.in_(select(found.session_id).where(found.code == wanted.finding))
    if wanted.search:
        yield or_(
            sessions.session_id.startswith(wanted.search, autoescape=True),
            sessions.content_name.icontains(wanted.search, autoescape=True),
            sessions.content_id.icontains(wanted.search, autoescape=True),
        )


def session_rows(connection: Connection, session_id: str) -> SessionRows | None:
    """All that a page shows of a session; None if there is no such session."""
    found = _of_session(connection, "sessions", session_id)
    if not found:
        return None
    rest = (_of_session(connection, name, session_id, *order) for name, order in _ORDER.items())
    return SessionRows(found[0], *rest)


def _of_session(connection: Connection, name: str, session_id: str, *order: str) -> list[Row]:
    columns = view(name).c
    query = select(*columns).where(columns.session_id == session_id)
    return rows_of(connection, query.order_by(*(columns[key] for key in order)))


def rows_of(connection: Connection, query: Select[Any]) -> list[Row]:
    """The rows, by their columns' names."""
    return [dict(row) for row in connection.execute(query).mappings()]
