"""Order of a session's events: what waits, and what came before (docs/rules.md "Order").

Part of the pure core.
"""

import json
from bisect import bisect_right
from hashlib import blake2b
from operator import attrgetter
from struct import Struct
from typing import Final

from models.limits import REMEMBERED_HASHES
from models.records import EVENT_TYPES, Event
from processor.state import SessionState

_BY_TS: Final = attrgetter("ts")
_TYPE_CODES: Final = {name: code for code, name in enumerate(EVENT_TYPES)}
_JSON: Final = json.JSONEncoder(sort_keys=True, check_circular=False)
PING_CODE: Final = _TYPE_CODES["ping"]
LOW_32_BITS: Final = 2**32 - 1
_bare_hash: Final = Struct("<II").pack
HASH_BYTES: Final = 8
HASHES_BYTES: Final = HASH_BYTES * REMEMBERED_HASHES


def stable_hash(event: Event) -> bytes:
    """8 bytes that are equal for exact repeats, on every machine and Python (no `hash()`).

    A bare event's are the event itself, but for multiples of 49 days of `ts` and 37 h of playhead.
    """
    kind, ts, playhead_ms, params, qoe, custom, _, _ = event
    if params is None and qoe is None and custom is None:
        return _bare_hash(ts & LOW_32_BITS, playhead_ms * 32 + _TYPE_CODES[kind] & LOW_32_BITS)
    text = _JSON.encode((kind, ts, playhead_ms, params, qoe, custom))
    return blake2b(text.encode(), digest_size=HASH_BYTES).digest()


def remember(state: SessionState, event: Event) -> None:
    """Keeps the event's hash among those of the last 16 applied."""
    state.hashes = (state.hashes + stable_hash(event))[-HASHES_BYTES:]


def is_duplicate(state: SessionState, event: Event) -> bool:
    """An exact repeat of an event that waits, or of one of the last 16 applied for good."""
    ts = event.ts
    waiting = state.waiting
    if waiting and ts <= waiting[-1].ts and _waits(waiting, event):
        return True
    if ts > state.clock and not state.clock_was_set_back:
        return False  # later than all that was applied
    return _is_remembered(state.hashes, stable_hash(event))


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
