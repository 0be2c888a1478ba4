"""The schema on PostgreSQL: the same history, models and views as on SQLite; and who may read."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from psycopg import sql
from sqlalchemy import Connection, Engine, inspect, make_url, text

import migrations
from migrations import postgres as postgres_migrations
from migrations.postgres import READER
from migrations.upgrading import config_on
from models.partitions import PARTITIONED, partition_of
from models.policy import Policy
from models.tables import metadata
from models.views import view_queries
from processor.database import open_database
from processor.projection import ensure_live_projection
from tests.commands.processes import PATIENCE_S, ROOT, environment
from tests.contract.projection_contract import T0
from tests.migrations.test_views import COLUMNS, OF_NO_SESSION, queries
from tests.migrations.upgrades import assert_newer_is_refused, interrupted_upgrades
from tests.postgres import admin, plain
from tests.servers import PostgresServer

numbers = itertools.count(1)
EmptyDatabase = Callable[[], str]


@pytest.fixture
def empty(postgres: PostgresServer) -> Iterator[EmptyDatabase]:
    """Makes databases without tables; gives their addresses."""
    made: list[str] = []

    def make() -> str:
        made.append(f"empty_{os.getpid()}_{next(numbers)}")
        return postgres.database(made[-1])

    yield make
    with admin(postgres) as connection:
        for name in made:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            connection.execute(drop)


@pytest.fixture
def engine(empty: EmptyDatabase) -> Iterator[Engine]:
    engine = open_database(empty())
    yield engine
    engine.dispose()


SHAPE = {
    "columns": """
        SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               pg_get_expr(d.adbin, d.adrelid)
        FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
          AND c.relname <> 'alembic_version'""",
    "tables": """
        SELECT relname, relkind, pg_get_partkeydef(oid), obj_description(oid), reloptions
        FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S')
          AND relname <> 'alembic_version'""",
    "indexes": """
        SELECT indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'""",
    "constraints": """
        SELECT conrelid::regclass::text, pg_get_constraintdef(oid)
        FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
          AND conrelid::regclass::text <> 'alembic_version'
          AND contype <> 'n'""",
}


def shape(connection: Connection) -> dict[str, list[Any]]:
    """Tables, columns, indexes and constraints, as PostgreSQL itself tells them."""
    return {
        name: sorted(map(repr, connection.execute(text(query)).all()))
        for name, query in SHAPE.items()
    }


def test_migrations_and_models_agree(engine: Engine, empty: EmptyDatabase) -> None:
    migrations.upgrade(engine)
    by_models = open_database(empty())
    metadata.create_all(by_models)
    with engine.connect() as migrated, by_models.connect() as made:
        found = shape(migrated)
        assert found == shape(made)
    assert all(found.values())
    by_models.dispose()


def test_from_nothing_to_head(engine: Engine) -> None:
    with pytest.raises(migrations.OlderSchemaError, match=r"no tables yet.* run `bookended migr"):
        migrations.check(engine)
    assert migrations.upgrade(engine) is True
    assert migrations.current(engine) == migrations.head()
    migrations.check(engine)
    assert migrations.upgrade(engine) is False


def test_a_newer_schema_is_refused(engine: Engine) -> None:
    migrations.upgrade(engine)
    assert_newer_is_refused(engine)


def test_an_interrupted_upgrade_leaves_nothing(engine: Engine) -> None:
    for _ in interrupted_upgrades(engine, (5, 12, 25, 40, 48)):
        assert inspect(engine).get_table_names() == []
    assert migrations.upgrade(engine) is True


UPGRADE = """
import os, migrations
from processor.database import open_database
print(migrations.upgrade(open_database(os.environ["UPGRADED"])))
"""


def test_upgrades_at_once(empty: EmptyDatabase) -> None:
    """Of one database and of two: the role is the server's. (Alembic wants a process for each.)"""
    first, second = empty(), empty()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE],
            cwd=ROOT,
            env=environment(UPGRADED=url),
            stdout=subprocess.PIPE,
            text=True,
        )
        for url in (first, first, second)
    ]
    told = [process.communicate(timeout=PATIENCE_S)[0].strip() for process in processes]
    assert sorted(told) == ["False", "True", "True"]


def test_a_projection_of_an_older_schema_gets_its_new_partitions(engine: Engine) -> None:
    """Of a table that came later; else the database would refuse the projection's rows there."""
    with engine.begin() as connection:
        command.upgrade(config_on(connection), "0001")
        connection.execute(text(OLD_PROJECTION))
    migrations.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text(ITS_SPAN))
        (span,) = connection.execute(text("SELECT tableoid::regclass::text FROM span_rows")).one()
    assert span == "span_rows_7"


