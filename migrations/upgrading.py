"""Brings a database to the newest schema: the part that needs Alembic, and only that.

Not on the record's way: `migrations.upgrade` comes here. In a module of its own since a processor
that starts again looks at the schema only, and should not wait for Alembic's imports. Imports
`models` and its neighbours.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from migrations.postgres import admit_reader
from models.views import create_statements, drop_statements, view_queries


def to_head(connection: Connection) -> None:
    """Runs the missing revisions and makes the views anew, in the caller's transaction.

    Views hold no data: they are made anew, so that no revision has to know older texts. Errors:
    `ReaderRoleError`.
    """
    for statement in drop_statements():
        connection.exec_driver_sql(statement)
    command.upgrade(config_on(connection), "head")
    for statement in create_statements(connection.dialect):
        connection.exec_driver_sql(statement)
    if connection.dialect.name == "postgresql":
        admit_reader(connection, view_queries())


def config_on(connection: Connection) -> Config:
    """What Alembic needs to know; it works in the connection's transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
