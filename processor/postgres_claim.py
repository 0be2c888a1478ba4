"""Claims on PostgreSQL: progress rows are made if need be, and locked, whoever stands in the way.

On the record's way: inside the transaction of a claim, before `processor.claim`. A former owner
that was frozen with the row's lock in its hands would keep the partition still for ever, since no
time-out of the server ends a client that stops inside a COPY: its connection is ended. Imports
`models` only; never `ingest`.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, column, func, literal_column, select, table, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from models.tables import live_projection, progress

FROZEN_AFTER: Final = "1s"
"""How long a claimant waits for a row before it ends the connection that holds it."""
ATTEMPTS_MAX: Final = 4
_ENDED_WITHIN_MS: Final = 2_000
_LOCK_NOT_AVAILABLE: Final = "55P03"
_SET_LOCK_TIMEOUT: Final = text("SELECT set_config('lock_timeout', :value, true)")


def lock_progress(
    connection: Connection, projection: int, log_id: str, start_offsets: Mapping[int, int]
) -> None:
    """Locks the partitions' progress rows for this transaction; makes those that are not there.

    In the order of their numbers, as checkpoints do: two that wait for one another are none.
    Errors: the driver's, when a lock is not to be had.
    """
    usual = connection.execute(text("SELECT current_setting('lock_timeout')")).scalar_one()
    connection.execute(_SET_LOCK_TIMEOUT, {"value": FROZEN_AFTER})
    new = [
        {
            "projection": projection,
            "log_partition": partition,
            "version": 0,
            "next_offset": start_offsets[partition],
            "log_id": log_id,
        }
        for partition in sorted(start_offsets)
    ]
    rows = (progress.c.projection == projection, progress.c.log_partition.in_([*start_offsets]))
    locked = select(progress.c.version).where(*rows).order_by(progress.c.log_partition)
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            with connection.begin_nested():
                connection.execute(insert(progress).values(new).on_conflict_do_nothing())
                connection.execute(locked.with_for_update())
            break
        except DBAPIError as error:
            if attempt == ATTEMPTS_MAX or not _is_lock_timeout(error):
                raise
            _end_holders(connection, rows)
    connection.execute(_SET_LOCK_TIMEOUT, {"value": usual})


def _is_lock_timeout(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def _end_holders(connection: Connection, rows: tuple[Any, Any]) -> None:
    """Ends the connections whose transactions hold the rows: a locked row names its locker in xmax,
    and every transaction that writes holds a lock on its own number. (One that is not frozen has
    lost these partitions all the same, and writes its others again.)"""
    locks = table("pg_locks", column("pid"), column("transactionid"), column("granted"))
    holders = (
        select(func.pg_terminate_backend(locks.c.pid, _ENDED_WITHIN_MS))
        .select_from(progress)
        .join(locks, locks.c.transactionid == literal_column("progress.xmax"))
        .where(locks.c.granted, *rows)
    )
    connection.execute(holders)


def lock_live_projection(connection: Connection) -> None:
    """Lets one transaction at a time make the first projection."""
    connection.execute(text(f"LOCK TABLE {live_projection.name} IN SHARE ROW EXCLUSIVE MODE"))
