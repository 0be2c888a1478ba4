"""The rules of a session: which event counts when, and what it does (docs/rules.md).

The heart of the pure core: no clock, no random, no environment, no log, no SQL. Total: any event in
any state has a defined result, and what is odd becomes a finding.

    arrive ──> duplicate | ignored | after close          (counted, nothing else)
       │
       ├────> late, clock set back                        applied at once
       └────> waits up to 5 s of arrival time ──release──> apply: account, effect, close

`evolve` leaves the state it is given alone; `fold`, `arrive` and `tick` change one that the caller
owns.
"""

from collections.abc import Iterable

from models.limits import (
    CLOCK_SET_BACK_MS,
    EVENTS_MAX,
    REORDER_WINDOW_MS,
    WAITING_MAX,
)
from models.policy import DEFAULT_POLICY, Policy
from models.records import Event
from models.rows import CloseReason, ExitStage
from processor.effects import EFFECTS, end_ad, end_chapter, void_break
from processor.elapsed import account, settle_run, start_run
from processor.fields import LIVE_CONTENT_TYPES, length_and_limit, start_row
from processor.findings import AFTER_CLOSE, find
from processor.order import insert_in_order, is_duplicate, remember
from processor.player_states import break_off, leave_state
from processor.quality import take_quality
from processor.quiet import arrived_at, pass_quietly, write_back
from processor.spans import end_span
from processor.state import SessionState
from processor.things import NEVER, Closing

_CLOSES = frozenset(("sessionEnd", "sessionComplete"))


def evolve(state: SessionState, event: Event, policy: Policy = DEFAULT_POLICY) -> SessionState:
    """The state after one more event of the session; the one given stays as it is."""
    after = state.copy()
    arrive(after, event, policy)
    return after


def fold(
    events: Iterable[Event], state: SessionState, policy: Policy = DEFAULT_POLICY
) -> SessionState:
    """Folds events of one session, in arrival order, into a state that the caller owns."""
    for event in events:
        if not pass_quietly(state, event, state.last_offset, policy):
            arrive(state, event, policy)
    write_back(state)
    return state


def arrive(state: SessionState, event: Event, policy: Policy) -> None:
    """One event arrives (docs/rules.md "Order"): the clock moves, what is due is applied, then
    the event itself is judged: after close, duplicate, ignored, set back, late, or it waits."""
    if state.quiet is not None:
        write_back(state)
    if state.closing is None and event.received_at > state.arrival_clock:
        _move_arrival_clock(state, event.received_at, policy)
    if state.closing is not None:
        count_after_close(state, event)
    elif is_duplicate(state, event):
        state.duplicate_count += 1
        find(state, "duplicate_event", event.ts, f"{event.type} came more than once")
    elif event.type in _CLOSES and _comes_before_start(state, event):
        _ignore_close(state, event)
    else:
        _accept(state, event, policy)


def _accept(state: SessionState, event: Event, policy: Policy) -> None:
    if event.type == "sessionStart":
        _take_start(state, event)
    behind_ms = state.clock - event.ts
    if behind_ms <= 0 or state.started_at == NEVER:
        state.waiting = insert_in_order(state.waiting, event)
        if len(state.waiting) > WAITING_MAX:
            first, state.waiting = state.waiting[0], state.waiting[1:]
            apply(state, first, policy)
    elif behind_ms > CLOCK_SET_BACK_MS:
        _set_clock_back(state, event, policy)
    else:
        _apply_late(state, event, policy)
    if state.event_count + len(state.waiting) >= EVENTS_MAX and not state.is_closed():
        apply_waiting(state, policy)
        close(state, "too_many_events", state.clock, policy)
    if state.closing is not None:
        _drop_waiting(state)


# --- arrival time -------------------------------------------------------------------------------


def _move_arrival_clock(state: SessionState, received_at: int, policy: Policy) -> None:
    if received_at > limit_at(state, policy) and not state.offline:
        close_by_limit(state, policy)
        return
    state.arrival_clock = received_at
    if state.waiting:
        release(state, received_at, policy)


