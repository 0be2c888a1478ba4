"""What a projection's tables hold, in a form that two databases can be compared by.

Only for tests.
"""

from typing import Any

from sqlalchemy import Engine, Table, select

from models.tables import metadata, progress, sessions_live
from processor.database import reading

Content = dict[str, list[dict[str, Any]]]

# What says who wrote and when, not what was counted.
_LEFT_OUT = {"owner", "version", "state", "due_at", "created_at"}


def content(engine: Engine) -> Content:
    """All rows that say what was counted, by table, in the order of their keys."""
    with reading(engine) as connection:
        return {
            table.name: [
                {name: value for name, value in row._mapping.items() if name not in _LEFT_OUT}
                for row in connection.execute(in_order(table))
            ]
            for table in metadata.sorted_tables
        }


def everything(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table as it stands."""
    with engine.connect() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(in_order(table))]
            for table in metadata.sorted_tables
        }


def in_order(table: Table) -> Any:
    return select(table).order_by(*table.primary_key)


def place(engine: Engine, partition: int = 0) -> tuple[int, int | None]:
    """`next_offset` and tick of a partition, whatever the projection."""
    with engine.connect() as connection:
        statement = select(progress.c.next_offset, progress.c.tick)
        row = connection.execute(statement.where(progress.c.log_partition == partition)).one()
        return row.next_offset, row.tick


def live_ids(engine: Engine) -> set[str]:
    """Ids of the rows in `sessions_live`."""
    with engine.connect() as connection:
        return set(connection.execute(select(sessions_live.c.session_id)).scalars())
