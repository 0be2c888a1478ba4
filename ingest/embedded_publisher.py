"""The embedded log's publishing side: one writer thread, many records to one commit.

On the record's way: `app` -> here -> `log.db`. While one commit waits for the disk, the next batch
gathers in the queue: the busier it is, the more requests share an fsync. A record keeps its place
in flight until the writer has answered for it, also when its request has long been given up.
Imports `models` and the log's file only.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

import structlog
from sqlalchemy import insert
from sqlalchemy.dialects import sqlite

from ingest.in_flight import RETRY_AFTER_S, InFlight
from ingest.log_file import BUSY_TIMEOUT_MS, LogFault, LogUnusable, connect, faults_of, prepare_log
from ingest.publisher import PublishError
from models.tables_log import log_records

_PROBE_INTERVAL_S: Final = 1.0

# Rows of one statement. Each statement lets go of the interpreter and must get it back from a busy
# event loop: a statement a row would make a commit as slow as that many turns of the loop.
_LOTS: Final = (64, 16, 4, 1)

_LAST: Final = 'SELECT received_at FROM log_records ORDER BY "offset" DESC LIMIT 1'
_PROBE: Final = "UPDATE log_meta SET schema_version = schema_version"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PublishBounds:
    """What may be in flight, how much one commit takes, and how long a record may wait.

    `busy_ms`: how long the writer waits for a lock of another program.
    """

    records_max: int = 10_000
    bytes_max: int = 64 * 1024 * 1024
    batch_records_max: int = 1_000
    batch_bytes_max: int = 4 * 1024 * 1024
    deadline_s: float = 5.0
    busy_ms: int = BUSY_TIMEOUT_MS


class _Entry(NamedTuple):
    """A record in flight: what it holds of the bound on bytes, and who waits for it."""

    session_id: str
    value: bytes
    size: int
    answer: asyncio.Future[None]


class EmbeddedPublisher:
    """`Publisher` over the embedded log. `clock` is the wall clock, ms since the epoch."""

    def __init__(
        self, path: Path, clock: Callable[[], int], bounds: PublishBounds | None = None
    ) -> None:
        self._bounds = bounds or PublishBounds()
        self._writer = _Writer(path, clock, self._bounds.busy_ms)
        self._queue: SimpleQueue[_Entry | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="log-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._in_flight: InFlight | None = None
        self._fault = "not started"

    async def start(self) -> None:
        """Makes the log's file if there is none. Raises `LogFault`, `LogUnusable`."""
        bounds = self._bounds
        self._loop = asyncio.get_running_loop()
        await self._loop.run_in_executor(None, self._writer.open)
        self._in_flight = InFlight(
            bounds.records_max, bounds.bytes_max, bounds.deadline_s, self._late
        )
        self._fault = ""
        self._thread.start()

    def is_ready(self) -> bool:
        return not self._fault

    def reason_not_ready(self) -> str:
        return self._fault

    @property
    def records_in_flight(self) -> int:
        return self._in_flight.records if self._in_flight else 0

    @property
    def bytes_in_flight(self) -> int:
        return self._in_flight.bytes if self._in_flight else 0

    async def publish(self, session_id: str, value: bytes) -> None:
        assert self._in_flight is not None
        size, answer = self._in_flight.take(value)
        self._queue.put(_Entry(session_id, value, size, answer))
        await answer

    def _late(self) -> str:
        self._fault = "the log does not answer in time"
        return self._fault

    async def stop(self) -> None:
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        # What the writer answered last is still on its way to this loop.
        assert self._in_flight is not None
        await self._in_flight.until_empty(self._bounds.deadline_s)
        self._in_flight.close()
        self._fault = "stopped"

    def _answered(self, batch: Sequence[_Entry], fault: str) -> None:
        """On the loop: the writer is through with a batch."""
        assert self._in_flight is not None
        self._fault = fault
        for entry in batch:
            error = PublishError("log_away", fault, RETRY_AFTER_S) if fault else None
            self._in_flight.give_back(entry.size, entry.answer, error)

    def _write_all(self) -> None:
        """The writer thread: until `stop`, one batch after the other."""
        fault = ""
        is_last = False
        try:
            while not is_last:
                batch, is_last = self._next_batch(_PROBE_INTERVAL_S if fault else None)
                fault = self._write(batch)
                self._loop.call_soon_threadsafe(self._answered, batch, fault)
        except RuntimeError:
            _log.warning("log_writer_left", reason="the event loop was closed first")
        finally:
            self._writer.close()

    def _write(self, batch: Sequence[_Entry]) -> str:
        # What was given up meanwhile is not written: its client has been told so.
        wanted = [entry for entry in batch if not entry.answer.done()]
        try:
            self._writer.append(wanted)
        except (LogFault, LogUnusable) as error:
            return str(error)
        except Exception:  # noqa: BLE001  # the writer's main loop: a defect must not hang requests
            _log.exception("log_writer_defect")
            return "a defect of bookended, see its log"
        return ""

    def _next_batch(self, timeout_s: float | None) -> tuple[list[_Entry], bool]:
        """What is queued, up to a batch's bounds. Waits for the first; empty after `timeout_s`."""
        batch: list[_Entry] = []
        batch_bytes = 0
        try:
            entry = self._queue.get(timeout=timeout_s)
            while entry is not None:
                batch.append(entry)
                batch_bytes += len(entry.value)
                if (
                    len(batch) >= self._bounds.batch_records_max
                    or batch_bytes >= self._bounds.batch_bytes_max
                ):
                    return batch, False
                entry = self._queue.get_nowait()
        except Empty:
            return batch, False
        return batch, True


class _Writer:
    """The file, as the writer thread holds it. A connection that failed is opened anew."""

    def __init__(self, path: Path, clock: Callable[[], int], busy_ms: int) -> None:
        self._path = path
        self._busy_ms = busy_ms
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._received_at = 0
        dialect = sqlite.dialect(paramstyle="qmark")
        columns = ["received_at", "key", "value"]
        one = str(insert(log_records).compile(dialect=dialect, column_keys=columns))
        head, row = one.split(" VALUES ")
        self._inserts = {size: f"{head} VALUES {', '.join([row] * size)}" for size in _LOTS}

    def open(self) -> None:
        prepare_log(self._path, busy_timeout_ms=self._busy_ms)

    def append(self, entries: Sequence[_Entry]) -> None:
        """One transaction, on the disk when this returns. With no entries: tries whether it works.

        Raises `LogFault`, `LogUnusable`: then none of the entries is in the log.
        """
        try:
            with faults_of(self._path):
                if self._connection is None:
                    self._connection = connect(self._path, busy_timeout_ms=self._busy_ms)
                self._commit(self._connection, entries)
        except BaseException:
            self.close()
            raise

    def _commit(self, connection: sqlite3.Connection, entries: Sequence[_Entry]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        if not entries:
            connection.execute(_PROBE)
        last = connection.execute(_LAST).fetchone()
        self._received_at = max(self._received_at, self._clock(), last[0] if last else 0)
        now = self._received_at
        for lot in self._lots(entries):
            values = [value for entry in lot for value in (now, entry.session_id, entry.value)]
            connection.execute(self._inserts[len(lot)], values)
        connection.execute("COMMIT")

    def _lots(self, entries: Sequence[_Entry]) -> Iterator[Sequence[_Entry]]:
        begin = 0
        for size in self._inserts:
            while len(entries) - begin >= size:
                yield entries[begin : begin + size]
                begin += size

    def close(self) -> None:
        """Rolls back what is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
