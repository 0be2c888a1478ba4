"""The embedded log as a publisher: the contract, and what is its own."""

import asyncio
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ingest import log_file
from ingest.embedded_publisher import EmbeddedPublisher, PublishBounds
from ingest.log_file import LogFault, LogUnusable, prepare_log
from ingest.publisher import Publisher, PublishError
from models.tables_log import LOG_SCHEMA_VERSION
from tests.contract.publisher_contract import (
    OTHER,
    SESSION,
    PublishedLog,
    PublisherContract,
    fails,
    until_ready,
    with_publisher,
)


class EmbeddedLog:
    """A log file, read by connections of its own, and locked by one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_ms = 1_000
        self._lock: sqlite3.Connection | None = None

    def publisher(self, **bounds: Any) -> EmbeddedPublisher:
        return EmbeddedPublisher(
            self.path, lambda: self.now_ms, PublishBounds(**{"busy_ms": 400, **bounds})
        )

    def ask(self, statement: str) -> list[Any]:
        with closing(sqlite3.connect(self.path, timeout=0)) as connection:
            return connection.execute(statement).fetchall()

    def read(self) -> list[tuple[str, bytes]]:
        return self.ask('SELECT key, value FROM log_records ORDER BY "offset"')

    def received_at(self) -> list[int]:
        return [row[0] for row in self.ask('SELECT received_at FROM log_records ORDER BY "offset"')]

    def set_clock(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def stop_answering(self) -> None:
        self._lock = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._lock.execute("BEGIN IMMEDIATE")

    def answer_again(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedLog]:
    made = EmbeddedLog(tmp_path / "log.db")
    yield made
    made.answer_again()


class TestEmbeddedPublisher(PublisherContract):
    """The contract on the embedded log; a lock held by another program stands for it being away."""

    @pytest.fixture
    def log(self, embedded: EmbeddedLog) -> PublishedLog:
        return embedded


def commits(path: Path) -> int:
    """Frames of the write-ahead log that end a commit, by the file's own format."""
    content = path.with_name(path.name + "-wal").read_bytes()
    page_bytes = int.from_bytes(content[8:12])
    salt = content[16:24]
    frames = range(32, len(content), 24 + page_bytes)
    return sum(
        content[at + 8 : at + 16] == salt and content[at + 4 : at + 8] != bytes(4) for at in frames
    )


def test_records_that_come_together_share_a_commit(embedded: EmbeddedLog) -> None:
    async def use(publisher: Publisher) -> None:
        await publisher.publish(SESSION, b"first")
        before = commits(embedded.path)
        await asyncio.gather(*[publisher.publish(OTHER, b"%d" % n) for n in range(500)])
        assert commits(embedded.path) - before < 50

    with_publisher(embedded, use)


@pytest.mark.parametrize(
    "bounds", [{"batch_records_max": 7}, {"batch_bytes_max": 100}, {"batch_records_max": 1}]
)
def test_a_commit_is_bounded(embedded: EmbeddedLog, bounds: dict[str, int]) -> None:
    async def use(publisher: Publisher) -> None:
        await publisher.publish(SESSION, b"first")
        before = commits(embedded.path)
        await asyncio.gather(*[publisher.publish(OTHER, bytes(50)) for _ in range(50)])
        assert commits(embedded.path) - before >= 7

    with_publisher(embedded, use, **bounds)
    assert len(embedded.read()) == 51


def test_commits_reach_the_disk(embedded: EmbeddedLog) -> None:
    prepare_log(embedded.path)
    with closing(log_file.connect(embedded.path)) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_offsets_do_not_start_again(embedded: EmbeddedLog) -> None:
    async def use(publisher: Publisher) -> None:
        await publisher.publish(SESSION, b"x")

    with_publisher(embedded, use)
    with closing(sqlite3.connect(embedded.path)) as connection, connection:
        connection.execute("DELETE FROM log_records")
    with_publisher(embedded, use)
    assert embedded.ask('SELECT "offset" FROM log_records') == [(2,)]


def test_what_was_given_up_is_not_written(embedded: EmbeddedLog) -> None:
    async def use(publisher: Publisher) -> None:
        embedded.stop_answering()
        first = asyncio.ensure_future(fails(publisher))  # the writer is busy with this one
        await asyncio.sleep(0.1)
        second = asyncio.ensure_future(publisher.publish(OTHER, b"given up"))
        await asyncio.sleep(0)
        second.cancel()
        assert (await first).cause == "log_away"
        embedded.answer_again()
        await until_ready(publisher)

    with_publisher(embedded, use)
    assert embedded.read() == []


