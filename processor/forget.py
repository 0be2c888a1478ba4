"""Forgets viewers in SQL: the list of their sessions, and what rows say of them.

Beside the record's way. First the sessions' ids come into a durable list, which rebuilds and
processors obey; then rows lose what may name somebody. Every figure stays. Each step can be done
again, so that a killed one is started anew. Files are `forget_files`'s. Imports `models`,
`forgetting`, `database`.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, Table, bindparam, delete, null, select, update
from sqlalchemy.dialects import postgresql, sqlite

from models.tables import (
    ad_rows,
    chapter_rows,
    dead_letters,
    forgotten_sessions,
    session_starts,
    sessions_live,
)
from processor.database import reading, writing
from processor.dead_letters import settle
from processor.forgetting import names_nobody
from processor.postgres_engine import is_postgres

SESSIONS_MAX: Final = 500
"""Sessions in one transaction; SQLite takes 32,766 values a statement."""


def sessions_of_visitor(engine: Engine, visitor_id: str) -> set[str]:
    """Ids of all sessions of a visitor, in any projection. Errors: `DatabaseAwayError`."""
    columns = session_starts.c
    query = select(columns.session_id).where(columns.visitor_id == visitor_id).distinct()
    with reading(engine) as connection:
        return set(connection.execute(query).scalars())


class Unfinished(NamedTuple):
    """What a killed run left: sessions whose files it may not have come to, and its secret."""

    ids: frozenset[str]
    secret: bytes


def unfinished(engine: Engine) -> Unfinished | None:
    """The next run has to do this, too, with the same secret. Errors: `DatabaseAwayError`."""
    columns = forgotten_sessions.c
    query = select(columns.session_id, columns.secret).where(columns.secret.is_not(None))
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    return Unfinished(frozenset(row.session_id for row in rows), rows[0].secret) if rows else None


def finish(engine: Engine) -> None:
    """Throws the secret away: files have nothing left of the sessions. Errors:
    `DatabaseAwayError`."""
    with writing(engine) as connection:
        connection.execute(update(forgotten_sessions).values(secret=None))


def forget_sessions(engine: Engine, ids: Collection[str], now_ms: int, secret: bytes) -> int:
    """Puts the sessions on the list, with the secret until `finish`, and scrubs their rows in every
    projection. Says how many of them are still live: what is in their state is written later, so
    they are to be forgotten once more. Errors: `DatabaseAwayError`."""
    with writing(engine) as connection:  # before a row is scrubbed by which a later run finds them
        for some in _chunks(sorted(ids)):
            _remember(connection, some, now_ms, secret)
    live = 0
    for some in _chunks(sorted(ids)):
        with writing(engine) as connection:
            _scrub_starts(connection, some)
            for table in (ad_rows, chapter_rows):
                _scrub_custom(connection, table, some)
            _settle_letters(connection, some)
            query = select(sessions_live.c.session_id).where(sessions_live.c.session_id.in_(some))
            live += len(set(connection.execute(query).scalars()))
    return live


def forgotten(connection: Connection) -> frozenset[str]:
    """The list."""
    return frozenset(connection.execute(select(forgotten_sessions.c.session_id)).scalars())


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(ids), SESSIONS_MAX):
        yield ids[at : at + SESSIONS_MAX]


def _remember(connection: Connection, ids: Sequence[str], now_ms: int, secret: bytes) -> None:
    dialect = postgresql if is_postgres(connection) else sqlite
    statement = dialect.insert(forgotten_sessions)
    statement = statement.on_conflict_do_update(
        index_elements=["session_id"], set_={"secret": statement.excluded.secret}
    )
    rows = [{"session_id": i, "forgotten_at": now_ms, "secret": secret} for i in ids]
    connection.execute(statement, rows)


def _scrub_starts(connection: Connection, ids: Sequence[str]) -> None:
    columns = session_starts.c
    found = connection.execute(
        select(columns.projection, columns.session_id, columns.other_params).where(
            columns.session_id.in_(ids)
        )
    ).all()
    if not found:
        return
    rows = [
        {
            "projection_": row.projection,
            "session_id_": row.session_id,
            "others": {k: v for k, v in (row.other_params or {}).items() if names_nobody(k)}
            or None,
        }
        for row in found
    ]
    scrub = (
        update(session_starts)
        .where(
            columns.projection == bindparam("projection_"),
            columns.session_id == bindparam("session_id_"),
        )
        .values(
            visitor_id=null(),
            customer_ids=null(),
            custom_metadata=null(),
            other_params=bindparam("others"),
        )
    )
    connection.execute(scrub, rows)


def _scrub_custom(connection: Connection, table: Table, ids: Sequence[str]) -> None:
    connection.execute(
        update(table).where(table.c.session_id.in_(ids)).values(custom_metadata=null())
    )


def _settle_letters(connection: Connection, ids: Sequence[str]) -> None:
    """Bytes that nobody could decode may hold anything."""
    columns = dead_letters.c
    theirs = columns.key.in_([session_id.encode() for session_id in ids])
    found = connection.execute(select(columns.log_partition, columns.offset).where(theirs)).all()
    connection.execute(delete(dead_letters).where(theirs))
    for partition in sorted({row.log_partition for row in found}):
        settle(connection, partition, [r.offset for r in found if r.log_partition == partition])
