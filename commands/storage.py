"""What is wrong with a file, directory or embedded database, in words a user can act on.

Beside the record's way: commands touch files inside `touching`. Imports `errors`.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DBAPIError

from commands.errors import Failure

_LOOK: Final = "Run `bookended check` for more."
_DISK_FULL: Final = (
    "the disk is full",
    "Free some space, then start again: nothing accepted was lost.",
)
_READ_ONLY: Final = (
    "it is read-only",
    "Make it writable for this user, or give another place with --data DIR.",
)
_LOCKED: Final = (
    "another program keeps it locked",
    "Stop that program (an open sqlite3 shell with a transaction, a backup), then start again.",
)
_NO_ACCESS: Final = (
    "it cannot be opened or made",
    "Check that the directory exists and is writable for this user, or give another --data DIR.",
)
_DAMAGED: Final = (
    "it is damaged or no SQLite file",
    "Restore it from a backup, or move it away and start again with an empty one.",
)
_IO_FAILED: Final = (
    "reading or writing it failed",
    "Check the disk (free space, quota, file size limit, health), then start again.",
)
# By SQLite's own messages, which are part of its interface, and by the words of `ingest.log_file`:
# neither hands on a code.
_FAULTS_BY_TEXT: Final[dict[str, tuple[str, str]]] = {
    "database or disk is full": _DISK_FULL,
    "readonly database": _READ_ONLY,
    "database is locked": _LOCKED,
    "database table is locked": _LOCKED,
    "unable to open database file": _NO_ACCESS,
    "disk image is malformed": _DAMAGED,
    "file is not a database": _DAMAGED,
    "disk I/O error": _IO_FAILED,
    "the disk is full": _DISK_FULL,
    "it is read-only": _READ_ONLY,
    "keeps it locked": _LOCKED,
    "it cannot be opened": _NO_ACCESS,
    "it cannot be made": _NO_ACCESS,
    "reading or writing it failed": _IO_FAILED,
}
_STEPS_BY_TEXT: Final[dict[str, str]] = {
    "password": "Check user and password in --database.",
    "no pg_hba.conf entry": "Let this host in by pg_hba.conf, or check user and database.",
    "does not exist": "Make it (CREATE DATABASE, CREATE ROLE), or check --database.",
    "permission denied": 'Use a role in --database that may: docs/operations.md "Database roles".',
    "No space left": "Free some space on the server: nothing accepted was lost.",
}
_FAULTS_BY_ERRNO: Final[dict[int, tuple[str, str]]] = {
    errno.ENOSPC: _DISK_FULL,
    errno.EDQUOT: _DISK_FULL,
    errno.EFBIG: _DISK_FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _NO_ACCESS,
    errno.EPERM: _NO_ACCESS,
    errno.ENOENT: _NO_ACCESS,
    errno.ENOTDIR: (
        "a part of that path is a file, not a directory",
        "Give another place with --data DIR.",
    ),
    errno.EEXIST: (
        "it is a file, not a directory",
        "Give another place with --data DIR.",
    ),
}


def storage_failure(thing: str, path: Path | str, error: BaseException) -> Failure | None:
    """The one line for a fault of a file or database, or None when it is of another kind."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    if isinstance(cause, sqlite3.Error):
        fault = fault_of_text(str(cause))
    elif isinstance(cause, OSError):
        known = _FAULTS_BY_ERRNO.get(cause.errno or 0)
        fault = known or (cause.strerror or str(cause), _LOOK)
    else:
        return None
    return Failure(f"{thing} {path}: {fault[0]}", fault[1])


def fault_of_text(reason: str) -> tuple[str, str]:
    """What is wrong and what to do, from the database driver's message."""
    found = (fault for text, fault in _FAULTS_BY_TEXT.items() if text in reason)
    return next(found, (reason, _LOOK))


def next_step_on_server(reason: str) -> str:
    """What to do about a PostgreSQL that cannot be used, from its driver's message."""
    found = (step for text, step in _STEPS_BY_TEXT.items() if text in reason)
    return next(found, "Check that PostgreSQL runs, and host and port in --database.")


def must_be_writable(thing: str, path: Path) -> None:
    """Errors: `Failure` unless this user may write to `path`, a file or directory that exists."""
    if not os.access(path, os.W_OK):
        raise Failure(f"{thing} {path}: {_READ_ONLY[0]}", _READ_ONLY[1])


@contextmanager
def touching(thing: str, path: Path) -> Iterator[None]:
    """Turns faults of the file or database `path` inside the block into a `Failure`."""
    try:
        yield
    except (OSError, sqlite3.Error, DBAPIError) as error:
        failure = storage_failure(thing, path, error)
        if failure is None:
            raise
        raise failure from error


def make_directory_of(path: Path) -> None:
    """Makes the directory that a file is to lie in, for this user only.

    Errors: `Failure`, also when directory or file are there and cannot be written to: told now,
    instead of with every request.
    """
    with touching("data directory", path.parent):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    must_be_writable("data directory", path.parent)
    if path.exists():
        must_be_writable("file", path)
