"""What the views hold, read into DuckDB: there the reports are computed a second time.

Only for tests.
"""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb
from sqlalchemy import Engine, text

from models.views import view_queries

VIEWS: Final = ("sessions", "ads", "findings", "spans")
_TYPES: Final = {
    "Instant": "TIMESTAMP",
    "BigInteger": "BIGINT",
    "Double": "DOUBLE",
    "Number": "DOUBLE",
    "Boolean": "BOOLEAN",
    "Case": "BOOLEAN",
}


def duckdb_of(engine: Engine, folder: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB database in memory with the rows of the plain views; JSON columns are texts."""
    connection = duckdb.connect()
    for view in VIEWS:
        types = {
            column.name: _TYPES.get(type(column.type).__name__, "VARCHAR")
            for column in view_queries()[view].selected_columns
        }
        path = folder / f"{view}.json"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in _rows(engine, view, types))
        columns = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
        connection.execute(
            f"CREATE TABLE {view} AS SELECT * FROM "  # noqa: S608 - the names are our own
            f"read_json('{path}', format = 'newline_delimited', columns = {{{columns}}})"
        )
    return connection


def _rows(engine: Engine, view: str, types: dict[str, str]) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        rows = connection.execute(text(f"SELECT * FROM {view}")).mappings().all()  # noqa: S608
    return [{name: _plain(value, types[name]) for name, value in row.items()} for row in rows]


def _plain(value: Any, kind: str) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict | list):
        return json.dumps(value)
    return bool(value) if kind == "BOOLEAN" and value is not None else value
