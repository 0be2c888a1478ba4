"""A processor that stops itself (SIGSTOP) in the middle of a checkpoint, in a process of its own.

Only for tests: `python -m tests.contract.frozen_owner WHERE`, the database's address in the
variable OWNER_OF. When it is woken it prints the name of the error that it met.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection

from processor import postgres_rows
from processor.claim import StaleOwnerError, advance
from processor.database import DatabaseAwayError, open_database, writing
from processor.projection import Projection
from tests.contract.projection_contract import LOG, batch, event, folded, written

SESSIONS = 2_000
"""So many that half of them fill the driver's buffer and are on their way when it stops."""


def stop_self() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def stop_half_way(rows: Iterable[Any]) -> Iterator[Any]:
    for number, row in enumerate(rows):
        if number == SESSIONS // 2:
            stop_self()
        yield row


def freeze_in_copy(projection: Projection) -> None:
    copy = postgres_rows._copy

    def copy_half(connection: Connection, staging: Any, rows: Iterable[Any]) -> None:
        copy(connection, staging, stop_half_way(rows))

    with patch.object(postgres_rows, "_copy", copy_half):
        checkpoint(projection)


def freeze_with_the_lock(projection: Projection) -> None:
    put = postgres_rows._Staged.put_in_place

    def stop_and_put(*args: Any) -> None:
        stop_self()
        put(*args)

    with patch.object(postgres_rows._Staged, "put_in_place", stop_and_put):
        checkpoint(projection)


def freeze_in_copy_with_the_lock(projection: Projection) -> None:
    """Worse than a checkpoint ever is: it never copies with the lock in its hands."""
    claim = projection.claim(0, LOG, 1)
    copy = postgres_rows._copy

    def lock_and_copy(connection: Connection, staging: Any, rows: Iterable[Any]) -> None:
        advance(connection, projection.projection, claim, 5, None)
        copy(connection, staging, stop_half_way(rows))

    with (
        patch.object(postgres_rows, "_copy", lock_and_copy),
        writing(projection._engine) as connection,
    ):
        postgres_rows.stage(connection, projection.projection, "", [whole_batch(claim)])


def checkpoint(projection: Projection) -> None:
    projection.checkpoint("", [whole_batch(projection.claim(0, LOG, 1))])


def whole_batch(claim: Any) -> Any:
    sessions = [written(folded(number, event("play", 0))) for number in range(SESSIONS)]
    return batch(claim, 5, *sessions)


PLACES: dict[str, Callable[[Projection], None]] = {
    "copy": freeze_in_copy,
    "lock": freeze_with_the_lock,
    "copy_with_lock": freeze_in_copy_with_the_lock,
}

if __name__ == "__main__":
    try:
        PLACES[sys.argv[1]](Projection(open_database(os.environ["OWNER_OF"]), 1))
    except (StaleOwnerError, DatabaseAwayError) as error:
        print(type(error).__name__)
