"""The embedded log as a source and as a sink of closes: the contract, and what is its own."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.closes import EmbeddedCloses as ClosesReader
from ingest.log_file import prepare_log
from processor.embedded_source import CLOSES_KEPT_MS, EmbeddedCloses, EmbeddedSource, LogRetention
from processor.source import (
    Close,
    LogAwayError,
    LogDamagedError,
    LogMissingError,
    NewerLogError,
)
from tests.contract.source_contract import KEY, Log, SourceContract, read


class EmbeddedLog:
    """A log file, written to without the collector."""

    def __init__(self, path: Path) -> None:
        prepare_log(path)
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.opened: list[EmbeddedSource] = []
        self.others: list[EmbeddedLog] = []

    def append(self, value: bytes, received_at: int, key: bytes = KEY) -> int:
        cursor = self.connection.execute(
            "INSERT INTO log_records (received_at, key, value) VALUES (?, ?, ?)",
            (received_at, key.decode(), value),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def cut(self, start_offset: int) -> None:
        self.connection.execute('DELETE FROM log_records WHERE "offset" < ?', (start_offset,))

    def open(self) -> EmbeddedSource:
        source = EmbeddedSource(self.path, busy_timeout_ms=0)
        self.opened.append(source)
        return source

    def other(self) -> "EmbeddedLog":
        self.others.append(EmbeddedLog(self.path.with_name("other.db")))
        return self.others[-1]

    def close(self) -> None:
        for log in (self, *self.others):
            log.connection.close()
            for source in log.opened:
                source.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedLog]:
    log = EmbeddedLog(tmp_path / "log.db")
    yield log
    log.close()


class TestEmbeddedSource(SourceContract):
    @pytest.fixture
    def log(self, embedded: EmbeddedLog) -> Log:
        return embedded


def test_a_row_of_odd_types_still_comes_as_bytes(embedded: EmbeddedLog) -> None:
    embedded.connection.execute(
        "INSERT INTO log_records (received_at, key, value) VALUES (5, CAST(x'ff' AS TEXT), 'text')"
    )
    source = embedded.open()
    source.seek(0, 1)
    assert [(r.key, r.value) for r in read(source)] == [(b"\xff", b"text")]


def test_a_missing_file_is_named_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with pytest.raises(LogMissingError, match=r"log\.db: there is no such file"):
        EmbeddedSource(path)
    assert not path.exists()


def test_another_programs_database_is_no_log(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    sqlite3.connect(path).close()
    path.write_bytes(b"")
    with pytest.raises(LogMissingError, match="no such table"):
        EmbeddedSource(path)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(b"no database" * 1_000)
    with pytest.raises(LogDamagedError, match=r"log\.db"):
        EmbeddedSource(path)


def test_a_log_of_a_newer_release_is_refused(embedded: EmbeddedLog) -> None:
    embedded.connection.execute("UPDATE log_meta SET schema_version = 99")
    with pytest.raises(NewerLogError, match="schema version 99"):
        embedded.open()


def test_a_locked_log_is_away(embedded: EmbeddedLog) -> None:
    closes = EmbeddedCloses(embedded.path, lambda: 0, busy_timeout_ms=0)
    embedded.connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(LogAwayError, match="database is locked"):
        closes.publish([Close("a", 1)])
    embedded.connection.execute("ROLLBACK")
    closes.publish([Close("a", 1)])
    closes.close()


def test_the_writer_does_not_block_reading(embedded: EmbeddedLog) -> None:
    offset = embedded.append(b"one", 1)
    source = embedded.open()
    source.seek(0, offset)
    embedded.connection.execute("BEGIN IMMEDIATE")
    embedded.append(b"two", 2)
    assert [r.value for r in read(source)] == [b"one"]
    assert source.end_offset(0) == offset + 1
    embedded.connection.execute("COMMIT")
    assert [r.value for r in read(source)] == [b"two"]


def test_closes_reach_the_collector_in_order(embedded: EmbeddedLog) -> None:
    sink = EmbeddedCloses(embedded.path, lambda: 1_000)
    reader = ClosesReader(embedded.path)
    sink.publish([Close("a", 1), Close("b", 2)])
    sink.publish([Close("a", None)])
    assert list(reader.read(10)) == [("a", 1), ("b", 2), ("a", None)]
    sink.close()
    reader.close()


def test_closes_older_than_any_session_id_are_deleted(embedded: EmbeddedLog) -> None:
    clock = [0]
    sink = EmbeddedCloses(embedded.path, lambda: clock[0])
    sink.publish([Close("a", 1), Close("b", 2)])
    clock[0] = CLOSES_KEPT_MS
    sink.publish([Close("c", 3)])
    assert positions(embedded) == [1, 2, 3]
    clock[0] = CLOSES_KEPT_MS + 1
    sink.publish([Close("d", 4)])
    assert positions(embedded) == [3, 4]
    sink.close()


def positions(log: EmbeddedLog) -> list[int]:
    return [p for (p,) in log.connection.execute("SELECT position FROM closes ORDER BY position")]


def test_retention_goes_by_age_and_by_what_was_read(embedded: EmbeddedLog) -> None:
    first, *_ = [embedded.append(b"x", received_at) for received_at in (10, 20, 30, 40)]
    retention = LogRetention(embedded.path, 100, lambda: 131)  # older than 31
    source = embedded.open()
    assert retention.trim(first) == 0
    assert retention.trim(first + 2) == 2
    assert source.start_offset(0) == first + 2
    assert retention.trim(first + 4) == 1  # the last one is not old enough
    assert source.start_offset(0) == first + 3
    assert retention.trim(first + 4) == 0
    retention.close()


def test_no_record_comes_below_the_start_of_the_log(embedded: EmbeddedLog) -> None:
    """Not one that is written while a processor that has read nothing yet asks for the start."""
    source = embedded.open()

    def write_before_the_end_is_looked_up(statement: str) -> None:
        if "sqlite_sequence" in statement:
            embedded.append(b"first", 1)

    source._file.connection.set_trace_callback(write_before_the_end_is_looked_up)
    assert source.start_offset(0) == 1
    assert source.end_offset(0) > 1