def limit_at(state: SessionState, policy: Policy) -> int:
    """The arrival time after which the session closes by itself: inactive or expired."""
    return min(arrived_at(state) + policy.inactive_ms, state.first_arrival + policy.expired_ms)


def release(state: SessionState, now: int, policy: Policy) -> None:
    """Applies for good what has waited for more than the window, and all before it in order."""
    due = 0
    for place, event in enumerate(state.waiting, 1):
        if now - event.received_at > REORDER_WINDOW_MS:
            due = place
    if due:
        released, state.waiting = state.waiting[:due], state.waiting[due:]
        _apply_in_order(state, released, policy)


def apply_waiting(state: SessionState, policy: Policy) -> None:
    """Applies all that waits; what stands behind a close comes after close."""
    write_back(state)
    released, state.waiting = state.waiting, ()
    _apply_in_order(state, released, policy)


def _apply_in_order(state: SessionState, events: tuple[Event, ...], policy: Policy) -> None:
    for event in events:
        if state.closing is None:
            apply(state, event, policy)
        else:
            count_after_close(state, event)
    if state.closing is not None:
        _drop_waiting(state)


def _drop_waiting(state: SessionState) -> None:
    """What still waits when a session closes comes after close."""
    dropped, state.waiting = state.waiting, ()
    for event in dropped:
        count_after_close(state, event)


def tick(state: SessionState, now: int, policy: Policy) -> None:
    """A point in arrival time from outside: releases what is due, closes what is due, no more."""
    write_back(state)
    if state.is_closed():
        return
    release(state, now, policy)
    if not state.is_closed() and not state.offline and now > limit_at(state, policy):
        close_by_limit(state, policy)


