"""The local PostgreSQL: it answers, keeps its data, comes back, lets nobody else in."""

import shutil
from pathlib import Path

import psycopg
import pytest

from deploy.local.ports import HOST
from deploy.local.postgres import LocalPostgres
from deploy.local.process import is_alive, kill, spawn
from tests.local.clients import execute


def test_a_restart_keeps_data_and_address(local_postgres: LocalPostgres) -> None:
    execute(local_postgres.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    before = local_postgres.url
    local_postgres.stop()
    assert local_postgres.process() is None
    assert not local_postgres.answers()
    local_postgres.start()
    assert local_postgres.url == before
    assert execute(before, "SELECT answer FROM kept") == [(42,)]


def test_it_stops_although_clients_are_connected(local_postgres: LocalPostgres) -> None:
    plain = local_postgres.url.replace("+psycopg", "")
    with psycopg.connect(plain) as connection:
        connection.execute("SELECT 1")
        local_postgres.stop()
        connection.close()
    assert local_postgres.process() is None
    assert "fast shutdown" in local_postgres.log.read_text(encoding="utf-8")


def test_a_crash_loses_nothing_committed(local_postgres: LocalPostgres) -> None:
    execute(local_postgres.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    local_postgres.kill()
    assert (local_postgres.data / "postmaster.pid").exists()
    local_postgres.start()
    assert execute(local_postgres.url, "SELECT answer FROM kept") == [(42,)]


def test_a_lock_that_a_crash_left_does_not_hold(
    local_postgres: LocalPostgres, tmp_path: Path
) -> None:
    """By then its number may be that of another process of the same account."""
    local_postgres.kill()
    account = local_postgres._runner.account
    other = spawn([shutil.which("sleep") or "sleep", "600"], Path("/"), tmp_path / "x", {}, account)
    try:
        lock = local_postgres.data / "postmaster.pid"
        _, rest = lock.read_text(encoding="ascii").split("\n", 1)
        lock.write_text(f"{other.pid}\n{rest}", encoding="ascii")
        local_postgres.start()
        assert execute(local_postgres.url, "SELECT 1") == [(1,)]
        assert is_alive(other)
    finally:
        kill(other)


def test_two_stand_side_by_side(local_postgres: LocalPostgres, tmp_path: Path) -> None:
    with LocalPostgres(tmp_path / "other") as other:
        execute(local_postgres.url, "CREATE TABLE here ()")
        found = "SELECT count(*) FROM pg_tables WHERE tablename = 'here'"
        assert execute(local_postgres.url, found) == [(1,)]
        assert execute(other.url, found) == [(0,)]


def test_a_server_has_as_many_databases_as_one_likes(local_postgres: LocalPostgres) -> None:
    urls = [local_postgres.database(name) for name in ("a", "b", "a")]
    names = [execute(url, "SELECT current_database()") for url in urls]
    assert names == [[("a",)], [("b",)], [("a",)]]
    assert execute(local_postgres.url, "SELECT current_database()") == [("bookended",)]


def test_nobody_gets_in_without_the_password(local_postgres: LocalPostgres) -> None:
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(
            host=HOST,
            port=local_postgres.ports[0],
            user="bookended",
            password="wrong",
            dbname="bookended",
        )
    assert (local_postgres.directory / "password").stat().st_mode & 0o077 == 0
    listening = execute(local_postgres.url, "SHOW listen_addresses")
    assert listening == [(HOST,)]
