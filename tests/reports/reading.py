"""Reads a report as a test writes it: chosen columns, one line a row.

Only for tests.
"""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Engine, text

Read = list[tuple[Any, ...]]


def read(engine: Engine, query: str, *settings: str) -> Read:
    """The rows of a query; days and instants (UTC) as texts, on either database. `settings`:
    statements before it."""
    with engine.connect() as connection:
        for setting in settings:
            connection.execute(text(setting))
        return read_on(connection, query)


def days_in(engine: Engine, view: str, condition: str = "1 = 1") -> list[str]:
    """The days that a report has, in order."""
    query = f"SELECT day FROM {view} WHERE {condition} ORDER BY day"  # noqa: S608 - of a test
    return [day for (day,) in read(engine, query)]


def read_on(connection: Connection, query: str) -> Read:
    return [tuple(map(_plain, row)) for row in connection.exec_driver_sql(query)]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return value.isoformat() if isinstance(value, date) else value
