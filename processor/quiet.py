"""The short way of a quiet ping: playing on, in order, as expected.

Part of the pure core. Nineteen of twenty events are pings of a session that plays on. For these,
`session.arrive` comes down to a few additions, done here in one go because the calls would cost
more than the work. It is a shortcut and no second set of rules: it takes an event only when every
rule but those few lines is without effect, and a test holds it to the long way.
"""

from typing import Final

from models.limits import (
    EVENTS_MAX,
    EXPIRED_MS,
    IDLE_MS,
    INACTIVE_MS,
    PING_GAP_MS,
    REORDER_WINDOW_MS,
)
from models.records import Event
from processor.order import HASHES_BYTES, bare_hash
from processor.state import SessionState

_EVENTS_BELOW: Final = EVENTS_MAX - 1
_WAITING_MAX: Final = 32
"""Beyond these the long way's one look at each is no slower."""

NOT_QUIET: Final = frozenset(("sessionStart", "sessionComplete", "sessionEnd"))
"""Events that are more than one who waits on their arrival."""


def pass_quietly(state: SessionState, event: Event) -> bool:
    """Lets an event wait and applies the one ping that is due by now, if all is as expected.

    False: nothing was done, the long way has to be taken.
    """
    waiting = state.waiting
    _, ts, _, _, _, _, _, received_at = event
    if (
        not waiting
        or ts <= waiting[-1][1]
        or received_at <= state.arrival_clock
        or received_at - state.arrival_clock > INACTIVE_MS
        or received_at - state.first_arrival > EXPIRED_MS
        or state.closing is not None
        or state.clock_was_set_back
        or state.event_count + len(waiting) >= _EVENTS_BELOW
    ):
        return False
    if len(waiting) == 1:
        if received_at - waiting[0][7] > REORDER_WINDOW_MS:
            if not _apply_quietly(state, waiting[0]):
                return False
            state.waiting = (event,)
        else:
            state.waiting = (*waiting, event)
    elif not _pass_several(state, event):
        return False
    state.arrival_clock = received_at
    return True


def _pass_several(state: SessionState, event: Event) -> bool:
    waiting, due_before = state.waiting, event.received_at - REORDER_WINDOW_MS
    if len(waiting) >= _WAITING_MAX:
        return False
    for other in waiting[1:]:
        if other[7] < due_before:
            return False
    if waiting[0][7] >= due_before:
        state.waiting = (*waiting, event)
        return True
    if not _apply_quietly(state, waiting[0]):
        return False
    state.waiting = (*waiting[1:], event)
    return True


def _apply_quietly(state: SessionState, event: Event) -> bool:
    """Applies a bare ping within content that plays on, or within an ad; False: it is neither."""
    kind, ts, playhead_ms, params, qoe, custom, findings, _ = event
    last_playhead_ms = state.playhead_ms
    dt = ts - state.clock
    moved_ms = playhead_ms - last_playhead_ms
    if (
        kind != "ping"
        or params is not None
        or qoe is not None
        or custom is not None
        or findings is not None
        or state.player != "playing"
        or not 0 < dt <= PING_GAP_MS
        or playhead_ms > state.playhead_limit_ms
    ):
        return False
    ad_break = state.ad_break
    if ad_break is None:
        if (
            state.ad is not None
            or not 0 < 2 * moved_ms <= 3 * dt + 2000
            or state.played_to != last_playhead_ms
            or state.span_activity != "content"
            or not state.content_started
        ):
            return False
        state.content_ms += dt
        if state.chapter is not None:
            state.chapter.content_ms += dt
        state.played_to = playhead_ms
        state.playhead_ms = playhead_ms
        state.moved_at = state.run_start = ts
        state.run_events = 1
    else:
        ad = state.ad
        if (
            ad is None
            or moved_ms != 0
            or ts - state.moved_at >= IDLE_MS
            or state.span_activity != "ad"
        ):
            return False
        ad.playing_ms += dt
        ad_break.ad_ms += dt
    if state.content_started and playhead_ms > state.max_playhead_ms:
        state.max_playhead_ms = playhead_ms
    state.clock = ts
    hash64 = bare_hash(kind, ts, playhead_ms)
    state.hashes = (state.hashes + hash64.to_bytes(8, "little"))[-HASHES_BYTES:]
    state.event_count += 1
    return True
