"""What has been given to a log and not been answered for: bounded, and each with a deadline.

On the record's way: inside a publisher, between `publish` and the log. A record that was given up
keeps its place here until the log has answered for it, so that a log that hangs cannot fill the
memory. Imports its neighbours only.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from ingest.publisher import PublishError

RETRY_AFTER_S: Final = 2
OVERHEAD_BYTES: Final = 500
"""What a record in flight holds besides its value: key, future, task, connection's share."""


class InFlight:
    """Records in flight, on one event loop. `late` is called when one has waited too long."""

    def __init__(
        self, records_max: int, bytes_max: int, deadline_s: float, late: Callable[[], str]
    ) -> None:
        self.records = 0
        self.bytes = 0
        self._records_max = records_max
        self._bytes_max = bytes_max
        self._deadline_s = deadline_s
        self._late = late
        self._loop = asyncio.get_running_loop()
        self._deadlines: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._taken_at: dict[asyncio.Future[None], float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    def take(self, value: bytes) -> tuple[int, asyncio.Future[None]]:
        """A place for a record: its size, to be given back, and the answer to wait for.

        Errors: `PublishError` when there is no room.
        """
        size = len(value) + OVERHEAD_BYTES
        if self.records >= self._records_max or self.bytes + size > self._bytes_max:
            raise PublishError("log_busy", "too much is on its way to the log", RETRY_AFTER_S)
        self.records += 1
        self.bytes += size
        self._empty.clear()
        answer, now = self._loop.create_future(), self._loop.time()
        self._taken_at[answer] = now
        self._deadlines.append((now + self._deadline_s, answer))
        if self._timer is None:
            self._timer = self._loop.call_later(self._deadline_s, self._expire)
        return size, answer

    def give_back(
        self, size: int, answer: asyncio.Future[None], error: PublishError | None
    ) -> None:
        """The log has answered for a record, or never got it."""
        del self._taken_at[answer]
        self.records -= 1
        self.bytes -= size
        if not self.records:
            self._empty.set()
        if not answer.done():
            if error is None:
                answer.set_result(None)
            else:
                answer.set_exception(error)
        deadlines = self._deadlines
        while deadlines and deadlines[0][1].done():
            deadlines.popleft()

    def oldest_s(self) -> float:
        """How long the log has not answered for the record that has been here longest."""
        taken_at = next(iter(self._taken_at.values()), None)
        return 0.0 if taken_at is None else self._loop.time() - taken_at

    def _expire(self) -> None:
        """Gives up on what has waited too long: 503 to the client, but its place stays taken."""
        now = self._loop.time()
        deadlines = self._deadlines
        while deadlines and (deadlines[0][0] <= now or deadlines[0][1].done()):
            _, answer = deadlines.popleft()
            if not answer.done():
                answer.set_exception(PublishError("log_timeout", self._late(), RETRY_AFTER_S))
        self._timer = self._loop.call_at(deadlines[0][0], self._expire) if deadlines else None

    async def until_empty(self, timeout_s: float) -> None:
        """Returns when nothing is in flight, or after `timeout_s`."""
        try:
            await asyncio.wait_for(self._empty.wait(), timeout_s)
        except TimeoutError:
            return

    def close(self) -> None:
        """No record expires any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
