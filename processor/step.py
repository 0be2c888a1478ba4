"""One step of every loop that reads a log: live, rebuild, batch job and simulator run this.

Part of the pure core. Their I/O differs, this does not: log records in, decoded; folded into the
states they belong to; out come the ids of the sessions that changed, dead letters and the offset
to go on from. A caller puts the states of known sessions into the mapping first; an id that is
not in it is a new session.
"""

from collections.abc import Iterable, MutableMapping, Sequence
from operator import attrgetter, itemgetter
from typing import Final, NamedTuple

from models.avro import BARE_START, UndecodableRecord, decode
from models.bare import read_bare
from models.limits import REORDER_WINDOW_MS
from models.policy import Policy
from models.records import LogRecord, Record
from processor.findings import AFTER_CLOSE, LOG_GAP, find
from processor.quiet import pass_quietly, write_back, written_back
from processor.session import arrive, end_of_list, limit_at
from processor.session import tick as tick_session
from processor.state import SessionState
from processor.things import NEVER, Closing

_SLICE: Final = 64
"""Sessions whose quiet rows lie in the processor's cache together."""
_QUIET: Final = attrgetter("quiet")
_new: Final = tuple.__new__  # what a NamedTuple does, without its Python frame


class DeadLetter(NamedTuple):
    """A record that cannot be folded: its place, the log's time of it (ms), why, and its bytes."""

    partition: int
    offset: int
    received_at: int
    reason: str
    key: bytes
    value: bytes


class PlacedRecord(NamedTuple):
    """A decoded record and its place in the log."""

    partition: int
    offset: int
    record: Record


class Decoded(NamedTuple):
    """What a batch of log records held, in log order."""

    records: list[PlacedRecord]
    dead_letters: list[DeadLetter]
    next_offsets: dict[int, int]

    @property
    def session_ids(self) -> set[str]:
        """Ids of all sessions in the batch."""
        return {placed.record.session_id for placed in self.records}


class Changes(NamedTuple):
    """What folding some records did: the ids of the sessions that changed, and how many of the
    events were late or repeats."""

    session_ids: set[str]
    late_event_count: int
    duplicate_event_count: int


class AfterClose(NamedTuple):
    """What a closed session's row still takes: absolute figures of its after-close events."""

    session_id: str
    events_after_close_count: int
    first_ts: int
    detail: str
    last_offset: int


def decode_records(log_records: Sequence[LogRecord]) -> Decoded:
    """Decodes a batch; what breaks the contract becomes a dead letter with its bytes."""
    records: list[PlacedRecord] = []
    dead_letters: list[DeadLetter] = []
    next_offsets: dict[int, int] = {}
    for log_record in log_records:
        partition, offset, received_at, key, value = log_record
        bare = read_bare(BARE_START, received_at, key, value)
        if bare is not None:
            record = _new(Record, (key.decode(), False, (bare,)))
            records.append(_new(PlacedRecord, (partition, offset, record)))
        else:
            found = decode_any(log_record)
            if isinstance(found, DeadLetter):
                dead_letters.append(found)
            else:
                records.append(found)
        next_offsets[partition] = offset + 1
    return Decoded(records, dead_letters, next_offsets)


def decode_any(log_record: LogRecord) -> PlacedRecord | DeadLetter:
    """Decodes a record of any shape."""
    partition, offset, received_at, key, value = log_record
    try:
        return PlacedRecord(partition, offset, decode(log_record))
    except UndecodableRecord as error:
        return DeadLetter(partition, offset, received_at, error.reason, key, value)


def fold_records(
    states: MutableMapping[str, SessionState], records: Sequence[PlacedRecord], policy: Policy
) -> set[str]:
    """Folds records, in log order, into `states` in place. Returns the ids that changed."""
    return fold_counting(states, records, policy).session_ids


