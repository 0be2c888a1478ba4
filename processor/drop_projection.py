"""Removes a projection in bounded transactions, so that nobody waits long for it.

Beside the record's way. First the projection is marked: nothing promotes it, claims it or rolls
back to it any more. Then its rows go: on PostgreSQL a partition at a time, on SQLite some rows at a
time. Its own row goes last, so that what was killed is started again. Imports `models`, `database`.
"""

import time
from typing import Final

from sqlalchemy import Connection, Engine, Table, delete, select, text, tuple_, update

from models.partitions import PARTITIONED, partition_of
from models.tables import (
    closes_outbox,
    live_projection,
    log_gap_rows,
    progress,
    projections,
)
from processor.claim import DROPPED, ProjectionMissingError
from processor.database import DatabaseAwayError, writing
from processor.postgres_claim import lock_live_projection
from processor.postgres_engine import is_postgres

ROWS_MAX: Final = 5_000
"""Rows of one transaction on SQLite."""

LOCK_TIMEOUT: Final = "500ms"
"""How long dropping a partition may wait for readers: meanwhile all others wait behind it."""
ATTEMPTS_MAX: Final = 240
_PAUSE_S: Final = 0.5
_LOCK_NOT_AVAILABLE: Final = "55P03"


class LiveProjectionError(Exception):
    """The live projection is not to be dropped."""

    def __init__(self, projection: int) -> None:
        super().__init__(projection)
        self.projection = projection

    def __str__(self) -> str:
        return (
            f"projection {self.projection} is the live one; `bookended rollback` or "
            "`bookended promote` another one first"
        )


class ReadersInTheWayError(Exception):
    """Readers hold a table so long that it could not be dropped."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table

    def __str__(self) -> str:
        return (
            f"table {self.table} is being read all the time and could not be dropped; end long "
            "queries, then start the same command again"
        )


def drop(engine: Engine, projection: int) -> None:
    """Errors: `LiveProjectionError`, `ProjectionMissingError`, `ReadersInTheWayError`,
    `DatabaseAwayError`; the same call goes on where it ended."""
    _mark(engine, projection)
    for table in PARTITIONED:
        if is_postgres(engine):
            _drop_partition(engine, table, projection)
        else:
            _delete_rows(engine, table, projection)
    with writing(engine) as connection:
        # `progress` again: a claim that began before the mark may have been committed after it.
        for table in (closes_outbox, log_gap_rows, progress, projections):
            connection.execute(delete(table).where(table.c.projection == projection))


def _mark(engine: Engine, projection: int) -> None:
    with writing(engine) as connection:
        if is_postgres(connection):
            lock_live_projection(connection)
        live = connection.execute(select(live_projection)).first()
        if live is not None and live.projection == projection:
            raise LiveProjectionError(projection)
        mine = projections.c.projection == projection
        marked = connection.execute(update(projections).where(mine).values(scope=DROPPED))
        if marked.rowcount == 0:
            raise ProjectionMissingError(projection)
        connection.execute(delete(progress).where(progress.c.projection == projection))
        connection.execute(
            update(live_projection)
            .where(live_projection.c.previous == projection)
            .values(previous=None)
        )


def _delete_rows(engine: Engine, table: Table, projection: int) -> None:
    """In the order of the keys, so that each transaction touches few pages."""
    keys = list(table.primary_key)
    mine = table.c.projection == projection
    edge = select(*keys).where(mine).order_by(*keys).offset(ROWS_MAX).limit(1)
    while True:
        with writing(engine) as connection:
            first_to_stay = connection.execute(edge).first()
            gone = delete(table).where(mine)
            if first_to_stay is None:
                connection.execute(gone)
                return
            connection.execute(gone.where(tuple_(*keys) < tuple_(*first_to_stay)))


def _drop_partition(engine: Engine, table: Table, projection: int) -> None:
    name = partition_of(table, projection)
    for _ in range(ATTEMPTS_MAX):
        try:
            with writing(engine) as connection:
                _drop_table(connection, name)
            return
        except DatabaseAwayError as error:
            cause = error.__cause__
            code = getattr(getattr(cause, "orig", None), "sqlstate", None)
            if code != _LOCK_NOT_AVAILABLE:
                raise
        time.sleep(_PAUSE_S)
    raise ReadersInTheWayError(name)


def _drop_table(connection: Connection, name: str) -> None:
    wait = text("SELECT set_config('lock_timeout', :value, true)")
    connection.execute(wait, {"value": LOCK_TIMEOUT})
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
