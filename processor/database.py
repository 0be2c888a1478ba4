"""The engine of the projection's database, and what its faults mean.

On the record's way: the last door before SQL; `processor.projection` writes through it, commands
read through it. Imports `postgres_engine`; never `ingest`.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote, unquote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from processor.postgres_engine import (
    POSTGRES,
    connection_arguments,
    is_away,
    is_damage,
    is_postgres,
    one_line,
    prepare_postgres,
)

BUSY_TIMEOUT_MS: Final = 5_000
_WAL_BYTES_MAX: Final = 64 * 1024 * 1024
_READER_PRAGMAS: Final = ("foreign_keys = OFF", "query_only = ON")
_WRITER_PRAGMAS: Final = (
    "foreign_keys = OFF",
    # One fsync a checkpoint, about one a second: then what the log's retention deletes below
    # next_offset is safe here even after a power cut. (NORMAL would stay consistent, but could
    # fall back behind the start of a trimmed log.)
    "synchronous = FULL",
    f"journal_size_limit = {_WAL_BYTES_MAX:d}",
)
_WAL_RETRY_S: Final = 0.02
_BEGIN: Final = "sqlite_begin"

json_text: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""A JSON value as a column holds it."""


class DatabaseAwayError(Exception):
    """The database cannot be used now (locked, full, read-only, gone): nothing was written, or it
    is unknown whether it was. It may come back; `reason` is the driver's one line."""

    def __init__(self, database: str, reason: str) -> None:
        super().__init__(database, reason)
        self.database = database
        self.reason = reason

    def __str__(self) -> str:
        return f"database {self.database}: {self.reason}"


class DatabaseDamagedError(Exception):
    """The file is no SQLite database, or the database is damaged."""

    def __init__(self, database: str, reason: str) -> None:
        super().__init__(database, reason)
        self.database = database
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"database {self.database}: {self.reason}; restore it from a backup, or move it away "
            "to have it filled anew from the log"
        )


def open_database(
    url: str, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS, read_only: bool = False
) -> Engine:
    """The engine of `url`; connects only when used. `busy_timeout_ms`: for SQLite.

    A writer's transactions on SQLite take the write lock at their begin or with their first
    statement, so that they fail there or not at all for want of it. `read_only`: for readers, who
    never wait for the writer and never make a file.
    """
    parsed = _no_create(url) if read_only else make_url(url)
    if parsed.get_backend_name() == POSTGRES:
        arguments = connection_arguments(parsed.query)
        engine = create_engine(parsed, json_serializer=json_text, connect_args=arguments)
        prepare_postgres(engine, read_only=read_only)
        return engine
    arguments = {"timeout": busy_timeout_ms / 1000}
    engine = create_engine(parsed, json_serializer=json_text, connect_args=arguments)
    _prepare_sqlite(engine, busy_timeout_ms, read_only)
    return engine


def _no_create(url: str) -> URL:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return parsed
    return parsed.set(
        database=f"file:{quote(parsed.database)}", query={"mode": "rw", "uri": "true"}
    )


def _prepare_sqlite(engine: Engine, busy_timeout_ms: int, read_only: bool) -> None:
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"
    pragmas = _READER_PRAGMAS if read_only else _WRITER_PRAGMAS

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver begins no transaction by itself
        if not read_only:
            _turn_wal_on(connection, time.monotonic() + busy_timeout_ms / 1000)
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, begin))


def _turn_wal_on(connection: Any, deadline: float) -> None:
    """A new file becomes a WAL one at its first connection. For that SQLite does not wait by
    itself when another process does the same at this moment."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() >= deadline:
                raise
        else:
            return
        time.sleep(_WAL_RETRY_S)


@contextmanager
def writing(engine: Engine, *, locks_late: bool = False) -> Iterator[Connection]:
    """One transaction, committed at the end of the block. `locks_late`: SQLite's write lock is
    taken by the first statement, which must write: behind a read it might not be given.

    Errors: `DatabaseAwayError`.
    """
    if locks_late:
        engine = engine.execution_options(**{_BEGIN: "BEGIN"})
    with telling(engine), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Reads that take no lock. On SQLite one snapshot, on PostgreSQL one a statement. Errors:
    `DatabaseAwayError`."""
    with telling(engine), engine.connect() as connection:
        yield connection.execution_options(**{_BEGIN: "BEGIN"})


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Reads that take no lock, all of one snapshot, however long they take. Errors:
    `DatabaseAwayError`."""
    with reading(engine) as connection:
        if is_postgres(engine):
            connection.execution_options(isolation_level="REPEATABLE READ")
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        yield connection


@contextmanager
def telling(engine: Engine) -> Iterator[None]:
    """Tells a driver's errors in the block by what they say about the database.

    Errors: `DatabaseAwayError`, `DatabaseDamagedError`; a defect of ours as it came.
    """
    try:
        yield
    except DBAPIError as error:
        raise _meaning(engine, error) from error


def _meaning(engine: Engine, error: DBAPIError) -> Exception:
    """What a driver's error says about the database; the error itself if it is a defect of ours."""
    name = _name(engine)
    reason = one_line(str(error.orig))
    if is_postgres(engine):
        code = getattr(error.orig, "sqlstate", None)
        if is_damage(code):
            return DatabaseDamagedError(name, reason)
        can_pass = is_away(code) if code else isinstance(error, OperationalError)
        can_pass = can_pass or error.connection_invalidated
        return DatabaseAwayError(name, reason) if can_pass else error
    return _meaning_on_sqlite(name, reason, error)


def _name(engine: Engine) -> str:
    """What people call the database: its file, or its address without the password."""
    path = engine.url.database or ""
    if is_postgres(engine):
        return engine.url.render_as_string()
    return unquote(path.removeprefix("file:")) if "uri" in engine.url.query else path


def _meaning_on_sqlite(name: str, reason: str, error: DBAPIError) -> Exception:
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DatabaseDamagedError(name, reason)
    if error.connection_invalidated:
        return DatabaseAwayError(name, reason)
    if isinstance(error, OperationalError) and code != sqlite3.SQLITE_ERROR:
        return DatabaseAwayError(name, reason)
    return error
