"""The embedded log's reading side: records out of `log.db`, closes into it, retention.

On the record's way: what the collector's publisher committed -> `processor.step`. Reads are short,
so that they never stand in the writer's way. One partition, number 0. Speaks to SQLite directly:
the log is a file of ours, not one of the databases. Imports `models` and `source` only.
"""

import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from models.records import LogRecord
from models.tables_log import LOG_SCHEMA_VERSION
from processor.source import (
    Close,
    LogAwayError,
    LogDamagedError,
    LogMissingError,
    NewerLogError,
)

BUSY_TIMEOUT_MS: Final = 5_000
POLL_INTERVAL_S: Final = 0.02
POLL_BYTES_MAX: Final = 8 * 1024 * 1024
CLOSES_KEPT_MS: Final = 49 * 3_600_000
"""Longer than the collector accepts events of a session (docs/http.md: 48 h)."""
TRIM_RECORDS_MAX: Final = 1_000
"""Rows one trimming transaction deletes, so that the collector waits for the file only shortly."""

_PARTITION: Final = 0
# The casts give bytes whatever a row holds: what is no text or no blob becomes a dead letter, not
# an error of the driver.
_POLL: Final = (
    'SELECT "offset", received_at, CAST(key AS BLOB), CAST(value AS BLOB) FROM log_records '
    'WHERE "offset" >= ? ORDER BY "offset" LIMIT ?'
)
_END: Final = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'log_records'"
# One statement, one moment: a record that came between a look for the first and one for the end
# would be below the start of the log that it is in.
_START: Final = (
    'SELECT coalesce((SELECT min("offset") FROM log_records), (SELECT coalesce(max(seq), 0) + 1 '
    "FROM sqlite_sequence WHERE name = 'log_records'))"
)
_META: Final = "SELECT log_id, schema_version FROM log_meta"
_TRIM_RECORDS: Final = (
    'DELETE FROM log_records WHERE received_at < ? AND "offset" IN '
    '(SELECT "offset" FROM log_records WHERE "offset" < ? ORDER BY "offset" LIMIT ?)'
)
_ADD_CLOSE: Final = "INSERT INTO closes (session_id, closed_at, published_at) VALUES (?, ?, ?)"
_TRIM_CLOSES: Final = (
    "DELETE FROM closes WHERE published_at < ? AND position IN "
    "(SELECT position FROM closes ORDER BY position LIMIT ?)"
)