def fold_counting(
    states: MutableMapping[str, SessionState], records: Sequence[PlacedRecord], policy: Policy
) -> Changes:
    """As `fold_records`, and counts."""
    changed: set[str] = set()
    late = duplicate = 0
    for begin in range(0, len(records), _SLICE):
        some = records[begin : begin + _SLICE]
        ids = [record[0] for _, _, record in some]
        changed.update(ids)
        _fetch(states, ids)
        for partition, offset, record in some:
            session_id, offline, events = record
            state = states.get(session_id)
            if state is None:
                state = states[session_id] = new_state(partition, offset, record)
            for event in events:
                if offline or not pass_quietly(state, event, offset, policy):
                    late -= state.late_count
                    duplicate -= state.duplicate_count
                    arrive(state, event, policy)
                    late += state.late_count
                    duplicate += state.duplicate_count
            if offline:
                end_of_list(state, policy)
            if state.quiet is None:
                state.last_offset = offset
    return Changes(changed, late, duplicate)


def new_state(partition: int, offset: int, record: Record) -> SessionState:
    """The state of a session whose first record this is, before its events."""
    session_id, offline, events = record
    state = SessionState(session_id, events[0].received_at, offline=offline)
    state.partition, state.first_offset = partition, offset
    return state


def _fetch(states: MutableMapping[str, SessionState], ids: Sequence[str]) -> None:
    """Touches what folding records of these sessions will read. It then waits for the memory of
    many sessions at once, and not of one after the other: the less is done between two, the more
    of them. So `itemgetter`, which asks for all of the ids in one go."""
    if len(ids) < 2:
        return
    try:
        known: Iterable[SessionState] = itemgetter(*ids)(states)
    except KeyError:  # a new session is among them
        known = filter(None, map(states.get, ids))
    b"".join(filter(None, map(_QUIET, known)))


def tick(
    states: MutableMapping[str, SessionState], due: Iterable[str], now: int, policy: Policy
) -> set[str]:
    """Ticks the sessions in `due` at arrival time `now`. Returns the ids it closed for good."""
    closed = set()
    for session_id in due:
        state = states[session_id]
        if not state.is_closed():
            tick_session(state, now, policy)
            if state.is_closed():
                closed.add(session_id)
    return closed


def due_at(state: SessionState, policy: Policy, *, is_closed: bool) -> int:
    """The first arrival time at which a tick may change what the session's rows say or close it
    for good. `is_closed`: its summary says closed, because of an event that waits.

    Applying what waits changes no row, so a tick may leave that to the session's next event. But a
    close is for good as soon as it has waited its time, whatever came after it.
    """
    waiting = written_back(state).waiting if is_closed else ()
    if waiting:
        return min(event.received_at for event in waiting) + REORDER_WINDOW_MS + 1
    return limit_at(state, policy) + 1


def note_gap(
    states: Iterable[SessionState], partition: int, first_offset: int, last_offset: int
) -> None:
    """Events of these sessions may be gone: the log lost records before they were folded."""
    detail = f"records {first_offset} to {last_offset} of partition {partition} are gone"
    for state in states:
        write_back(state)
        known_ts = state.arrival_clock if state.clock == NEVER else state.clock
        find(state, LOG_GAP, known_ts, detail)


def closed_marker(
    session_id: str, partition: int, events_after_close_count: int, first_ts: int, detail: str
) -> SessionState:
    """Stands for a session that is closed for good and in SQL: it only counts what still comes."""
    state = SessionState(session_id, 0)
    state.partition = partition
    state.first_offset = 0
    state.closing = Closing("session_end", 0, 0, "before_start")
    state.closing.after_close_count = events_after_close_count
    if events_after_close_count:
        state.findings = {AFTER_CLOSE: (events_after_close_count, first_ts, detail)}
    return state


def after_close(state: SessionState) -> AfterClose:
    """The after-close figures of a `closed_marker` that events were folded into."""
    count, first_ts, detail = (state.findings or {}).get(AFTER_CLOSE, (0, 0, ""))
    return AfterClose(state.session_id, count, first_ts, detail, state.last_offset)
