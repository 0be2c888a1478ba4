"""The short way of quiet pings: playing on, or paused, in order, as expected.

Part of the pure core. Nineteen of twenty events are pings of a session that goes on. A row of
them is kept packed in `SessionState.quiet`: where the last one applied stands, how far it may go
on like this, and those that wait. What they add to the figures follows from where the row began
and where it stands; `write_back` adds it once, before anything else looks at the state. So a ping
touches one small object where the rules would touch thirty: with 100,000 live sessions, fetching
these from memory is most of what an event costs (`tests/bench`).

It is a shortcut and no second set of rules: it takes an event only when every rule but those few
lines is without effect, and a test holds it to the long way.
"""

from itertools import islice
from struct import Struct
from typing import Final

from models.archived_bare import PING
from models.limits import (
    EVENTS_MAX,
    PING_GAP_MS,
    REMEMBERED_HASHES,
    REORDER_WINDOW_MS,
)
from models.policy import Policy
from models.records import Event
from processor.order import HASH_BYTES, HASHES_BYTES, LOW_32_BITS, PING_CODE
from processor.state import SessionState

_HEAD: Final = Struct(f"<6q{HASHES_BYTES}s")
"""Clock, playhead and event count; up to which arrival time, playhead and, where that stands still
(else 0), `ts` it may go on like this; hashes. Behind the head is what waits, each a `_PING`."""
_BARE: Final = (None, None, None, None)
_PING: Final = PING
"""`ts`, playhead, arrival time, offset in the log."""
_hash: Final = Struct("<II").pack
_ROW_BYTES_MAX: Final = 256 * _PING.size
_NEWER_HASHES: Final = HASHES_BYTES - HASH_BYTES
_read: Final = Struct(f"<6q{HASH_BYTES}x{_NEWER_HASHES}s4q").unpack_from
"""The head but for its oldest hash, and the first that waits."""
_write: Final = Struct(f"<6q{_NEWER_HASHES}sII4q").pack
_ONE_WAITS: Final = _HEAD.size + _PING.size
_WAITING_MAX: Final = 32
"""Beyond these the long way's one look at each is no slower."""
_QUIET_PLAYERS: Final = frozenset(("playing", "paused"))
_SIZE_MAX: Final = _HEAD.size + _WAITING_MAX * _PING.size
_EVENTS_BELOW: Final = EVENTS_MAX - _WAITING_MAX - 1


def pass_quietly(state: SessionState, event: Event, offset: int, policy: Policy) -> bool:
    """Lets a ping wait and applies those that are due by now, if all is as expected.

    False: the event has to take the long way. `offset`: of the event's record.
    """
    kind, ts, playhead_ms, params, qoe, custom, findings, received_at = event
    if (
        kind != "ping"
        or params is not None
        or qoe is not None
        or custom is not None
        or findings is not None
    ):
        return False
    quiet = state.quiet or _begin(state, policy)
    if quiet is None:
        return False
    clock, ms, count, until, ms_max, still_to, hashes, due_ts, due_ms, due_since, _ = _read(quiet)
    size = len(quiet)
    newest_ts, newest_since = due_ts, due_since
    if size > _ONE_WAITS:
        newest_ts, _, newest_since, _ = _PING.unpack_from(quiet, size - _PING.size)
    if (
        ts <= newest_ts
        or not newest_since < received_at <= until
        or received_at - newest_since > policy.inactive_ms
        or size >= _SIZE_MAX
        or count >= _EVENTS_BELOW
    ):
        return False
    if received_at - due_since <= REORDER_WINDOW_MS:
        state.quiet = quiet + _PING.pack(ts, playhead_ms, received_at, offset)
        return True
    dt, moved_ms = due_ts - clock, due_ms - ms
    if not 0 < dt <= PING_GAP_MS or due_ms > ms_max:
        return False
    if still_to:
        if moved_ms or due_ts > still_to:
            return False
    elif not 0 < 2 * moved_ms <= 3 * dt + 2000:
        return False
    low_ts, low_place = due_ts & LOW_32_BITS, due_ms * 32 + PING_CODE & LOW_32_BITS
    head = (due_ts, due_ms, count + 1, until, ms_max, still_to, hashes, low_ts, low_place)
    if size == _ONE_WAITS:
        state.quiet = _write(*head, ts, playhead_ms, received_at, offset)
        return True
    next_waiting = _PING.unpack_from(quiet, _ONE_WAITS)
    rest = _write(*head, *next_waiting) + quiet[_ONE_WAITS + _PING.size :]
    if received_at - next_waiting[2] > REORDER_WINDOW_MS:
        state.quiet = rest
        return pass_quietly(state, event, offset, policy)  # once for each that waits, at most
    state.quiet = rest + _PING.pack(ts, playhead_ms, received_at, offset)
    return True


def _begin(state: SessionState, policy: Policy) -> bytes | None:
    """Packs a state that may go on quietly: nothing but bare pings wait, within content that plays
    on, an ad of a break, or a pause. None: it may not."""
    waiting = state.waiting
    if (
        not waiting
        or state.player not in _QUIET_PLAYERS
        or state.closing is not None
        or state.clock_was_set_back
        or len(waiting) > _WAITING_MAX
    ):
        return None
    ts = received_at = -1
    for event in waiting:
        if event[0] != "ping" or event[3:7] != _BARE or event[1] <= ts or event[7] <= received_at:
            return None
        ts, received_at = event[1], event[7]
    if received_at != state.arrival_clock:
        return None
    still_to = state.moved_at + policy.idle_ms - 1
    if state.player == "paused":
        if state.span_activity != "pause":
            return None
    elif state.ad_break is not None:
        if state.ad is None or state.span_activity != "ad":
            return None
    elif (
        state.ad is not None
        or state.span_activity != "content"
        or state.played_to != state.playhead_ms
        or not state.content_started
    ):
        return None
    else:
        still_to = 0
    head = _HEAD.pack(
        state.clock,
        state.playhead_ms,
        state.event_count,
        state.first_arrival + policy.expired_ms,
        state.playhead_limit_ms,
        still_to,
        state.hashes.rjust(HASHES_BYTES, b"\0"),
    )
    pings = [_PING.pack(e[1], e[2], e[7], state.last_offset) for e in waiting]
    state.quiet = b"".join((head, *pings))
    state.waiting, state.hashes = (), b""
    return state.quiet