OLD_PROJECTION = """
    INSERT INTO projections (projection, policy, fold_version, created_at)
    VALUES (7, '{}', 1, now())"""
ITS_SPAN = """
    INSERT INTO span_rows
    VALUES (7, 'a', 1, now(), now(), 0, 'pause', 0, 0, NULL, NULL, NULL)"""


def test_a_projection_has_partitions_that_can_be_dropped(postgres_engine: Engine) -> None:
    ensure_live_projection(postgres_engine, Policy(), T0)
    with postgres_engine.begin() as connection:
        for table in PARTITIONED:
            connection.execute(text(f"DROP TABLE {partition_of(table, 1)}"))
        left = connection.execute(text("SELECT count(*) FROM sessions_live")).scalar_one()
    assert left == 0


# --- views and readers ---------------------------------------------------------------------------


@pytest.mark.parametrize("view", COLUMNS)
def test_views_have_the_columns_that_they_have_on_sqlite(
    postgres_engine: Engine, view: str
) -> None:
    columns = inspect(postgres_engine).get_columns(view)
    assert [column["name"] for column in columns] == COLUMNS[view].split()


def test_there_are_no_other_views(postgres_engine: Engine) -> None:
    assert set(inspect(postgres_engine).get_view_names()) == set(COLUMNS)


@pytest.fixture
def reader(
    postgres: PostgresServer, postgres_engine: Engine, postgres_url: str
) -> Iterator[psycopg.Connection]:
    """Logged in as the role for readers, after an administrator gave it a password."""
    ensure_live_projection(postgres_engine, Policy(), T0)
    with admin(postgres) as connection:
        command = sql.SQL("ALTER ROLE {} PASSWORD 'read-only'").format(sql.Identifier(READER))
        connection.execute(command)
    url = make_url(plain(postgres_url)).set(username=READER, password="read-only")
    with psycopg.connect(url.render_as_string(False), autocommit=True) as reading:
        yield reading


def test_readers_read_every_view(reader: psycopg.Connection) -> None:
    for view in view_queries():
        query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(view))
        assert reader.execute(query).fetchall() == []


def test_the_documented_queries_run(reader: psycopg.Connection) -> None:
    for query in queries():
        reader.execute(query.encode()).fetchall()


@pytest.mark.parametrize("table", [*metadata.tables, "alembic_version", "sessions_live_1"])
def test_readers_read_no_table(reader: psycopg.Connection, table: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute(sql.SQL("SELECT 1 FROM {}").format(sql.Identifier(table)))


def test_readers_change_nothing(reader: psycopg.Connection) -> None:
    reader.execute("SET default_transaction_read_only = off")
    for statement in ("DELETE FROM findings", "CREATE TABLE mine (a int)", "DROP VIEW sessions"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(statement)


def test_readers_are_bounded_in_time(reader: psycopg.Connection) -> None:
    for name, value in (("statement_timeout", "5min"), ("timezone", "UTC")):
        assert reader.execute(sql.SQL("SHOW {}").format(sql.SQL(name))).fetchone() == (value,)


def test_a_role_that_may_not_make_the_reader_is_told_what_to_do(
    postgres: PostgresServer, empty: EmptyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(empty())
    with admin(postgres) as connection:
        connection.execute("DROP ROLE IF EXISTS only_owner")
        connection.execute("CREATE ROLE only_owner LOGIN PASSWORD 'owner'")
        owned = sql.SQL("ALTER DATABASE {} OWNER TO only_owner")
        connection.execute(owned.format(sql.Identifier(str(url.database))))
    monkeypatch.setattr(postgres_migrations, "READER", "a_reader_that_is_missing")
    owner = url.set(username="only_owner", password="owner")
    engine = open_database(owner.render_as_string(False))
    with pytest.raises(migrations.ReaderRoleError, match=r"have an administrator run `CREATE ROLE"):
        migrations.upgrade(engine)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_one_session_is_found_by_an_index(postgres_engine: Engine) -> None:
    ensure_live_projection(postgres_engine, Policy(), T0)
    wanted = {"session_id": [*COLUMNS.keys() - OF_NO_SESSION], "content_id": ["sessions"]}
    with postgres_engine.connect() as connection:
        connection.execute(text("SET enable_seqscan = off"))  # the tables are empty
        for column, views in wanted.items():
            for view in views:
                query = text(f"EXPLAIN SELECT * FROM {view} WHERE {column} = 'a'")  # noqa: S608
                plan = "\n".join(connection.execute(query).scalars())
                assert f"({column} = 'a'" in plan, plan
                assert "Index" in plan


def test_docs_name_the_reader(request: pytest.FixtureRequest) -> None:
    docs = Path(request.config.rootpath) / "docs" / "sql.md"
    assert READER in docs.read_text(encoding="utf-8")
