"""SQLite databases for tests: copies of a file with the newest schema, made once a process.

Only for tests. `tests/migrations` and the commands' own tests bring a database there themselves.
"""

import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import Engine

import migrations
from processor.database import open_database


def new_sqlite(path: Path) -> Engine:
    """A new database at `path`, with the newest schema and no rows; opened."""
    new_sqlite_file(path)
    return open_database(f"sqlite:///{path}")


def new_sqlite_file(path: Path) -> None:
    """As `new_sqlite`, but not opened."""
    path.write_bytes(_template())


@cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.db"
        engine = open_database(f"sqlite:///{path}")
        migrations.upgrade(engine)
        engine.dispose()
        return path.read_bytes()
