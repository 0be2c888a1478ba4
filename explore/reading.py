"""Rows out of the public views, within a bound of time; nothing is ever written.

The explorer's only door to SQL. Imports `models`.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    ScalarSelect,
    Select,
    Subquery,
    Text,
    and_,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)

from explore.filters import SORTS, Asked
from models.limits import SESSION_ID_LENGTH
from models.time_line import Row, SessionRows
from models.views import view_table

view: Final = cache(view_table)
"""A view, one object each time: two would be joined with each other."""
PAGE_ROWS: Final = 50
STATEMENT_S_MAX: Final = 10
_PLANNED: Final = {
    # A page's questions are short: compiling one costs more than it saves.
    "jit": "off",
    # Sessions of a day lie together, in tables and by their keys, and most of what is looked at is
    # in memory: rows of some among a million are found by key, not by reading whole tables.
    "random_page_cost": "0.1",
    "work_mem": "32MB",
    # The cores are the processor's, too: a page takes one of them, and not all.
    "max_parallel_workers_per_gather": "0",
    # How many rows there are follows from the values: a plan for any of them reads too much.
    "plan_cache_mode": "force_custom_plan",
    "statement_timeout": f"{STATEMENT_S_MAX}s",
}
"""Settings of PostgreSQL for one page's transaction."""
_NEAREST_MS: Final = (3_600_000, 24 * 3_600_000, 30 * 24 * 3_600_000)
SPANS_SHOWN_MAX: Final = 1_000
"""Stretches of one session that a page shows; the rest is read by SQL."""
LIKE_MAX: Final = 5
"""Session ids that are named when a beginning fits several."""
_INSTRUCTIONS_BETWEEN: Final = 20_000
_LISTED: Final = (
    "session_id", "started_at", "last_event_at", "status", "content_id", "content_name", "channel",
    "player_name", "app_version", "content_ms", "ad_ms", "unbookended_ad_ms", "finding_count",
)  # fmt: skip
SESSION_VIEWS: Final = {
    "spans": ("span_number",),
    "ad_breaks": ("break_number",),
    "ads": ("ad_number",),
    "chapters": ("chapter_number",),
    "findings": ("first_ts", "code"),
    "player_states": ("state_number",),
}
"""The fields of `SessionRows` after the first: each a view, and the order of its rows."""


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
            planned = (func.set_config(name, value, true()) for name, value in _PLANNED.items())
            connection.execute(select(*planned))
            yield connection
            return
        driver: Any = connection.connection.driver_connection
        deadline = time.monotonic() + STATEMENT_S_MAX
        driver.set_progress_handler(lambda: time.monotonic() > deadline, _INSTRUCTIONS_BETWEEN)
        try:
            yield connection
        finally:
            driver.set_progress_handler(None, 0)


def session_page(connection: Connection, wanted: Asked, now_ms: int) -> Page:
    """One page of the list of sessions, found by key, never by counting rows off. First the keys,
    then all of these rows: what a page does not show is not put together."""
    keys = _keys(connection, wanted, now_ms)
    shown = keys[:PAGE_ROWS]
    sessions = view("sessions").c
    query = select(*(sessions[column] for column in _LISTED)).where(
        sessions.session_id.in_([key["session_id"] for key in shown])
    )
    by_id = {row["session_id"]: row for row in rows_of(connection, query)}
    rows = [by_id[key["session_id"]] for key in shown]
    if len(keys) <= PAGE_ROWS:
        return Page(rows, None)
    return Page(rows, f"{shown[-1]['key']}~{shown[-1]['session_id']}")


def _keys(connection: Connection, wanted: Asked, now_ms: int) -> list[Row]:
    """`key` and `session_id` of the sessions of one page, and of one more if there is one.

    In the order of time it looks at the nearest hour first and then at more, so that a page costs
    the same among few sessions and among all.
    """
    rows: list[Row] = []
    is_by_time = SORTS[wanted.sort][0] == "started_at"
    for period in _periods(wanted, now_ms) if is_by_time else (wanted,):
        rows = rows_of(connection, _keys_of(period).limit(PAGE_ROWS + 1))
        if len(rows) > PAGE_ROWS:
            break
    return rows


