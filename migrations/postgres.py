"""What an upgrade does on PostgreSQL alone: one at a time, and a role for readers.

Not on the record's way. The tables come into the schema that the connecting role makes its tables
in (the first of its `search_path`, `public` unless it was set up otherwise). Imports nothing of the
project; no I/O but on the connection it is given.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

READER: Final = "bookended_reader"
"""The role for analysts: it reads the public views and nothing else."""

_LOCK: Final = 7_143_805_932_114_067  # any number that no other program locks
_READER_SETTINGS: Final = {
    "statement_timeout": "'5min'",
    "idle_in_transaction_session_timeout": "'5min'",
    "default_transaction_read_only": "on",
    "timezone": "'UTC'",
}
_NO_RIGHT: Final = "42501"
_ALREADY_THERE: Final = ("42710", "23505")


class ReaderRoleError(Exception):
    """The role for readers is missing, and this one may not make it."""

    def __init__(self, role: str) -> None:
        super().__init__(role)
        self.role = role

    def __str__(self) -> str:
        return (
            f"the role {READER} is missing and the role {self.role} may not make it; have an "
            f"administrator run `CREATE ROLE {READER} LOGIN`, then run `bookended migrate` again"
        )


def begin_upgrade(connection: Connection) -> None:
    """Waits for other upgrades of this database; the lock ends with the transaction. An upgrade of
    large tables may take its time."""
    connection.execute(text("SELECT set_config('statement_timeout', '0', true)"))
    connection.execute(text("SELECT set_config('lock_timeout', '1min', true)"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})


def admit_reader(connection: Connection, views: Iterable[str]) -> None:
    """Makes the role if the server has none, and lets it read the views.

    Roles are the server's, not the database's: one that is there keeps its settings. Errors:
    `ReaderRoleError`.
    """
    schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    if not _has_reader(connection):
        _make_reader(connection, schema)
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {READER}")
    names = ", ".join(f"{schema}.{view}" for view in views)
    connection.exec_driver_sql(f"GRANT SELECT ON {names} TO {READER}")


def _has_reader(connection: Connection) -> bool:
    known = text("SELECT 1 FROM pg_roles WHERE rolname = :name")
    return connection.execute(known, {"name": READER}).first() is not None


def _make_reader(connection: Connection, schema: str) -> None:
    """The role has no password until an administrator gives it one: till then it cannot log in
    where a password is asked for."""
    settings = {**_READER_SETTINGS, "search_path": schema}
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"CREATE ROLE {READER} LOGIN")
            for name, value in settings.items():
                connection.exec_driver_sql(f"ALTER ROLE {READER} SET {name} = {value}")
    except DBAPIError as error:
        code = getattr(error.orig, "sqlstate", None)
        if code == _NO_RIGHT:
            role = connection.execute(text("SELECT current_user")).scalar_one()
            raise ReaderRoleError(role) from error
        if code not in _ALREADY_THERE:  # another database's upgrade was at it at the same time
            raise