def arrived_at(state: SessionState) -> int:
    """The arrival clock, up to date."""
    return state.arrival_clock if state.quiet is None else _newest(state.quiet)[2]


def offset_of(state: SessionState) -> int:
    """The last offset in the log, up to date."""
    return state.last_offset if state.quiet is None else _newest(state.quiet)[3]


def _newest(quiet: bytes) -> tuple[int, int, int, int]:
    ts, playhead_ms, received_at, offset = _PING.unpack_from(quiet, len(quiet) - _PING.size)
    return ts, playhead_ms, received_at, offset


def written_back(state: SessionState) -> SessionState:
    """The state with all its fields up to date; one that goes on quietly stays as it is."""
    if state.quiet is None:
        return state
    twin = state.copy()
    write_back(twin)
    return twin


def write_back(state: SessionState) -> None:
    """Adds what the quiet pings so far did to the state's other fields."""
    quiet = state.quiet
    if quiet is None:
        return
    state.quiet = None
    clock, playhead_ms, count, _, _, _, hashes = _HEAD.unpack_from(quiet)
    pings = list(_PING.iter_unpack(quiet[_HEAD.size :]))
    state.waiting = tuple(
        [Event("ping", ts, ms, received_at=received_at) for ts, ms, received_at, _ in pings]
    )
    _, _, state.arrival_clock, state.last_offset = pings[-1]
    state.hashes = hashes[-HASH_BYTES * count :]
    if count > state.event_count:
        _add(state, clock, playhead_ms)
        state.event_count = count


def _add(state: SessionState, clock: int, playhead_ms: int) -> None:
    """All the time up to `clock` was pause, ad, or content that `playhead_ms` moved with."""
    dt = clock - state.clock
    ad, ad_break = state.ad, state.ad_break
    if state.player == "paused":
        state.pause_ms += dt
        if ad is not None:
            ad.pause_ms += dt
    elif ad is not None and ad_break is not None:
        ad.playing_ms += dt
        ad_break.ad_ms += dt
    else:
        state.content_ms += dt
        if state.chapter is not None:
            state.chapter.content_ms += dt
        state.played_to = state.playhead_ms = playhead_ms
        state.moved_at = state.run_start = clock
        state.run_events = 1
    if state.content_started and playhead_ms > state.max_playhead_ms:
        state.max_playhead_ms = playhead_ms
    state.clock = clock


def pass_row(state: SessionState, pings: bytes, begin: int, policy: Policy) -> int:
    """`pass_quietly` for many pings of one session, each a `_PING`, from the byte `begin` on. Says
    where it stopped: the next one has to take the long way, or there is none, or it has done enough
    for once. `begin`: nothing was done.
    """
    quiet = state.quiet or _begin(state, policy)
    if quiet is None:
        return begin
    clock, ms, count, until, ms_max, still_to, hashes = _HEAD.unpack_from(quiet)
    packed = quiet[_HEAD.size :] + pings[begin : begin + _ROW_BYTES_MAX]
    row = list(_PING.iter_unpack(packed))
    at = known = (len(quiet) - _HEAD.size) // _PING.size
    due = 0  # the first in the row that waits; those before it are applied
    due_ts, due_ms, due_since, _ = row[0]
    newest_ts, _, newest_since, _ = row[known - 1]
    inactive_ms = policy.inactive_ms
    for ts, _, received_at, _ in islice(row, known, None):
        if (
            ts <= newest_ts
            or not newest_since < received_at <= until
            or received_at - newest_since > inactive_ms
            or at - due >= _WAITING_MAX
            or count >= _EVENTS_BELOW
        ):
            break
        while received_at - due_since > REORDER_WINDOW_MS:
            dt, moved_ms = due_ts - clock, due_ms - ms
            if not 0 < dt <= PING_GAP_MS or due_ms > ms_max:
                break
            if still_to:
                if moved_ms != 0 or due_ts > still_to:
                    break
            elif not 0 < 2 * moved_ms <= 3 * dt + 2000:
                break
            clock, ms = due_ts, due_ms
            count += 1
            due += 1
            due_ts, due_ms, due_since, _ = row[due]
        else:
            newest_ts, newest_since = ts, received_at
            at += 1
            continue
        break  # what is due cannot be applied so
    if at > known:
        applied = row[max(0, due - REMEMBERED_HASHES) : due]
        newer = [
            _hash(ts & LOW_32_BITS, at_ms * 32 + PING_CODE & LOW_32_BITS)
            for ts, at_ms, _, _ in applied
        ]
        hashes = b"".join((hashes, *newer))[-HASHES_BYTES:]
        head = _HEAD.pack(clock, ms, count, until, ms_max, still_to, hashes)
        state.quiet = head + packed[due * _PING.size : at * _PING.size]
    return begin + (at - known) * _PING.size
