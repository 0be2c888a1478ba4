"""deploy/postgres/roles.sql: each role can do its part of the work, and nothing else."""

import psycopg
import pytest

from migrations.postgres import _READER_SETTINGS
from tests.commands.processes import Cli
from tests.deploy.roles import OWNER, PROCESSOR, READER, Filled
from tests.golden.loading import load_golden


def test_each_role_does_its_work(roles: Filled) -> None:
    assert not [line for line in roles.lines if "processor_retrying" in line]
    with roles.connected(READER) as connection:
        rows = connection.execute("SELECT session_id, content_ms FROM sessions").fetchall()
    assert dict(rows) == {
        session_id: load_golden(name).expected["content_ms"]
        for name, session_id in roles.ids.items()
    }
    assert Cli(roles.directory)("check", **roles.settings(PROCESSOR)).returncode == 0


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (PROCESSOR, "CREATE TABLE more (a int)"),
        (PROCESSOR, "ALTER TABLE sessions_live ADD COLUMN more int"),
        (PROCESSOR, "DROP TABLE dead_letters"),
        (PROCESSOR, "TRUNCATE sessions_closed"),
        (PROCESSOR, "CREATE ROLE more"),
        (OWNER, "CREATE ROLE more"),
        (OWNER, "CREATE DATABASE more"),
        (READER, "SELECT * FROM sessions_live"),
        (READER, "SELECT * FROM dead_letters"),
        (READER, "DELETE FROM sessions_live"),
        (READER, "CREATE TABLE more (a int)"),
        (READER, "CREATE TEMPORARY TABLE more (a int)"),
    ],
)
def test_no_role_does_more(roles: Filled, role: str, statement: str) -> None:
    with roles.connected(role) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_readers_have_the_bounds_that_migrate_gives(roles: Filled) -> None:
    with roles.connected(READER) as connection:
        for name, value in _READER_SETTINGS.items():
            row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
            assert row == (value.strip("'"),)
