"""The embedded log's file as the collector opens it: made if absent, checked, ready to append.

On the record's way: under `publisher` and `closes`. Faults of the file become one of two errors:
`LogFault` that can pass, `LogUnusable` that cannot. Imports `models` only.
"""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from models.tables_log import LOG_SCHEMA_VERSION, log_metadata

BUSY_TIMEOUT_MS: Final = 2_000
"""Less than the publish deadline: a locked file must be told before the client stops waiting."""

_META_TABLE: Final = "SELECT count(*) FROM sqlite_master WHERE name = 'log_meta'"
_ANY_TABLE: Final = "SELECT count(*) FROM sqlite_master"
_META: Final = "SELECT log_id, schema_version FROM log_meta"
_ADD_META: Final = "INSERT INTO log_meta (id, log_id, schema_version) VALUES (1, ?, ?)"
_PASSING: Final = {
    sqlite3.SQLITE_BUSY: "another program keeps it locked",
    sqlite3.SQLITE_LOCKED: "another program keeps it locked",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_IOERR: "reading or writing it failed",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "it cannot be opened",
    sqlite3.SQLITE_INTERRUPT: "it was interrupted",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
}


class LogFault(Exception):
    """The file cannot be used now; it may be later. `reason` is one line."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"log {self.path}: {self.reason}"


class LogUnusable(Exception):
    """The file is no log that this release can write to. `reason` ends with the next step."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"log {self.path}: {self.reason}"


@contextmanager
def faults_of(path: Path) -> Iterator[None]:
    """Turns SQLite's errors inside the block into `LogFault` and `LogUnusable`."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _PASSING:
            raise LogFault(path, _PASSING[code]) from error
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            reason = "it is damaged or no SQLite file; restore it from a backup, or move it away"
            raise LogUnusable(path, reason) from error
        if code == sqlite3.SQLITE_ERROR:
            reason = f"it has not the tables of a log ({error}); move it away and start again"
            raise LogUnusable(path, reason) from error
        raise LogFault(path, str(error)) from error


def connect(path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> sqlite3.Connection:
    """A connection to an existing log, for use by one thread at a time; no transaction is open.

    Raises `sqlite3.Error`: use it inside `faults_of`.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=busy_timeout_ms / 1000,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def prepare_log(path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> str:
    """Makes the log's file if there is none, and says its log id.

    Raises `LogFault`, `LogUnusable`. Nothing half-made: the tables come in one transaction.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise LogFault(path, f"it cannot be made ({error.strerror})") from error
    with faults_of(path), closing(connect(path, busy_timeout_ms=busy_timeout_ms)) as connection:
        if not _has_tables(path, connection):
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            if not _has_tables(path, connection):  # another process may have been first
                _create_tables(connection)
            connection.execute("COMMIT")
        row = connection.execute(_META).fetchone()
    if row is None:
        raise LogUnusable(path, "its log_meta is empty; move it away and start again")
    log_id, schema_version = row
    if schema_version > LOG_SCHEMA_VERSION:
        raise LogUnusable(
            path,
            f"schema version {schema_version} is newer than {LOG_SCHEMA_VERSION}, the newest that "
            "this release knows; install the release that wrote it, or a later one",
        )
    return str(log_id)


def _has_tables(path: Path, connection: sqlite3.Connection) -> bool:
    if connection.execute(_META_TABLE).fetchone()[0]:
        return True
    if connection.execute(_ANY_TABLE).fetchone()[0]:
        raise LogUnusable(path, "it is another program's SQLite file; give another place")
    return False


def _create_tables(connection: sqlite3.Connection) -> None:
    dialect = sqlite.dialect()
    for table in log_metadata.sorted_tables:
        connection.execute(str(CreateTable(table).compile(dialect=dialect)))
    connection.execute(_ADD_META, (str(uuid.uuid4()), LOG_SCHEMA_VERSION))
