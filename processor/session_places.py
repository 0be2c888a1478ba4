"""Where the events of given sessions lie in the log, from the rows of a projection.

Beside the record's way: a rebuild of a part, an export of a session's events read no more of the
log than these places. Imports `models` and `database`.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, Select, Table, select

from models.tables import sessions_closed, sessions_live
from processor.database import reading

IDS_MAX: Final = 500
"""Ids in one look-up; SQLite takes 32,766 values a statement."""


class Wanted(NamedTuple):
    """Sessions of one partition. All of their records lie from `first_offset` up to, not with,
    `next_offset`."""

    ids: frozenset[str]
    first_offset: int
    next_offset: int


def find_sessions(
    engine: Engine, projection: int, ids: Sequence[str], since: int | None, until: int | None
) -> dict[int, Wanted]:
    """The sessions of a projection by partition: those of `ids`, or all if there are none, that
    started from `since` on and before `until` (ms). Errors: `DatabaseAwayError`."""
    found: defaultdict[int, list[Any]] = defaultdict(list)
    with reading(engine) as connection:
        for row in _rows(connection, projection, ids, since, until):
            found[row.log_partition].append(row)
    return {
        partition: Wanted(
            frozenset(row.session_id for row in rows),
            min(row.first_offset for row in rows),
            max(row.last_offset for row in rows) + 1,
        )
        for partition, rows in found.items()
    }


def _rows(
    connection: Connection,
    projection: int,
    ids: Sequence[str],
    since: int | None,
    until: int | None,
) -> Iterator[Any]:
    for table in (sessions_live, sessions_closed):
        query = _query(table, projection, since, until)
        if not ids:
            yield from connection.execute(query)
        for at in range(0, len(ids), IDS_MAX):
            some = table.c.session_id.in_(ids[at : at + IDS_MAX])
            yield from connection.execute(query.where(some))


def _query(table: Table, projection: int, since: int | None, until: int | None) -> Select[Any]:
    columns = table.c
    query = select(
        columns.session_id, columns.log_partition, columns.first_offset, columns.last_offset
    ).where(columns.projection == projection)
    if since is not None:
        query = query.where(columns.started_at >= since)
    if until is not None:
        query = query.where(columns.started_at < until)
    return query
