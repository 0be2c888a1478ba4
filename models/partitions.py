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
    """`CREATE TABLE` for every partition of a new projection, in PostgreSQL's SQL."""
    return [
        f"CREATE TABLE {partition_of(table, projection)} PARTITION OF {table.name}"
        f" FOR VALUES IN ({projection:d}){_STORAGE.get(table.name, '')}"
        for table in PARTITIONED
    ]
