"""One collector and one processor an embedded file: a lock that the system frees with the process.

Beside the record's way. The processor's claim (docs/architecture.md "Exactly once") already keeps a
stale owner from writing; the lock only turns a second start into a clear message. Imports nothing
of the project but the errors.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commands.errors import Failure
from commands.storage import touching


@contextmanager
def sole(role: str, path: Path) -> Iterator[None]:
    """Holds `<path>.<role>.lock` inside the block.

    Errors: `Failure` when another process holds it. The file stays: removing it would let two
    processes lock two files of one name.
    """
    lock_path = path.with_name(f"{path.name}.{role}.lock")
    with touching("data directory", path.parent):
        handle = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(role, path, handle)
        yield
    finally:
        os.close(handle)


def _take(role: str, path: Path, handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise Failure(
            f"another {role} (process {owner}) is already at work on {path}",
            "Stop that one first, or give this one its own directory with --data DIR.",
        ) from error
    with touching("data directory", path.parent):
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