def test_a_full_disk_is_told_and_passes(embedded: EmbeddedLog) -> None:
    async def use(publisher: Publisher) -> None:
        await publisher.publish(SESSION, b"before")
        writer = publisher._writer  # type: ignore[attr-defined]
        writer._connection.execute("PRAGMA max_page_count = 1")
        error = await refused(publisher, bytes(100_000))
        assert error.cause == "log_away"
        assert "the disk is full" in error.reason
        assert publisher.reason_not_ready() == error.reason
        await until_ready(publisher)
        await publisher.publish(SESSION, b"after")

    with_publisher(embedded, use)
    assert [value for _, value in embedded.read()] == [b"before", b"after"]


async def refused(publisher: Publisher, value: bytes) -> PublishError:
    with pytest.raises(PublishError) as caught:
        await publisher.publish(SESSION, value)
    return caught.value


def test_a_read_only_log_is_told(embedded: EmbeddedLog) -> None:
    async def use(publisher: Publisher) -> None:
        await publisher.publish(SESSION, b"before")
        writer = publisher._writer  # type: ignore[attr-defined]
        writer._connection.execute("PRAGMA query_only = ON")
        assert "it is read-only" in (await refused(publisher, b"x")).reason
        await until_ready(publisher)

    with_publisher(embedded, use)


def test_a_log_that_is_gone_is_told_and_not_made_anew(embedded: EmbeddedLog) -> None:
    async def use(publisher: Publisher) -> None:
        embedded.stop_answering()
        assert "locked" in (await refused(publisher, b"x")).reason
        embedded.answer_again()
        moved = embedded.path.rename(embedded.path.with_name("moved.db"))
        for suffix in ("-wal", "-shm"):
            embedded.path.with_name(embedded.path.name + suffix).unlink(missing_ok=True)
        await until_told(publisher, "it cannot be opened")
        assert "it cannot be opened" in (await refused(publisher, b"x")).reason
        assert not embedded.path.exists()
        moved.rename(embedded.path)
        await until_ready(publisher)
        await publisher.publish(SESSION, b"after")

    with_publisher(embedded, use)
    assert [value for _, value in embedded.read()] == [b"after"]


async def until_told(publisher: Publisher, reason: str) -> None:
    for _ in range(400):
        if reason in publisher.reason_not_ready():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(publisher.reason_not_ready())


def test_a_defect_of_the_writer_hangs_nobody(
    embedded: EmbeddedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(publisher: Publisher) -> None:
        writer = publisher._writer  # type: ignore[attr-defined]
        append = writer.append
        monkeypatch.setattr(writer, "append", lambda entries: 1 // 0)
        assert "defect" in (await refused(publisher, b"x")).reason
        monkeypatch.setattr(writer, "append", append)
        await until_ready(publisher)
        await publisher.publish(SESSION, b"after")

    with_publisher(embedded, use)


def test_the_file_is_made_whole_for_this_user_only(tmp_path: Path) -> None:
    path = tmp_path / "data" / "log.db"
    log_id = prepare_log(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert prepare_log(path) == log_id
    assert prepare_log(tmp_path / "other.db") != log_id


def refusal(path: Path) -> str:
    with pytest.raises((LogFault, LogUnusable)) as caught:
        prepare_log(path, busy_timeout_ms=100)
    line = str(caught.value)
    assert str(path) in line
    assert "\n" not in line
    return line


def test_what_is_no_log_is_one_line(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("no database " * 100)
    assert "no SQLite file" in refusal(text)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("CREATE TABLE cats (name TEXT)")
    before = other.read_bytes()
    assert "another program's" in refusal(other)
    assert other.read_bytes() == before
    half = tmp_path / "half.db"
    with closing(sqlite3.connect(half)) as connection, connection:
        connection.execute("CREATE TABLE log_meta (id INTEGER)")
    assert "has not the tables of a log" in refusal(half)
    assert "cannot be made" in refusal(text / "log.db")


def test_a_newer_log_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    prepare_log(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE log_meta SET schema_version = schema_version + 1")
    line = refusal(path)
    assert f"schema version {LOG_SCHEMA_VERSION + 1} is newer" in line
    assert "; install" in line


def test_a_locked_log_is_one_line(embedded: EmbeddedLog) -> None:
    embedded.stop_answering()
    assert "locked" in refusal(embedded.path)
