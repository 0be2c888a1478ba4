"""A stretch of one partition's log with its records by session, and the fold of it.

Part of the pure core. What a rebuild folds, and a processor that catches up: sessions know nothing
of each other, so each may take all of its records at once, and its quiet pings in a row. The rows
are those of `step.fold_records` over the same records in log order; a test holds it to that.
"""

from collections import defaultdict
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Final, NamedTuple

from models.archived_bare import PING
from models.avro import BARE_START
from models.bare import read_bare
from models.policy import Policy
from models.records import Event, LogRecord, Record
from processor.quiet import pass_row
from processor.session import arrive, end_of_list
from processor.state import SessionState
from processor.step import DeadLetter, PlacedRecord, decode_any, new_state

Item = bytes | PlacedRecord
"""A record: a bare ping as a `PING`, or any other one."""

_BARE: Final = (None, None, None, None)
_pack: Final = PING.pack


class Folded(NamedTuple):
    """What folding some records did: events, and how many of them were late or repeats."""

    event_count: int
    late_event_count: int
    duplicate_event_count: int


class Stretch(NamedTuple):
    """Records of one partition by session id, in log order within each.

    `received_at`: the last arrival in it (ms), 0 if it has no record.
    """

    sessions: Mapping[str, Sequence[Item]]
    dead_letters: list[DeadLetter]
    next_offset: int
    received_at: int = 0

    def of(self, wanted: frozenset[str]) -> "Stretch":
        """That of these sessions alone."""
        sessions = {i: items for i, items in self.sessions.items() if i in wanted}
        return self._replace(sessions=sessions)

    def below(self, end: int) -> "Stretch":
        """Without what lies at the offset `end` or above."""
        if self.next_offset <= end:
            return self
        some = {
            session_id: [item for item in items if offset_of(item) < end]
            for session_id, items in self.sessions.items()
        }
        sessions = {session_id: items for session_id, items in some.items() if items}
        letters = [letter for letter in self.dead_letters if letter.offset < end]
        received_at = max((arrived_at(items[-1]) for items in sessions.values()), default=0)
        return Stretch(sessions, letters, end, received_at)


def offset_of(item: Item) -> int:
    """Where it lies in the log."""
    if not isinstance(item, bytes):
        return item.offset
    offset: int = PING.unpack(item)[3]
    return offset


def arrived_at(item: Item) -> int:
    """The log's own time of it, ms."""
    if not isinstance(item, bytes):
        return item.record.events[-1].received_at
    received_at: int = PING.unpack(item)[2]
    return received_at


def placed(partition: int, session_id: str, item: Item) -> PlacedRecord:
    """The item as a record."""
    if isinstance(item, PlacedRecord):
        return item
    ts, playhead_ms, received_at, offset = PING.unpack(item)
    event = Event("ping", ts, playhead_ms, received_at=received_at)
    return PlacedRecord(partition, offset, Record(session_id, False, (event,)))


def stretch_of(log_records: Sequence[LogRecord], next_offset: int) -> Stretch:
    """Decodes records of one partition, as `step.decode_records` does. What lies below
    `next_offset` and is none of them is for no reader."""
    sessions: defaultdict[bytes, list[Item]] = defaultdict(list)
    letters: list[DeadLetter] = []
    last = 0
    for log_record in log_records:
        partition, offset, received_at, key, value = log_record
        bare = read_bare(BARE_START, received_at, key, value)
        if bare is None:
            found = decode_any(log_record)
            if isinstance(found, DeadLetter):
                letters.append(found)
                continue
            item = _item(found)
        elif bare[0] == "ping":
            item = _pack(bare[1], bare[2], received_at, offset)
        else:
            item = PlacedRecord(partition, offset, Record(key.decode(), False, (bare,)))
        sessions[key].append(item)
        last = received_at
    by_id = {key.decode(): items for key, items in sessions.items()}
    return Stretch(by_id, letters, next_offset, last)


def _item(placed: PlacedRecord) -> Item:
    """A bare ping may be of a shape that only the library reads: a producer's own session id."""
    _, offset, (_, offline, events) = placed
    kind, ts, playhead_ms, *details, received_at = events[0]
    if kind != "ping" or offline or len(events) > 1 or tuple(details) != _BARE:
        return placed
    return _pack(ts, playhead_ms, received_at, offset)


def fold_sessions(
    states: MutableMapping[str, SessionState],
    partition: int,
    sessions: Mapping[str, Sequence[Item]],
    policy: Policy,
) -> Folded:
    """Folds each session's records into its state, in place."""
    event_count = late = duplicate = 0
    for session_id, items in sessions.items():
        state = states.get(session_id)
        if state is not None:
            late -= state.late_count
            duplicate -= state.duplicate_count
        event_count += len(items)
        begin = 0
        for place, item in enumerate(items):
            if isinstance(item, bytes):
                continue
            if begin < place:
                _fold_pings(states, partition, session_id, items[begin:place], policy)
            _fold_record(states, item, policy)
            event_count += len(item.record.events) - 1
            begin = place + 1
        if begin < len(items):
            _fold_pings(states, partition, session_id, items[begin:], policy)
        state = states[session_id]
        late += state.late_count
        duplicate += state.duplicate_count
    return Folded(event_count, late, duplicate)


def _fold_record(
    states: MutableMapping[str, SessionState], record: PlacedRecord, policy: Policy
) -> None:
    partition, offset, (session_id, offline, events) = record
    state = states.get(session_id)
    if state is None:
        state = states[session_id] = new_state(partition, offset, record.record)
    for event in events:
        arrive(state, event, policy)
    if offline:
        end_of_list(state, policy)
    state.last_offset = offset


def _fold_pings(
    states: MutableMapping[str, SessionState],
    partition: int,
    session_id: str,
    pings: Sequence[Any],
    policy: Policy,
) -> None:
    """What `fold_records` does with them. `pings`: all of them `PING`s, and one or more."""
    state = states.get(session_id)
    if state is None:  # its start came in no record of this log
        _fold_record(states, placed(partition, session_id, pings[0]), policy)
        state, pings = states[session_id], pings[1:]
    row = b"".join(pings)
    at = 0
    while at < len(row):
        passed = pass_row(state, row, at, policy)
        if passed == at:
            ts, playhead_ms, received_at, offset = PING.unpack_from(row, at)
            arrive(state, Event("ping", ts, playhead_ms, received_at=received_at), policy)
            state.last_offset = offset
            passed += PING.size
        at = passed
