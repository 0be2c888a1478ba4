"""The short way of a quiet ping: playing content, in order, as expected.

Part of the pure core. Nineteen of twenty events are pings of a session that plays on. For these,
`session.arrive` comes down to a few additions, done here in one function because the calls would
cost more than the work. It is a shortcut and no second set of rules: it takes an event only when
every rule but those few lines is without effect, and a property test holds it to the long way.
"""

from models.limits import (
    EVENTS_MAX,
    EXPIRED_MS,
    INACTIVE_MS,
    PING_GAP_MS,
    REORDER_WINDOW_MS,
)
from models.records import Event
from processor.order import HASHES_BYTES, bare_hash
from processor.state import SessionState


def pass_quietly(state: SessionState, event: Event) -> bool:
    """Lets a ping wait and applies the one bare ping that waited, if both are as expected.

    False: nothing was done, the long way has to be taken.
    """
    waiting = state.waiting
    if len(waiting) != 1 or state.closing is not None or state.clock_was_set_back:
        return False
    _, ts, _, _, _, _, _, received_at = event
    kind, ping_ts, playhead_ms, params, qoe, custom, findings, pinged_at = waiting[0]
    last_playhead_ms = state.playhead_ms
    dt = ping_ts - state.clock
    moved_ms = playhead_ms - last_playhead_ms
    if (
        kind != "ping"
        or params is not None
        or qoe is not None
        or custom is not None
        or findings is not None
        or state.player != "playing"
        or state.ad_break is not None
        or state.ad is not None
        or not 0 < dt <= PING_GAP_MS
        or not 0 < 2 * moved_ms <= 3 * dt + 2000
        or playhead_ms > state.playhead_limit_ms
        or state.played_to != last_playhead_ms
        or ts <= ping_ts
        or received_at <= state.arrival_clock
        or received_at - pinged_at <= REORDER_WINDOW_MS
        or received_at - state.arrival_clock > INACTIVE_MS
        or received_at - state.first_arrival > EXPIRED_MS
        or not state.content_started
        or state.event_count >= EVENTS_MAX - 2
    ):
        return False
    state.arrival_clock = received_at
    state.waiting = (event,)
    hash64 = bare_hash(kind, ping_ts, playhead_ms)
    state.hashes = (state.hashes + hash64.to_bytes(8, "little"))[-HASHES_BYTES:]
    state.event_count += 1
    state.content_ms += dt
    if state.chapter is not None:
        state.chapter.content_ms += dt
    state.played_to = playhead_ms
    state.clock = state.moved_at = state.run_start = ping_ts
    state.run_events = 1
    state.stalled = False
    state.playhead_ms = playhead_ms
    if playhead_ms > state.max_playhead_ms:
        state.max_playhead_ms = playhead_ms
    return True
