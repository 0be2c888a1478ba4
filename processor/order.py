"""Order of a session's events: what waits, and what came before (docs/rules.md "Order").

Part of the pure core.
"""

import json
from bisect import bisect_right
from hashlib import blake2b
from operator import attrgetter
from typing import Final

from models.limits import REMEMBERED_HASHES
from models.records import EVENT_TYPES, Event, EventType
from processor.state import SessionState

_BY_TS: Final = attrgetter("ts")
_TYPE_CODES: Final = {name: code for code, name in enumerate(EVENT_TYPES)}
_JSON: Final = json.JSONEncoder(sort_keys=True, check_circular=False)
_LOW_64_BITS: Final = 2**64 - 1
# Odd, and without small multiples that cancel out: ts and playheads of one session are close.
_TS_FACTOR: Final = 0x9E3779B97F4A7C15
_PLAYHEAD_FACTOR: Final = 0xC2B2AE3D27D4EB4F
HASH_BYTES: Final = 8
HASHES_BYTES: Final = HASH_BYTES * REMEMBERED_HASHES


def stable_hash(event: Event) -> int:
    """64 bits that are equal for exact repeats, on every machine and Python (no `hash()`)."""
    kind, ts, playhead_ms, params, qoe, custom, _, _ = event
    if params is None and qoe is None and custom is None:
        return bare_hash(kind, ts, playhead_ms)
    text = _JSON.encode((kind, ts, playhead_ms, params, qoe, custom))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def bare_hash(kind: EventType, ts: int, playhead_ms: int) -> int:
    """`stable_hash` of an event without params, QoE and custom metadata."""
    place = playhead_ms << 5 | _TYPE_CODES[kind]
    return (ts * _TS_FACTOR + place * _PLAYHEAD_FACTOR) & _LOW_64_BITS


def to_bytes(hash64: int) -> bytes:
    """A hash as it is kept."""
    return hash64.to_bytes(HASH_BYTES, "little")


def remember(state: SessionState, event: Event) -> None:
    """Keeps the event's hash among those of the last 16 applied."""
    state.hashes = (state.hashes + to_bytes(stable_hash(event)))[-HASHES_BYTES:]


def is_duplicate(state: SessionState, event: Event) -> bool:
    """An exact repeat of an event that waits, or of one of the last 16 applied for good."""
    ts = event.ts
    waiting = state.waiting
    if waiting and ts <= waiting[-1].ts and _waits(waiting, event):
        return True
    if ts > state.clock and not state.clock_was_set_back:
        return False  # later than all that was applied
    return _is_remembered(state.hashes, to_bytes(stable_hash(event)))


def _is_remembered(hashes: bytes, wanted: bytes) -> bool:
    place = hashes.find(wanted)
    while place % HASH_BYTES and place != -1:  # it lies across two hashes
        place = hashes.find(wanted, place + 1)
    return place != -1


def _waits(waiting: tuple[Event, ...], event: Event) -> bool:
    repeated = stable_hash(event)
    return any(other.ts == event.ts and stable_hash(other) == repeated for other in waiting)


def insert_in_order(waiting: tuple[Event, ...], event: Event) -> tuple[Event, ...]:
    """What waits, in (`ts`, arrival) order; equal `ts` keep their order of arrival."""
    if not waiting or waiting[-1].ts <= event.ts:
        return (*waiting, event)
    place = bisect_right(waiting, event.ts, key=_BY_TS)
    return (*waiting[:place], event, *waiting[place:])
