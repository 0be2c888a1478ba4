"""SQLite as the projection's database: the contract, its faults, and readers beside the writer."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from models.policy import Policy
from models.tables_types import instant_text
from processor import sql_rows
from processor.database import (
    DatabaseAwayError,
    DatabaseDamagedError,
    open_database,
    reading,
    writing,
)
from processor.projection import Projection, ensure_live_projection
from tests.contract.projection_contract import (
    LOG,
    T0,
    ProjectionContract,
    batch,
    closed_session,
    session_id,
    written,
)
from tests.contract.tables import everything
from tests.sqlite import new_sqlite_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "analytics.db"


@pytest.fixture
def database(path: Path) -> Iterator[Engine]:
    new_sqlite_file(path)
    engine = open_database(f"sqlite:///{path}", busy_timeout_ms=0)
    yield engine
    engine.dispose()


class TestSqliteProjection(ProjectionContract):
    @pytest.fixture
    def engine(self, database: Engine) -> Engine:
        return database


def checkpoint(engine: Engine, title: str = "film") -> None:
    projection = Projection(engine, ensure_live_projection(engine, Policy(), T0))
    claim = projection.claim(0, LOG, 1)
    projection.checkpoint("", [batch(claim, 5, written(closed_session(1, title)))])


def test_analysts_read_text_instants_and_numbers(database: Engine, path: Path) -> None:
    checkpoint(database)
    reader = sqlite3.connect(path)
    row = reader.execute(
        "SELECT session_id, started_at, closed_at, content_started, player_error_ids, "
        "content_length_s FROM sessions"
    ).fetchone()
    reader.close()
    start, end = "2025-10-09 08:53:20.000", "2025-10-09 08:53:40.000"
    assert row == (session_id(1), start, end, 1, "[]", 100.0)


def test_a_locked_database_is_away(database: Engine, path: Path) -> None:
    ensure_live_projection(database, Policy(), T0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseAwayError, match=r"analytics\.db: database is locked"):
        checkpoint(database)
    other.close()
    checkpoint(database)


def test_rows_are_made_before_the_lock_is_taken(
    database: Engine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has one writer at a time: another one may have it until all is ready to be written."""
    stage = sql_rows.stage
    other = sqlite3.connect(path, timeout=0, isolation_level=None)

    def stage_beside_another_writer(*args: Any) -> Callable[[], None]:
        other.execute("BEGIN IMMEDIATE")
        put_in_place = stage(*args)
        other.execute("ROLLBACK")

        def put_in_place_alone() -> None:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
            put_in_place()

        return put_in_place_alone

    monkeypatch.setattr(sql_rows, "stage", stage_beside_another_writer)
    checkpoint(database)
    other.close()


def test_writers_in_turn_wait_for_each_other_and_not_for_a_time_out(
    database: Engine, path: Path
) -> None:
    """Here the time-out is none at all, and each has the lock for long."""
    number = ensure_live_projection(database, Policy(), T0)
    turn = threading.Lock()

    def write(partition: int) -> None:
        engine = open_database(f"sqlite:///{path}", busy_timeout_ms=0)
        projection = Projection(engine, number, turn=turn)
        claim = projection.claim(partition, LOG, 1)
        for next_offset in range(2, 12):
            rows = written(closed_session(partition, "x" * 1_000_000))
            (claim,) = projection.checkpoint("", [batch(claim, next_offset, rows)])
        engine.dispose()

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(write, partition) for partition in range(3)]:
            done.result()
    assert Projection(database, number).next_offsets() == {0: 11, 1: 11, 2: 11}


def test_a_full_disk_is_away_and_leaves_nothing_half_written(database: Engine) -> None:
    ensure_live_projection(database, Policy(), T0)
    before = everything(database)
    with database.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    limit_pages(database, pages)
    with pytest.raises(DatabaseAwayError, match="full"):
        checkpoint(database, title="x" * 100_000)
    limit_pages(database, 1_000_000)
    after = everything(database)
    assert len(after.pop("progress")) == 1  # the claim was small enough
    assert before.pop("progress") == []
    assert after == before
    checkpoint(database, title="x" * 100_000)


def limit_pages(engine: Engine, pages: int) -> None:
    """The pool holds one connection here, and the limit is the connection's."""
    with engine.connect() as connection:
        connection.execute(text(f"PRAGMA max_page_count = {pages:d}"))


def test_a_read_only_database_is_away(database: Engine, path: Path) -> None:
    engine = open_database(f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(DatabaseAwayError, match="readonly"):
        ensure_live_projection(engine, Policy(), T0)
    engine.dispose()


def test_a_database_in_no_directory_is_away(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/none/analytics.db")
    with pytest.raises(DatabaseAwayError, match="unable to open"), reading(engine):
        pass
    engine.dispose()


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.write_bytes(b"no database" * 1_000)
    engine = open_database(f"sqlite:///{path}")
    with pytest.raises(DatabaseDamagedError, match=r"analytics\.db: file is not a database"):
        ensure_live_projection(engine, Policy(), T0)
    engine.dispose()


def test_a_defect_of_ours_is_not_taken_for_a_database_that_is_away(database: Engine) -> None:
    with pytest.raises(Exception, match="no such table") as error, writing(database) as connection:
        connection.execute(text("SELECT * FROM no_such_table"))
    assert not isinstance(error.value, DatabaseAwayError)


def test_readers_neither_wait_for_the_writer_nor_stop_it(database: Engine, path: Path) -> None:
    checkpoint(database)
    reader = sqlite3.connect(path, timeout=0, isolation_level=None)
    reader.execute("BEGIN")
    count = "SELECT count(*) FROM sessions"
    assert reader.execute(count).fetchone() == (1,)
    projection = Projection(database, 1)
    claim = projection.claim(0, LOG, 1)
    with database.begin() as connection:  # a transaction that writes, while others read
        connection.execute(text("UPDATE progress SET tick = 1"))
        assert reader.execute(count).fetchone() == (1,)
    reader.execute("COMMIT")
    projection.checkpoint("", [batch(claim, 9, written(closed_session(2)))])
    assert reader.execute(count).fetchone() == (2,)
    reader.close()


def test_a_reading_engine_neither_writes_nor_makes_a_file(database: Engine, path: Path) -> None:
    reader = open_database(f"sqlite:///{path}", read_only=True)
    with pytest.raises(DatabaseAwayError, match="readonly"), writing(reader) as connection:
        connection.execute(text("DELETE FROM progress"))
    reader.dispose()
    missing = path.with_name("other %41?.db")
    reader = open_database(f"sqlite:///{missing}", read_only=True)
    with pytest.raises(DatabaseAwayError, match="unable to open"), reading(reader):
        pass
    reader.dispose()
    assert not missing.exists()


@pytest.mark.parametrize(
    ("ms", "text_of_it"),
    [
        (0, "1970-01-01 00:00:00.000"),
        (1, "1970-01-01 00:00:00.001"),
        (253_402_300_799_999, "9999-12-31 23:59:59.999"),
    ],
)
def test_instants_are_text_that_sorts(ms: int, text_of_it: str) -> None:
    assert instant_text(ms) == text_of_it