def _periods(wanted: Asked, now_ms: int) -> Iterator[Asked]:
    """What was asked for, over longer and longer times from where the page begins."""
    since_ms, until_ms = wanted.since_ms or 0, wanted.until_ms
    after_ms = None if wanted.after is None else wanted.after[0]
    if SORTS[wanted.sort][1]:
        if after_ms is not None:
            until_ms = after_ms + 1 if until_ms is None else min(until_ms, after_ms + 1)
        end_ms = now_ms if until_ms is None else until_ms
        nearest = ((end_ms - length, until_ms) for length in _NEAREST_MS)
    else:
        since_ms = max(since_ms, after_ms or 0)
        nearest = ((since_ms, since_ms + length) for length in _NEAREST_MS if since_ms)
    end_ms = now_ms if until_ms is None else until_ms
    for since, until in nearest:
        if since >= since_ms and (until is None or until <= end_ms):
            yield wanted._replace(since_ms=since, until_ms=until)
    yield wanted._replace(since_ms=since_ms or None, until_ms=until_ms)


def _keys_of(wanted: Asked) -> Select[Any]:
    sessions = view("sessions").c
    name, is_falling = SORTS[wanted.sort]
    key = sessions[name]
    query = select(key.label("key"), sessions.session_id).where(*conditions(wanted))
    if wanted.after is not None:
        value, session_id = wanted.after
        beyond = key < value if is_falling else key > value
        same = and_(key == value, sessions.session_id > session_id)
        query = query.where(or_(beyond, same))
    return query.order_by(key.desc() if is_falling else key.asc(), sessions.session_id)


def is_empty(connection: Connection) -> bool:
    """Whether there is no session at all, of any time."""
    return not rows_of(connection, select(view("sessions").c.session_id).limit(1))


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
    rest = (
        _of_session(connection, name, session_id, *order) for name, order in SESSION_VIEWS.items()
    )
    return SessionRows(found[0], *rest)


def sessions_like(connection: Connection, text: str) -> list[str]:
    """Ids that begin with a text, a few of them; none for an empty one."""
    if not text:
        return []
    session_id = view("sessions").c.session_id
    # The bounds reach the index, whatever order of letters the database has.
    near = session_id.between(text, text + "z" * SESSION_ID_LENGTH)
    fits = func.substr(session_id, 1, len(text)) == text
    query = select(session_id).where(near, fits).order_by(session_id).limit(LIKE_MAX + 1)
    return [str(found) for found in connection.execute(query).scalars()]


def _of_session(connection: Connection, name: str, session_id: str, *order: str) -> list[Row]:
    columns = view(name).c
    query = select(*columns).where(columns.session_id == session_id)
    return rows_of(connection, query.order_by(*(columns[key] for key in order)))


def rows_of(connection: Connection, query: Select[Any]) -> list[Row]:
    """The rows, by their columns' names."""
    return [dict(row) for row in connection.execute(query).mappings()]


def together(connection: Connection, queries: Mapping[str, Select[Any]]) -> dict[str, list[Row]]:
    """The rows of several queries by their names, out of one statement: what they have in common,
    a CTE, is found once. Numbers and texts alone: they come as JSON."""
    make = _json_rows if connection.dialect.name == "postgresql" else _json_rows_on_sqlite
    asked_for = (make(query.subquery(name)).label(name) for name, query in queries.items())
    row = connection.execute(select(*asked_for)).mappings().one()
    return {name: json.loads(row[name] or "[]") for name in queries}


def _json_rows(rows: Subquery) -> ScalarSelect[str]:
    every = func.json_agg(literal_column(rows.name))
    return select(cast(every, Text)).select_from(rows).scalar_subquery()


def _json_rows_on_sqlite(rows: Subquery) -> ScalarSelect[str]:
    named = (part for column in rows.c for part in (literal(column.name), column))
    every = func.json_group_array(func.json_object(*named))
    return select(cast(every, Text)).select_from(rows).scalar_subquery()
