"""When a tick has to look at which session.

Beside the record's way: the live loop asks it when it has caught up. Imports nothing of the
project; no clock of its own.
"""

import heapq
from collections.abc import Callable


class DueTimes:
    """Due times of many sessions. They move with every event, so the heap is mended only when an
    entry comes up: `current` then says when the session is really due, None if it is no more."""

    def __init__(self, current: Callable[[str], int | None]) -> None:
        self._current = current
        self._heap: list[tuple[int, str]] = []
        self._queued: dict[str, int] = {}

    def set(self, session_id: str, due_at: int) -> None:
        """The session is due at `due_at`, whatever was said before."""
        queued = self._queued.get(session_id)
        if queued is None or due_at < queued:
            self._queued[session_id] = due_at
            heapq.heappush(self._heap, (due_at, session_id))

    def take(self, until: int, sessions_max: int) -> tuple[list[str], int]:
        """The sessions due at `until`, and `until`; or, of more than `sessions_max`, the first,
        and the time up to which they are all.

        The caller sets those anew that stay.
        """
        taken: list[str] = []
        last = until
        heap = self._heap
        while heap and heap[0][0] <= until:
            if len(taken) >= sessions_max and heap[0][0] > last:
                return taken, last
            due_at, session_id = heapq.heappop(heap)
            if self._queued.get(session_id) != due_at:
                continue  # an earlier entry stood for it
            del self._queued[session_id]
            current = self._current(session_id)
            if current is None:
                continue
            if current > due_at:
                self.set(session_id, current)
                continue
            taken.append(session_id)
            last = due_at
        return taken, until
