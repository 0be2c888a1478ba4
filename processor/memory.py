"""What a processor remembers of one partition between checkpoints.

On the record's way: decoded records come in, are folded into the states of their sessions, and go
out as the batch of a checkpoint. No I/O: `runner` feeds it and writes what it gives. Imports
`models` and the core.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from models.policy import Policy
from processor.by_session import Folded, Item, fold_sessions
from processor.claim import Claim
from processor.due_times import DueTimes
from processor.forgetting import scrubbed
from processor.projection import ClosedSession, Restored
from processor.quiet import offset_of
from processor.snapshot import dump, load
from processor.source import Close
from processor.sql_rows import AfterCloseWrite, Gap, PartitionBatch, SessionWrite
from processor.state import SessionState
from processor.step import (
    DeadLetter,
    PlacedRecord,
    after_close,
    closed_marker,
    due_at,
    fold_counting,
    note_gap,
    tick,
)
from processor.summarize import settle, summarize
from processor.things import NEVER

JUDGED_RECORDS: Final = 1_000
"""Records over which the share of bad ones is taken."""


class BadPartitionError(Exception):
    """Most of the latest records of a partition break the contract: something writes to the log
    that should not, and going on would turn all of it into dead letters."""

    def __init__(self, bad: int, judged: int, last: DeadLetter) -> None:
        super().__init__(bad, judged, last)
        self.bad = bad
        self.judged = judged
        self.last = last

    def __str__(self) -> str:
        return (
            f"{self.bad} of the latest {self.judged} records of partition {self.last.partition} "
            f"break the contract, the last at offset {self.last.offset} ({self.last.reason}); "
            "stop what writes them, then start the processor again, once with "
            "--accept-bad-records if there are more of them ahead"
        )


class PartitionMemory:
    """States of a partition's live sessions, what changed since the last checkpoint, and when
    which session is due. States that a restart found are decoded when they are first touched.

    `accepts_bad_records`: never a `BadPartitionError`.
    """

    def __init__(
        self, claim: Claim, restored: Restored, *, accepts_bad_records: bool = False
    ) -> None:
        self.claim = claim
        self._accepts_bad_records = accepts_bad_records
        self.next_offset = restored.next_offset
        self.tick = restored.tick
        self.events_since_checkpoint = 0
        self.dead_letter_bytes = 0
        self._rules = restored.rules
        self._forgotten = restored.forgotten
        self._states: dict[str, SessionState] = {}
        self._stored = {session.session_id: session.state for session in restored.live}
        self._closed: dict[str, ClosedSession] = {}
        self._changed: set[str] = set()
        self._dead_letters: list[DeadLetter] = []
        self._judged: deque[bool] = deque(maxlen=JUDGED_RECORDS)
        self._dirty = False
        self._gap: Gap | None = None
        self._due = DueTimes(self._due_at)
        for session in restored.live:
            self._due.set(session.session_id, session.due_at)

    @property
    def is_dirty(self) -> bool:
        """Whether a checkpoint has anything to write."""
        return self._dirty

    @property
    def live_count(self) -> int:
        """Sessions in memory that are not closed for good (or not yet written as such)."""
        return len(self._states) + len(self._stored) - len(self._closed)

    def unknown(self, session_ids: Iterable[str]) -> list[str]:
        """Those of the ids that memory does not hold: new sessions, or closed ones in SQL."""
        return list(set(session_ids).difference(self._states).difference(self._stored))

    def admit(self, closed: Iterable[ClosedSession]) -> None:
        """Takes in what SQL says of unknown ids, before their records are folded."""
        for session in closed:
            self._closed[session.session_id] = session
            self._states[session.session_id] = closed_marker(
                session.session_id,
                self.claim.partition,
                session.events_after_close_count,
                session.first_ts or 0,
                session.detail or "",
            )

    def fold(self, records: Sequence[PlacedRecord]) -> Folded:
        """Folds records of this partition, in log order."""
        if self._stored:
            for session_id in {record.session_id for _, _, record in records}:
                self._wake(session_id)
        changes = fold_counting(self._states, records, self._rules.policy)
        self._changed |= changes.session_ids
        event_count = sum([len(record.events) for _, _, record in records])
        self.events_since_checkpoint += event_count
        return Folded(event_count, changes.late_event_count, changes.duplicate_event_count)

    def fold_sessions(self, sessions: Mapping[str, Sequence[Item]]) -> Folded:
        """Folds records of this partition that lie together by session."""
        if self._stored:
            for session_id in sessions:
                self._wake(session_id)
        self._changed.update(sessions)
        partition, policy = self.claim.partition, self._rules.policy
        folded = fold_sessions(self._states, partition, sessions, policy)
        self.events_since_checkpoint += folded.event_count
        return folded

    def moved(self, next_offset: int, records: int, dead_letters: Sequence[DeadLetter]) -> None:
        """All up to `next_offset` is folded or a dead letter. Errors: `BadPartitionError`."""
        self.next_offset = next_offset
        self._dirty = True
        self._dead_letters += dead_letters
        self.dead_letter_bytes += sum(len(letter.value) for letter in dead_letters)
        self._judged.extend([False] * records)
        self._judged.extend([True] * len(dead_letters))
        bad = sum(self._judged) if dead_letters and not self._accepts_bad_records else 0
        if len(self._judged) == JUDGED_RECORDS and 2 * bad > JUDGED_RECORDS:
            raise BadPartitionError(bad, JUDGED_RECORDS, dead_letters[-1])

    def move_on(self, next_offset: int) -> None:
        """Nothing more comes below this offset: what lies there is for no reader. Written down
        too, since the log's start may move past it."""
        if next_offset > self.next_offset:
            self.next_offset = next_offset
            self._dirty = True

    def accept_gap(self, start_offset: int, now_ms: int) -> Gap:
        """Goes on at `start_offset`. Every live session may have lost events: it gets a finding,
        in the checkpoint that writes down the gap. Nothing may have changed since the last one."""
        ids = [*self._stored, *self._states]
        gap = Gap(self.next_offset, start_offset - 1, len(ids), self.tick, now_ms)
        for session_id in ids:
            self._wake(session_id)
        states = (self._states[session_id] for session_id in ids)
        note_gap(states, self.claim.partition, gap.first_offset, gap.last_offset)
        self._changed.update(ids)
        self._gap = gap
        self.move_on(start_offset)
        return gap

    def tick_to(self, until: int, sessions_max: int) -> bool:
        """Ticks what is due at `until`, at most about `sessions_max` sessions; False if there are
        more: then it has ticked with an earlier T, and is to be called again after a checkpoint.

        T never runs back, as arrival time does not. Nothing may have changed since the last
        checkpoint: only then does memory know when which session is due.
        """
        if self.tick is not None and until <= self.tick:
            return True
        ids, reached = self._due.take(until, sessions_max)
        reached = max(reached, self.tick or 0)
        self._tick_due(ids, reached)
        self.tick = reached
        return reached == until

    def tick_ahead(self, until: int, sessions_max: int) -> None:
        """Ticks before a checkpoint what is over by now, so that it is written once, as closed for
        good: all that changed since the last one, and of the others about `sessions_max`. What is
        due besides is left to `tick_to`, behind the checkpoint."""
        states, policy = self._states, self._rules.policy
        over = [i for i in self._changed if _over_at(states[i], policy) <= until]
        tick(states, over, until, policy)
        ids, _ = self._due.take(until, sessions_max)
        self._tick_due([i for i in ids if i not in self._changed], until)

    def _tick_due(self, ids: Sequence[str], until: int) -> None:
        """Ticks sessions that did not change since the last checkpoint and are due."""
        for session_id in ids:
            self._wake(session_id)
        closed = tick(self._states, ids, until, self._rules.policy)
        for session_id in ids:
            if session_id not in closed:
                due = self._due_at(session_id)
                assert due is not None
                self._due.set(session_id, due)
        self._changed |= closed
        self._dirty = self._dirty or bool(closed)

    def batch(self) -> PartitionBatch:
        """All that changed, for one checkpoint. States are settled: if it is not written, all of
        this memory has to be forgotten."""
        closes: list[Close] = []
        sessions: list[SessionWrite] = []
        after_closes: list[AfterCloseWrite] = []
        for session_id in self._changed:
            if session_id in self._closed:
                after_closes.append(self._after_close(session_id))
            else:
                sessions.append(self._session(session_id, closes))
        return PartitionBatch(
            self.claim,
            self.next_offset,
            self.tick,
            sessions,
            after_closes,
            self._dead_letters,
            closes if self._rules.is_live else [],
            self._gap,
        )

    def written(self, claim: Claim, batch: PartitionBatch) -> None:
        """The batch is committed; `claim` is the one for the next."""
        self.claim = claim
        for write in batch.sessions:
            session_id = write.summary.session_id
            if write.summary.final:
                del self._states[session_id]
            else:
                self._due.set(session_id, write.due_at)
        for session_id in self._closed:
            del self._states[session_id]
        self._closed.clear()
        self._changed.clear()
        self._dead_letters = []
        self._gap = None
        self.events_since_checkpoint = 0
        self.dead_letter_bytes = 0
        self._dirty = False

    def _wake(self, session_id: str) -> None:
        data = self._stored.pop(session_id, None)
        if data is not None:
            self._states[session_id] = load(session_id, data)

    def _due_at(self, session_id: str) -> int | None:
        state = self._states.get(session_id)
        if state is None:
            return 0 if session_id in self._stored else None
        return due_at(state, self._rules.policy, is_closed=state.announced_close != NEVER)

    def _session(self, session_id: str, closes: list[Close]) -> SessionWrite:
        state = self._states[session_id]
        announced = state.announced_close
        summary = summarize(state, self._rules.policy)
        if session_id in self._forgotten:
            summary = scrubbed(summary)
        settle(state, summary)
        if state.announced_close != announced:
            closes.append(Close(session_id, summary.figures.closed_at))
        return SessionWrite(
            summary,
            state.partition,
            state.first_offset,
            offset_of(state),
            due_at(state, self._rules.policy, is_closed=summary.closed),
            b"" if summary.final else dump(state),
        )

    def _after_close(self, session_id: str) -> AfterCloseWrite:
        before = self._closed[session_id]
        is_new = before.events_after_close_count == 0
        return AfterCloseWrite(after_close(self._states[session_id]), before.finding_count + is_new)


def _over_at(state: SessionState, policy: Policy) -> int:
    """The first tick that closes it for good, by its end that waits or by a limit."""
    ends = any(event.type == "sessionEnd" for event in state.waiting)
    return due_at(state, policy, is_closed=ends)
