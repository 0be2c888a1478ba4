"""The database's history: Alembic revisions from an empty database to the tables of `models`.

Not on the record's way: run once before a release that needs them. Works from the installed
package, without an alembic.ini. Imports `models` only.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from migrations.postgres import ReaderRoleError, admit_reader, begin_upgrade
from models.views import create_statements, drop_statements, view_queries

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
    is_postgres = engine.dialect.name == "postgresql"
    with engine.begin() as connection:
        if is_postgres:
            begin_upgrade(connection)
        revision = _revision(connection)
        if revision == head():
            return False
        _refuse_unknown(revision)
        # Views hold no data: they are made anew, so that no revision has to know older texts.
        for statement in drop_statements():
            connection.exec_driver_sql(statement)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        for statement in create_statements(connection.dialect):
            connection.exec_driver_sql(statement)
        if is_postgres:
            admit_reader(connection, view_queries())
    return True


def current(engine: Engine) -> str | None:
    """The revision that the database has, None for one without tables."""
    with engine.connect() as connection:
        return _revision(connection)


def head() -> str:
    """The revision that this release needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None, "the package holds its revisions"
    return revision


def check(engine: Engine) -> None:
    """Returns if the database has the schema that this release needs.

    Errors: `OlderSchemaError`, `NewerSchemaError`.
    """
    revision = current(engine)
    _refuse_unknown(revision)
    if revision != head():
        raise OlderSchemaError(revision, head())


def _refuse_unknown(revision: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise NewerSchemaError(revision, head())


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
