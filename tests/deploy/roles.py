"""A database with the three roles of deploy/postgres/roles.sql, filled by the real program.

Only for tests.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from tests.commands.processes import Cli, Server
from tests.commands.test_http_to_sql import GOLDEN, listening, play_golden
from tests.documents import ROOT
from tests.postgres import admin, plain
from tests.servers import PostgresServer

OWNER: Final = "bookended_owner"
PROCESSOR: Final = "bookended_processor"
READER: Final = "bookended_reader"
PASSWORD: Final = "of-the-roles"


class Roles:
    """A database on which roles.sql was run, then `migrate` as its owner."""

    def __init__(self, url: str, directory: Path) -> None:
        statements = (ROOT / "deploy/postgres/roles.sql").read_text(encoding="utf-8")
        with psycopg.connect(plain(url), autocommit=True) as connection:
            for _ in range(2):
                connection.execute(statements.encode())
            for role in (OWNER, PROCESSOR, READER):
                change = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), PASSWORD)
                connection.execute(change)
        place = make_url(url)
        self.place = f"{place.host}:{place.port}/{place.database}"
        self.directory = directory
        self._password = directory / "password"
        self._password.write_text(f"{PASSWORD}\n", encoding="utf-8")
        self._password.chmod(0o400)
        done = Cli(directory)("migrate", **self.settings(OWNER))
        assert done.returncode == 0, done.stderr

    def settings(self, role: str) -> dict[str, str]:
        return {
            "BOOKENDED_DATABASE": f"postgresql+psycopg://{role}@{self.place}",
            "BOOKENDED_DATABASE_PASSWORD_FILE": str(self._password),
        }

    def connected(self, role: str) -> psycopg.Connection:
        place = f"postgresql://{role}@{self.place}"
        return psycopg.connect(place, password=PASSWORD, autocommit=True)


class Filled(Roles):
    """The worked sessions went into it, written as the processor's role. `ids`: by name; `lines`:
    what the program logged."""

    def __init__(self, url: str, directory: Path) -> None:
        super().__init__(url, directory)
        server = Server(directory, ("run", "--listen", "127.0.0.1:0"), self.settings(PROCESSOR))
        try:
            at = listening(server)
            self.ids = {name: play_golden(at, name) for name in GOLDEN}
            assert server.stop() == 0, server.lines
        finally:
            server.end()
        self.lines = server.lines


@contextmanager
def new_database(postgres: PostgresServer, name: str) -> Iterator[str]:
    """The address of a database without tables, gone afterwards."""
    yield postgres.database(name)
    with admin(postgres) as connection:
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        connection.execute(drop)


@pytest.fixture(scope="session")
def roles(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with new_database(postgres, f"roles_{os.getpid()}") as url:
        yield Filled(url, tmp_path_factory.mktemp("roles"))
