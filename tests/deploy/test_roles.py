"""deploy/postgres/roles.sql: each role can do its part of the work, and nothing else."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from migrations.postgres import _READER_SETTINGS
from tests.commands.processes import Cli, Server
from tests.commands.test_http_to_sql import GOLDEN, listening, play_golden
from tests.documents import ROOT
from tests.golden.loading import load_golden
from tests.postgres import admin, plain
from tests.servers import PostgresServer

OWNER: Final = "bookended_owner"
PROCESSOR: Final = "bookended_processor"
READER: Final = "bookended_reader"
PASSWORD: Final = "of-the-roles"


class Roles:
    """A database on which roles.sql was run, then `migrate` as its owner."""

    def __init__(self, url: str, directory: Path) -> None:
        place = make_url(url)
        self._place = f"{place.host}:{place.port}/{place.database}"
        self._password = directory / "password"
        self._password.write_text(f"{PASSWORD}\n", encoding="utf-8")
        self._password.chmod(0o400)
        done = Cli(directory)("migrate", **self.settings(OWNER))
        assert done.returncode == 0, done.stderr

    def settings(self, role: str) -> dict[str, str]:
        return {
            "BOOKENDED_DATABASE": f"postgresql+psycopg://{role}@{self._place}",
            "BOOKENDED_DATABASE_PASSWORD_FILE": str(self._password),
        }

    def connected(self, role: str) -> psycopg.Connection:
        place = f"postgresql://{role}@{self._place}"
        return psycopg.connect(place, password=PASSWORD, autocommit=True)


@pytest.fixture(scope="module")
def roles(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roles]:
    name = f"roles_{os.getpid()}"
    url = postgres.database(name)
    statements = (ROOT / "deploy/postgres/roles.sql").read_text(encoding="utf-8")
    with psycopg.connect(plain(url), autocommit=True) as connection:
        for _ in range(2):
            connection.execute(statements.encode())
        for role in (OWNER, PROCESSOR, READER):
            change = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), PASSWORD)
            connection.execute(change)
    yield Roles(url, tmp_path_factory.mktemp("roles"))
    with admin(postgres) as connection:
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        connection.execute(drop)


def test_each_role_does_its_work(tmp_path: Path, roles: Roles) -> None:
    settings = roles.settings(PROCESSOR)
    server = Server(tmp_path, ("run", "--listen", "127.0.0.1:0"), settings)
    try:
        url = listening(server)
        ids = {name: play_golden(url, name) for name in GOLDEN}
        assert server.stop() == 0, server.lines
    finally:
        server.end()
    assert not [line for line in server.lines if "processor_retrying" in line]
    with roles.connected(READER) as connection:
        rows = connection.execute("SELECT session_id, content_ms FROM sessions").fetchall()
    assert dict(rows) == {sid: load_golden(n).expected["content_ms"] for n, sid in ids.items()}
    assert Cli(tmp_path)("check", **settings).returncode == 0


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
def test_no_role_does_more(roles: Roles, role: str, statement: str) -> None:
    with roles.connected(role) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_readers_have_the_bounds_that_migrate_gives(roles: Roles) -> None:
    with roles.connected(READER) as connection:
        for name, value in _READER_SETTINGS.items():
            row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
            assert row == (value.strip("'"),)