class EmbeddedSource:
    """`Source` over the embedded log: looks for new records every `POLL_INTERVAL_S`."""

    def __init__(self, path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self._file = _LogFile(path, busy_timeout_ms)
        self._log_id = self._file.log_id()
        self._next_offset: int | None = None

    def name(self) -> str:
        return self._file.name

    def topic(self) -> str:
        return self._file.path.name

    def log_id(self) -> str:
        return self._log_id

    def partitions(self) -> Sequence[int]:
        return (_PARTITION,)

    def gone(self) -> Sequence[int]:
        return ()

    def doubt(self, partition: int) -> None:
        """There is nobody else who could be meant to read the partition."""

    def start_offset(self, partition: int) -> int:
        del partition
        return self._offset(_START)

    def start_offsets(self, partitions: Collection[int]) -> Mapping[int, int]:
        return {partition: self.start_offset(partition) for partition in partitions}

    def end_offset(self, partition: int) -> int:
        del partition
        return self._offset(_END)

    def _offset(self, question: str) -> int:
        with self._file.faults():
            (offset,) = self._file.connection.execute(question).fetchone()
        return int(offset)

    def end_offsets(self, partitions: Collection[int]) -> Mapping[int, int]:
        return {partition: self.end_offset(partition) for partition in partitions}

    def seek(self, partition: int, next_offset: int) -> None:
        del partition
        self._next_offset = next_offset

    def next_offsets(self) -> Mapping[int, int]:
        return {} if self._next_offset is None else {_PARTITION: self._next_offset}

    def poll(self, timeout_s: float, records_max: int) -> list[LogRecord]:
        if self._next_offset is None:
            return []
        deadline = time.monotonic() + timeout_s
        while True:
            records = self._read(self._next_offset, records_max)
            if records:
                self._next_offset = records[-1].offset + 1
                return records
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return []
            time.sleep(min(left_s, POLL_INTERVAL_S))

    def _read(self, next_offset: int, records_max: int) -> list[LogRecord]:
        records: list[LogRecord] = []
        bytes_read = 0
        with self._file.faults():
            cursor = self._file.connection.execute(_POLL, (next_offset, records_max))
            for offset, received_at, key, value in cursor:
                records.append(LogRecord(_PARTITION, offset, received_at, key, value))
                bytes_read += len(value)
                if bytes_read >= POLL_BYTES_MAX:
                    break
            cursor.close()  # ends the read, also when rows are left
        return records

    def idle(self) -> None:
        """Nobody counts the readers of this log."""

    def checkpointed(self, next_offsets: Mapping[int, int]) -> None:
        """Nobody else reads this log."""

    def close(self) -> None:
        self._file.close()


class EmbeddedCloses:
    """`ClosesSink` into the embedded log's table `closes`, which the collector reads."""

    def __init__(
        self, path: Path, now_ms: Callable[[], int], *, busy_timeout_ms: int = BUSY_TIMEOUT_MS
    ) -> None:
        self._file = _LogFile(path, busy_timeout_ms)
        self._now_ms = now_ms

    def publish(self, closes: Sequence[Close]) -> None:
        now_ms = self._now_ms()
        with self._file.writing() as connection:
            connection.executemany(_ADD_CLOSE, [(*close, now_ms) for close in closes])
            connection.execute(_TRIM_CLOSES, (now_ms - CLOSES_KEPT_MS, 2 * len(closes)))

    def close(self) -> None:
        self._file.close()


class LogRetention:
    """Deletes records that every projection has read and that are older than `kept_ms`."""

    def __init__(
        self,
        path: Path,
        kept_ms: int,
        now_ms: Callable[[], int],
        *,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
    ) -> None:
        self._file = _LogFile(path, busy_timeout_ms)
        self._kept_ms = kept_ms
        self._now_ms = now_ms

    def trim(self, next_offset: int) -> int:
        """Deletes one batch of records below `next_offset`; says how many. Errors: `LogAwayError`.

        Call again until it says 0.
        """
        before_ms = self._now_ms() - self._kept_ms
        with self._file.writing() as connection:
            arguments = (before_ms, next_offset, TRIM_RECORDS_MAX)
            return connection.execute(_TRIM_RECORDS, arguments).rowcount

    def close(self) -> None:
        self._file.close()


class _LogFile:
    """A connection to the log's file, and what its faults mean."""

    def __init__(self, path: Path, busy_timeout_ms: int) -> None:
        self.path = path
        self.name = str(path)
        if not path.is_file():
            raise LogMissingError(self.name, "there is no such file")
        with self.faults():
            self.connection = sqlite3.connect(
                path,
                timeout=busy_timeout_ms / 1000,
                isolation_level=None,
                check_same_thread=False,  # made by the main thread, used by the processor's alone
            )
            self.connection.execute("PRAGMA synchronous = FULL")

    def log_id(self) -> str:
        """Errors: `LogMissingError`, `NewerLogError`, `LogAwayError`, `LogDamagedError`."""
        try:
            with self.faults():
                row = self.connection.execute(_META).fetchone()
        except sqlite3.OperationalError as error:
            raise LogMissingError(self.name, str(error)) from error
        if row is None:
            raise LogMissingError(self.name, "it is not a log of bookended")
        log_id, schema_version = row
        if schema_version > LOG_SCHEMA_VERSION:
            raise NewerLogError(self.name, schema_version, LOG_SCHEMA_VERSION)
        return str(log_id)

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Faults that can pass become `LogAwayError`; what is a defect of ours stays as it is."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise LogDamagedError(self.name, str(error)) from error
            if not isinstance(error, sqlite3.OperationalError) or code == sqlite3.SQLITE_ERROR:
                raise
            raise LogAwayError(self.name, str(error)) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that is on the disk when it is committed."""
        with self.faults():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        self.connection.close()
