"""A partition's memory by itself: ticks that never run back, and those ahead of a checkpoint."""

from models.policy import DEFAULT_POLICY
from models.records import Record
from processor.claim import Claim, Rules
from processor.memory import PartitionMemory
from processor.projection import LiveSession, Restored
from processor.snapshot import dump
from processor.state import SessionState
from processor.step import PlacedRecord, fold_records
from processor.summarize import settle, summarize
from tests.processor_shell.world import event, session_id

MINUTE_MS = 60_000


def memory_of(numbers: range, tick: int | None) -> PartitionMemory:
    """Sessions that play since their number of seconds, as a restart finds them."""
    states: dict[str, SessionState] = {}
    for n in numbers:
        record = Record(session_id(n), False, (event("play", n),))
        fold_records(states, [PlacedRecord(0, n, record)], DEFAULT_POLICY)
    live = []
    for session, state in states.items():
        settle(state, summarize(state))
        live.append(LiveSession(session, dump(state), due_of(session)))
    restored = Restored(Rules(DEFAULT_POLICY, True), 1, tick, live)
    return PartitionMemory(Claim(0, "me", 1), restored)


def due_of(session: str) -> int:
    return event("play", int(session, 16)).received_at + 10 * MINUTE_MS + 1


def test_a_tick_comes_only_as_far_as_it_looked() -> None:
    memory = memory_of(range(3), None)
    until = due_of(session_id(2)) + 5
    reached = []
    while not memory.tick_to(until, 1):
        reached.append(memory.tick)
        memory.written(memory.claim, memory.batch())
    assert reached == [due_of(session_id(n)) for n in (0, 1)]
    assert memory.tick == until


def test_a_tick_never_runs_back() -> None:
    """Also with sessions that should have been due long ago."""
    before = due_of(session_id(9))
    memory = memory_of(range(2), before)
    assert memory.tick_to(before - 1, 1)
    assert memory.tick == before
    assert not memory.tick_to(before + 100, 1)
    assert memory.tick == before
    assert memory.tick_to(before + 100, 1)
    assert memory.tick == before + 100
    closed = [write.summary.figures.close_reason for write in memory.batch().sessions]
    assert closed == ["inactive"] * 2


def test_a_tick_ahead_closes_what_is_over_in_the_checkpoint_to_come() -> None:
    """Sessions that played on and sessions of which nothing came; then nothing is left to tick."""
    memory = memory_of(range(4), None)
    for n in (0, 3):
        memory.fold([PlacedRecord(0, 9, Record(session_id(n), False, (event("ping", n + 1),)))])
    until = due_of(session_id(2))  # before 3 is due, and late enough for 0
    memory.tick_ahead(until, 10)
    batch = memory.batch()
    closed = {write.summary.session_id for write in batch.sessions if write.summary.final}
    assert closed == {session_id(n) for n in (0, 1, 2)}
    memory.written(memory.claim, batch)
    assert memory.tick_to(until, 10)
    assert not memory.is_dirty
    assert memory.tick_to(due_of(session_id(4)), 10)
    assert [write.summary.session_id for write in memory.batch().sessions] == [session_id(3)]


def test_sessions_that_are_not_touched_count_as_live() -> None:
    memory = memory_of(range(3), None)
    assert memory.live_count == 3
    assert memory.unknown([session_id(1), session_id(7)]) == [session_id(7)]
    assert not memory.is_dirty