def close_by_limit(state: SessionState, policy: Policy) -> None:
    """Closes by the limit of arrival time that came first, after applying what waits."""
    apply_waiting(state, policy)
    if state.is_closed():
        return
    left_ms = state.first_arrival + policy.expired_ms - state.arrival_clock
    if left_ms < policy.inactive_ms:
        close(state, "expired", state.clock, policy, seconds_since=left_ms // 1000)
    else:
        seconds_since = policy.inactive_ms // 1000
        close(state, "inactive", state.clock, policy, seconds_since=seconds_since)


# --- what an event is judged to be --------------------------------------------------------------


def count_after_close(state: SessionState, event: Event) -> None:
    """All that an event of a closed session does."""
    if state.closing is not None:
        state.closing.after_close_count += 1
    find(state, AFTER_CLOSE, event.ts, f"{event.type} came after the session closed")


def _comes_before_start(state: SessionState, event: Event) -> bool:
    return event.ts < state.start_ts and not state.clock_was_set_back


def _ignore_close(state: SessionState, event: Event) -> None:
    find(state, "close_before_start", event.ts, f"{event.type} is older than sessionStart")


def _take_start(state: SessionState, event: Event) -> None:
    """`sessionStart`: its fields count from its arrival; a second one changes none."""
    if state.start_ts != NEVER:
        find(state, "second_session_start", event.ts, "sessionStart came more than once")
        return
    state.start_ts = event.ts
    row = start_row(state, event)
    state.start_row = row
    is_live = (row.content_type or "").lower() in LIVE_CONTENT_TYPES
    if row.content_length_s is not None and row.content_length_s > 0:
        state.length_s, state.playhead_limit_ms = length_and_limit(
            row.content_length_s, is_live=is_live
        )
    elif not is_live:
        find(state, "missing_length", event.ts, "media.length is no number above 0")
    if not state.clock_was_set_back:
        _ignore_waiting_closes(state)


def _ignore_waiting_closes(state: SessionState) -> None:
    """A flushed close of an earlier session may have overtaken this session's start."""
    for event in state.waiting:
        if event.type in _CLOSES and event.ts < state.start_ts:
            _ignore_close(state, event)
    state.waiting = tuple(
        [e for e in state.waiting if e.type not in _CLOSES or e.ts >= state.start_ts]
    )


def _set_clock_back(state: SessionState, event: Event, policy: Policy) -> None:
    apply_waiting(state, policy)
    if state.is_closed():
        count_after_close(state, event)
        return
    end_span(state)
    break_off(state, event.ts)
    state.clock_was_set_back = True
    find(state, "clock_set_back", event.ts, f"by {state.clock - event.ts} ms")
    state.origin -= state.clock - event.ts
    state.clock = event.ts
    state.playhead_ms = event.playhead_ms
    state.moved_at = event.ts
    if state.in_main_content():
        start_run(state, event.ts)
    _count(state, event)
    _take_effect(state, event, event.ts, policy)
    _note_playhead(state, event)


def _apply_late(state: SessionState, event: Event, policy: Policy) -> None:
    state.late_count += 1
    find(state, "late_event", event.ts, f"{event.type} came {state.clock - event.ts} ms late")
    _count(state, event)
    _take_effect(state, event, state.clock, policy)


# --- applying for good --------------------------------------------------------------------------


def apply(state: SessionState, event: Event, policy: Policy) -> None:
    """Applies an event that is not late: accounts the time before it, then its effect."""
    ts, playhead_ms = event.ts, event.playhead_ms
    if state.started_at == NEVER:
        state.started_at = state.clock = state.origin = state.moved_at = ts
        state.playhead_ms = playhead_ms
    dt = ts - state.clock
    was_main = state.in_main_content()
    account(state, event, dt, policy)
    state.clock = ts
    if playhead_ms != state.playhead_ms:
        state.playhead_ms = playhead_ms
        state.moved_at = ts
    _count(state, event)
    if ts - state.moved_at >= policy.idle_ms and not state.offline:
        close(state, "idle", ts, policy)
        return
    untracked = dt > policy.inactive_ms
    _take_effect(state, event, ts, policy, was_main=was_main, untracked=untracked)
    _note_playhead(state, event)


def _count(state: SessionState, event: Event) -> None:
    remember(state, event)
    state.event_count += 1


def _take_effect(
    state: SessionState,
    event: Event,
    at: int,
    policy: Policy,
    *,
    was_main: bool | None = None,
    untracked: bool = False,
) -> None:
    if was_main is None:
        was_main = state.in_main_content()
    if event.params is not None or event.qoe is not None:
        take_quality(state, event)
    for finding in event.findings or ():
        find(state, finding.code, event.ts, finding.detail)
    EFFECTS[event.type](state, event, at, policy)
    settle_run(state, event, at, was_main=was_main, untracked=untracked)
    if event.type == "sessionEnd":
        close(state, "session_end", at, policy)


def _note_playhead(state: SessionState, event: Event) -> None:
    """Largest playhead since content started, and playheads that cannot be."""
    playhead_ms = event.playhead_ms
    if state.content_started and playhead_ms > state.max_playhead_ms:
        state.max_playhead_ms = playhead_ms
    if playhead_ms > state.playhead_limit_ms:
        detail = f"{playhead_ms} ms, but the content has {state.length_s} s"
        find(state, "playhead_out_of_range", event.ts, detail)


# --- closing ------------------------------------------------------------------------------------


def close(
    state: SessionState, reason: CloseReason, at: int, policy: Policy, *, seconds_since: int = 0
) -> None:
    """Closes the session: what is open ends, an open break is void (docs/rules.md "Closing")."""
    closed_at = max(at, state.clock)
    end_span(state)
    state.closing = Closing(reason, closed_at, seconds_since, exit_stage(state))
    if state.start_ts == NEVER:
        find(state, "no_session_start", state.clock, "no sessionStart came")
    end_ad(state, state.clock, "close", state.clock)
    void_break(state, state.clock, policy)
    end_chapter(state, state.clock, completed=False)
    for name in state.player_states or ():
        leave_state(state, name)


def end_of_list(state: SessionState, policy: Policy) -> None:
    """The end of an offline list: applies what waits; a list without a close closes at its end."""
    apply_waiting(state, policy)
    if not state.is_closed():
        close(state, "end_of_list", state.clock, policy)


def exit_stage(state: SessionState) -> ExitStage:
    """Where the last event left the viewer."""
    if state.completed:
        return "completed"
    if state.first_start_ms == NEVER:
        return "before_start"
    if state.ad_break is not None or state.ad is not None:
        return "midroll" if state.content_started else "preroll"
    return "content" if state.content_started else "before_content"
