"""The program over PostgreSQL: migrate, check, run, process; what it says when things go wrong."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from migrations import head
from tests.commands.processes import Cli, Server
from tests.commands.test_http_to_sql import GOLDEN, listening, play_golden
from tests.golden.loading import load_golden
from tests.postgres import admin, plain
from tests.servers import PostgresServer


@pytest.fixture
def empty_url(postgres: PostgresServer) -> Iterator[str]:
    """The address of a database without tables."""
    name = f"program_{os.getpid()}"
    yield postgres.database(name)
    with admin(postgres) as connection:
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        connection.execute(drop)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


def password_of(url: str) -> str:
    return str(make_url(url).password)


def test_migrate_then_check_then_run_then_process(cli: Cli, tmp_path: Path, empty_url: str) -> None:
    settings = {"BOOKENDED_DATABASE": empty_url}
    told = [cli("migrate", **settings), cli("migrate", **settings), cli("check", **settings)]
    assert [done.returncode for done in told] == [0, 0, 0], told
    assert f"from nothing to {head()}" in told[0].stdout
    assert f"already at {head()}" in told[1].stdout
    server = Server(tmp_path, ("run", "--listen", "127.0.0.1:0"), settings)
    try:
        url = listening(server)
        ids = {name: play_golden(url, name) for name in GOLDEN[:5]}
        assert server.stop() == 0
    finally:
        server.end()
    processor = Server(tmp_path, ("process",), settings)
    try:
        processor.wait_for("processor_running")
        assert processor.stop() == 0
    finally:
        processor.end()
    with psycopg.connect(plain(empty_url)) as connection:
        rows = connection.execute("SELECT session_id, content_ms FROM sessions").fetchall()
    assert dict(rows) == {sid: load_golden(n).expected["content_ms"] for n, sid in ids.items()}
    report = cli("check", "--json", **settings)
    written = [done.stdout + done.stderr for done in (*told, report)]
    assert password_of(empty_url) not in "\n".join([*written, *server.lines, *processor.lines])
    detail = {check["thing"]: check for check in json.loads(report.stdout)["checks"]}["database"]
    assert detail["is_wrong"] is False
    assert "0 records behind the log" in detail["detail"]
    assert not (tmp_path / "bookended-data" / "analytics.db").exists()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"port": 1}, "Connection refused. Check that PostgreSQL runs, and host and port"),
    ({"password": "a-wrong-one"}, "Check user and password in --database."),
    ({"database": "none"}, 'database "none" does not exist. Make it (CREATE DATABASE'),
]


@pytest.mark.parametrize("command", ["migrate", "run", "process", "check"])
@pytest.mark.parametrize(("change", "line"), WRONG)
def test_what_is_wrong_is_told_in_one_line(
    cli: Cli, postgres: PostgresServer, command: str, change: dict[str, Any], line: str
) -> None:
    url = make_url(postgres.url).set(**change).render_as_string(False)
    done = cli(command, BOOKENDED_DATABASE=url, BOOKENDED_LISTEN="", BOOKENDED_LOG_LEVEL="error")
    said = " ".join((done.stdout if command == "check" else done.stderr).split())
    assert done.returncode == 1
    if command == "check":
        assert line[:18] in said
    else:
        assert line in said
        assert done.stderr.startswith("bookended: database postgresql+psycopg://")
        assert done.stderr.count("\n") == 1
    assert password_of(url) not in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["run", "process", "check"])
def test_a_schema_that_is_missing_is_told(cli: Cli, empty_url: str, command: str) -> None:
    assert cli("migrate").returncode == 0
    done = cli(command, BOOKENDED_DATABASE=empty_url, BOOKENDED_LISTEN="127.0.0.1:0")
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1
    assert "has no tables yet" in said
    assert command == "check" or "Run `bookended migrate`." in said


@pytest.mark.parametrize("command", ["migrate", "run", "process"])
def test_a_newer_schema_is_told(cli: Cli, postgres_url: str, command: str) -> None:
    with psycopg.connect(plain(postgres_url)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    done = cli(command, BOOKENDED_DATABASE=postgres_url, BOOKENDED_LISTEN="127.0.0.1:0")
    assert done.returncode == 1
    assert "has schema 9999, newer than" in done.stderr
    assert "Install the release that wrote it" in done.stderr


def test_a_database_of_another_log_is_told(cli: Cli, empty_url: str) -> None:
    settings = {"BOOKENDED_DATABASE": empty_url}
    assert cli("migrate", **settings).returncode == 0
    with psycopg.connect(plain(empty_url)) as connection:
        connection.execute(
            "INSERT INTO progress (projection, log_partition, version, next_offset, log_id) "
            "VALUES (1, 0, 1, 1, 'of-another')"
        )
    done = cli("process", **settings)
    assert done.returncode == 1
    assert "of-another" in done.stderr
