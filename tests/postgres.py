"""Databases of the tests' PostgreSQL server: one a test, made from a template with the schema.

Only for tests. A plugin beside `tests.servers`, which starts the server.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Final

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, make_url

import migrations
from processor.database import open_database
from tests.servers import PostgresServer

_numbers: Final = itertools.count(1)
MakeDatabase = Callable[[], str]


def plain(url: str) -> str:
    """The address as the driver takes it."""
    return url.replace("+psycopg", "")


def admin(server: PostgresServer) -> psycopg.Connection:
    return psycopg.connect(plain(server.url), autocommit=True)


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """The name of a database with the newest schema, without rows, which nobody is connected to."""
    name = f"template_{os.getpid()}"
    engine = open_database(postgres.database(name))
    migrations.upgrade(engine)
    engine.dispose()
    return name


@pytest.fixture
def make_postgres(postgres: PostgresServer, postgres_template: str) -> Iterator[MakeDatabase]:
    """Makes databases with the newest schema, gone after the test; gives their addresses."""
    made: list[str] = []

    def make() -> str:
        name = f"test_{os.getpid()}_{next(_numbers)}"
        made.append(name)
        with admin(postgres) as connection:
            template = sql.Identifier(postgres_template)
            # A copy of its files takes a checkpoint of the server, a copy through its log none.
            query = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log")
            connection.execute(query.format(sql.Identifier(name), template))
            # No test here cuts the power, and many make hundreds of commits.
            query = sql.SQL("ALTER DATABASE {} SET synchronous_commit = off")
            connection.execute(query.format(sql.Identifier(name)))
        return make_url(postgres.url).set(database=name).render_as_string(hide_password=False)

    yield make
    with admin(postgres) as connection:
        for name in made:
            query = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(query.format(sql.Identifier(name)))


@pytest.fixture
def postgres_url(make_postgres: MakeDatabase) -> str:
    """The address of a database with the newest schema."""
    return make_postgres()


@pytest.fixture
def postgres_engine(postgres_url: str) -> Iterator[Engine]:
    engine = open_database(postgres_url)
    yield engine
    engine.dispose()
