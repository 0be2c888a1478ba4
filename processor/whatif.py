"""How totals would move under other rules, without a database: every record folded under both.

Part of the pure core. Sessions leave the memory once they are closed, so that only live ones are
held. Used by `bookended whatif`, over an archive.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from models.limits import EXPIRED_MS, TICK_DELAY_MS
from models.policy import Policy
from models.records import Record
from models.rows import SUMMED
from processor.due_times import DueTimes
from processor.findings import AFTER_CLOSE
from processor.state import SessionState
from processor.step import PlacedRecord, due_at, fold_records, tick
from processor.summarize import summarize

CLOSED_KEPT_MS: Final = 2 * EXPIRED_MS
"""Arrival time for which a closed session is remembered: what still comes of it opens no other."""


class _Closed(NamedTuple):
    """A session that is counted already. `closed_at`: arrival time, ms; `is_found`: whether it has
    the finding `event_after_close`."""

    closed_at: int
    is_found: bool


class Totals:
    """Sums over all sessions under one policy. Feed it batches in log order, then `finish`."""

    def __init__(self, policy: Policy) -> None:
        self.sessions = 0
        self.sums = dict.fromkeys(SUMMED, 0)
        self._policy = policy
        self._states: dict[str, SessionState] = {}
        self._due = DueTimes(self._due_at)
        self._closed: dict[str, _Closed] = {}
        self._closed_in_order: deque[str] = deque()

    def take(self, records: Sequence[PlacedRecord]) -> None:
        """Folds records of one partition; those of closed sessions only count as after close."""
        fresh = []
        for placed in records:
            if placed.record.session_id in self._closed:
                self._count_after_close(placed.record)
            else:
                fresh.append(placed)
        if not fresh:
            return
        changed = fold_records(self._states, fresh, self._policy)
        for session_id in changed:
            self._due.set(session_id, self._due_at(session_id) or 0)
        now = fresh[-1].record.events[-1].received_at
        ids, _ = self._due.take(now - TICK_DELAY_MS, len(self._states))
        ticked = tick(self._states, ids, now - TICK_DELAY_MS, self._policy)
        for session_id in changed | ticked:
            if self._states[session_id].is_closed():
                state = self._states.pop(session_id)
                self._add(state)
                self._closed[session_id] = _Closed(now, AFTER_CLOSE in (state.findings or {}))
                self._closed_in_order.append(session_id)
        for session_id in set(ids) - ticked:
            if session_id in self._states:
                self._due.set(session_id, self._due_at(session_id) or 0)
        self._forget_closed(now - CLOSED_KEPT_MS)

    def finish(self, until: int | None) -> None:
        """Counts what is still live, after a tick at `until` (ms)."""
        if until is not None:
            tick(self._states, list(self._states), until, self._policy)
        for state in self._states.values():
            self._add(state)
        self._states.clear()

    def _due_at(self, session_id: str) -> int | None:
        state = self._states.get(session_id)
        return None if state is None else due_at(state, self._policy, is_closed=state.is_closed())

    def _add(self, state: SessionState) -> None:
        figures = summarize(state, self._policy).figures
        self.sessions += 1
        for name in SUMMED:
            self.sums[name] += getattr(figures, name)

    def _count_after_close(self, record: Record) -> None:
        closed = self._closed[record.session_id]
        self.sums["events_after_close_count"] += len(record.events)
        self.sums["finding_count"] += not closed.is_found
        self._closed[record.session_id] = closed._replace(is_found=True)

    def _forget_closed(self, before: int) -> None:
        order = self._closed_in_order
        while order and self._closed[order[0]].closed_at < before:
            del self._closed[order.popleft()]


def compare_policies(
    batches: Iterable[Sequence[PlacedRecord]], policies: Sequence[Policy], until: int | None
) -> list[Totals]:
    """The totals of one partition under each policy."""
    totals = [Totals(policy) for policy in policies]
    for records in batches:
        for one in totals:
            one.take(records)
    for one in totals:
        one.finish(until)
    return totals
