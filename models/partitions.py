"""Partitions of the tables on PostgreSQL: one a projection, so that dropping one is DROP TABLE.

Beside `models.tables`. A projection has its partitions from the transaction that makes its row on;
without them PostgreSQL would refuse its rows. SQLite has none of this. Imports nothing of the
project outside this package; no I/O.
"""

from typing import Final

from sqlalchemy import Table

from models.tables import (
    CHILD_TABLES,
    dead_letters,
    session_starts,
    sessions_closed,
    sessions_live,
)

PARTITIONED: Final[tuple[Table, ...]] = (
    sessions_live,
    sessions_closed,
    session_starts,
    *CHILD_TABLES.values(),
    dead_letters,
)
"""The tables that hold a projection's rows."""

# Half of a page is left free, so that the next version of a row finds its place beside it: then no
# index has to be touched (a HOT update), and the old version is cleared away without a vacuum.
_STORAGE: Final = {sessions_live.name: " WITH (fillfactor = 50)"}


def partition_of(table: Table, projection: int) -> str:
    """The name of the table that holds the projection's rows of `table`."""
    return f"{table.name}_{projection:d}"


def create_partitions(projection: int) -> list[str]:
    """What makes every partition of a new projection, in PostgreSQL's SQL.

    Made apart and then attached: that waits for no reader or writer of the others, and keeps none
    waiting, as `CREATE TABLE ... PARTITION OF` does.
    """
    return [statement for table in PARTITIONED for statement in _create(table, projection)]


def _create(table: Table, projection: int) -> tuple[str, str]:
    name = partition_of(table, projection)
    return (
        f"CREATE TABLE {name} (LIKE {table.name} INCLUDING ALL){_STORAGE.get(table.name, '')}",
        f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES IN ({projection:d})",
    )
