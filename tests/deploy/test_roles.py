"""deploy/postgres/roles.sql: each role can do its part of the work, and nothing else."""

import os
import time
from pathlib import Path

import psycopg
import pytest

from migrations.postgres import _READER_SETTINGS
from tests.commands.processes import PATIENCE_S, Cli, Server
from tests.commands.test_http_to_sql import GOLDEN, listening, play_golden
from tests.deploy.roles import OWNER, PROCESSOR, READER, Filled, new_database
from tests.golden.loading import load_golden
from tests.servers import PostgresServer


def test_each_role_does_its_work(roles: Filled) -> None:
    assert not [line for line in roles.lines if "processor_retrying" in line]
    assert content_of_all(roles) == {
        session_id: load_golden(name).expected["content_ms"]
        for name, session_id in roles.ids.items()
    }
    assert Cli(roles.directory)("check", **roles.settings(PROCESSOR)).returncode == 0


def test_new_rules_are_the_owners_work_and_the_processor_goes_on(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with new_database(postgres, f"rebuilt_{os.getpid()}") as url:
        roles = Filled(url, tmp_path)
        cli = Cli(tmp_path)
        refused = cli("rebuild", "--jobs", "1", **roles.settings(PROCESSOR))
        assert refused.returncode == 1
        assert "permission denied" in refused.stderr
        for command in (("rebuild", "--jobs", "1"), ("promote", "2")):
            done = cli(*command, **roles.settings(OWNER))
            assert done.returncode == 0, done.stderr
        server = Server(tmp_path, ("run", "--listen", "127.0.0.1:0"), roles.settings(PROCESSOR))
        try:
            added = play_golden(listening(server), GOLDEN[0])
            ids = [*roles.ids.items(), (GOLDEN[0], added)]
            wanted = {sid: load_golden(name).expected["content_ms"] for name, sid in ids}
            # What is sent just before a stop is folded after the next start.
            deadline = time.monotonic() + PATIENCE_S
            while content_of_all(roles) != wanted and time.monotonic() < deadline:
                time.sleep(0.05)
            assert server.stop() == 0, server.lines
        finally:
            server.end()
        assert content_of_all(roles) == wanted


def content_of_all(roles: Filled) -> dict[str, int]:
    with roles.connected(READER) as connection:
        rows = connection.execute("SELECT session_id, content_ms FROM sessions").fetchall()
    return dict(rows)


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
