"""The database's history: Alembic revisions from an empty database to the tables of `models`.

Not on the record's way: run once before a release that needs them. Works from the installed
package, without an alembic.ini. Imports `models` only.
"""

import importlib
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine, column, inspect, select, table

from migrations.postgres import ReaderRoleError, begin_upgrade

__all__ = [
    "NewerSchemaError",
    "OlderSchemaError",
    "ReaderRoleError",
    "check",
    "current",
    "head",
    "upgrade",
]


class OlderSchemaError(Exception):
    """The database has not been brought to the schema that this release needs.

    `revision` is None for an empty one.
    """

    def __init__(self, revision: str | None, needed: str) -> None:
        super().__init__(revision, needed)
        self.revision = revision
        self.needed = needed

    def __str__(self) -> str:
        found = "has no tables yet" if self.revision is None else f"has schema {self.revision}"
        return f"the database {found}, this release needs {self.needed}; run `bookended migrate`"


class NewerSchemaError(Exception):
    """The database was written by a newer release: this one would misread it."""

    def __init__(self, revision: str, known: str) -> None:
        super().__init__(revision, known)
        self.revision = revision
        self.known = known

    def __str__(self) -> str:
        return (
            f"the database has schema {self.revision}, newer than {self.known}, the newest that "
            "this release knows; install the release that wrote it, or a later one"
        )


def upgrade(engine: Engine) -> bool:
    """Brings the database to this release's schema, in one transaction; False if it was there.

    Two processes may do so at the same time. Errors: `NewerSchemaError`, `ReaderRoleError`.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            begin_upgrade(connection)
        revision = _revision(connection)
        if revision == head():
            return False
        _refuse_unknown(revision)
        # Imported only when there is something to do: see there.
        importlib.import_module("migrations.upgrading").to_head(connection)
    return True


def current(engine: Engine) -> str | None:
    """The revision that the database has, None for one without tables."""
    with engine.connect() as connection:
        return _revision(connection)


def head() -> str:
    """The revision that this release needs."""
    return _revisions()[-1]


def check(engine: Engine) -> None:
    """Returns if the database has the schema that this release needs.

    Errors: `OlderSchemaError`, `NewerSchemaError`.
    """
    revision = current(engine)
    _refuse_unknown(revision)
    if revision != head():
        raise OlderSchemaError(revision, head())


def _refuse_unknown(revision: str | None) -> None:
    if revision is not None and revision not in _revisions():
        raise NewerSchemaError(revision, head())


@cache
def _revisions() -> list[str]:
    """All revisions, oldest first: their numbers are the beginnings of their files' names."""
    files = (Path(__file__).parent / "versions").glob("[0-9]*.py")
    return sorted(path.name.partition("_")[0] for path in files)


def _revision(connection: Connection) -> str | None:
    versions = table("alembic_version", column("version_num"))
    if not inspect(connection).has_table(versions.name):
        return None
    revision: str | None = connection.execute(select(versions.c.version_num)).scalar()
    return revision
