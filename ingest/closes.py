"""Which sessions are closed, as far as this collector has learned: what 410 rests on.

Beside the record's way: the processor publishes closes, `ClosesFollower` reads them, `app` asks
`KnownCloses`. A courtesy to clients, so it may be incomplete: what is not known here is accepted,
and the processor decides. Imports `models` and the log's file only.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import structlog

from ingest.log_file import LogFault, LogUnusable, connect, faults_of

CLOSES_MAX: Final = 500_000
READY_AFTER_S: Final = 10.0
_POLL_INTERVAL_S: Final = 0.5
_READ_MAX: Final = 5_000
_RETRY_INTERVAL_S: Final = 2.0
# The random part of a session id: 8 of its 10 bytes tell sessions apart well enough.
_KEY_PART: Final = slice(12, 28)

_NEWEST: Final = "SELECT coalesce(max(position), 0) FROM closes"
_READ: Final = (
    "SELECT position, session_id, closed_at FROM closes WHERE position > ? "
    "ORDER BY position LIMIT ?"
)

_log = structlog.get_logger(__name__)


class ClosesAway(Exception):
    """The closes cannot be read now; they may be later. `reason` is one line."""

    def __init__(self, log: str, reason: str) -> None:
        super().__init__(log, reason)
        self.log = log
        self.reason = reason

    def __str__(self) -> str:
        return f"log {self.log}: {self.reason}"


class Close(NamedTuple):
    """A session closed at `closed_at` (ms); None takes an earlier close back."""

    session_id: str
    closed_at: int | None


class ClosesSource(Protocol):
    """Where closes come from. Called by one thread at a time.

    Raises `ClosesAway`, `LogFault`, `LogUnusable`.
    """

    def read(self, closes_max: int) -> Sequence[Close]:
        """The next closes, oldest first; none when all that there are have been read."""
        ...

    def close(self) -> None:
        """Lets go of files and connections."""
        ...


class EmbeddedCloses:
    """`ClosesSource` over the table `closes` of the embedded log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._position: int | None = None

    def read(self, closes_max: int) -> Sequence[Close]:
        try:
            with faults_of(self._path):
                return self._read(closes_max)
        except BaseException:
            self.close()
            raise

    def _read(self, closes_max: int) -> Sequence[Close]:
        if self._connection is None:
            self._connection = connect(self._path)
        if self._position is None:
            # Older ones would only be pushed out again.
            newest: int = self._connection.execute(_NEWEST).fetchone()[0]
            self._position = max(0, newest - CLOSES_MAX)
        rows = self._connection.execute(_READ, (self._position, closes_max)).fetchall()
        if rows:
            self._position = rows[-1][0]
        return [Close(session_id, closed_at) for _, session_id, closed_at in rows]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class KnownCloses:
    """The newest closes, at most `closes_max`, in 8-byte keys: some 60 MB when full."""

    def __init__(self, closes_max: int = CLOSES_MAX) -> None:
        self._closes_max = closes_max
        # Deleting one by one from the front of a dict gets slow: it is done in lots.
        self._lot = max(1, closes_max // 16)
        self._closed_at: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._closed_at)

    def learn(self, close: Close) -> None:
        """Takes in the newest close."""
        key = int(close.session_id[_KEY_PART], 16)
        known = self._closed_at
        known.pop(key, None)
        if close.closed_at is None:
            return
        if len(known) >= self._closes_max:
            for oldest in list(islice(known, self._lot)):
                del known[oldest]
        known[key] = close.closed_at

    def is_closed_before(self, session_id: str, ts: int) -> bool:
        """Whether the session is known to be closed, and was before `ts` (ms)."""
        closed_at = self._closed_at.get(int(session_id[_KEY_PART], 16))
        return closed_at is not None and ts > closed_at


class ClosesFollower:
    """Keeps `KnownCloses` up to date from a source, on the event loop."""

    def __init__(self, source: ClosesSource, known: KnownCloses) -> None:
        self._source = source
        self.known = known
        self._task: asyncio.Task[None] | None = None
        self._ready_timer: asyncio.TimerHandle | None = None
        self._stopping = asyncio.Event()
        self.is_ready = False

    def start(self) -> None:
        """Begins to read; `is_ready` holds once all was read, or after 10 s without that."""
        loop = asyncio.get_running_loop()
        self._ready_timer = loop.call_later(READY_AFTER_S, self._be_ready)
        self._task = loop.create_task(self._follow())
        self._task.add_done_callback(_tell_defect)

    async def stop(self) -> None:
        """Ends the reading, after the read that is under way."""
        self._stopping.set()
        if self._ready_timer is not None:
            self._ready_timer.cancel()
        if self._task is not None:
            await asyncio.wait((self._task,))
        await asyncio.to_thread(self._source.close)

    async def _follow(self) -> None:
        is_away = False
        while not self._stopping.is_set():
            try:
                closes = await asyncio.to_thread(self._source.read, _READ_MAX)
            except (ClosesAway, LogFault, LogUnusable) as fault:
                if not is_away:
                    _log.warning("closes_unreadable", reason=str(fault))
                is_away = True
                await self._pause(_RETRY_INTERVAL_S)
                continue
            if is_away:
                _log.info("closes_readable")
            is_away = False
            self._learn(closes)
            if len(closes) < _READ_MAX:
                self._be_ready()
                await self._pause(_POLL_INTERVAL_S)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _learn(self, closes: Sequence[Close]) -> None:
        for close in closes:
            try:
                self.known.learn(close)
            except ValueError:
                continue  # an id that no collector made: no client of ours can ask for it

    def _be_ready(self) -> None:
        self.is_ready = True


def _tell_defect(task: asyncio.Task[None]) -> None:
    """What ended the reading before it was asked to; 410 is a courtesy, so all else goes on."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("closes_defect", exc_info=error)
