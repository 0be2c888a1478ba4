"""Stage 1 of the second reading: what becomes of every event, from the arrivals alone.

The `Desk` is where events arrive. It decides which are applied, in which order and manner, which
are duplicates, ignored or after close, and what closes the session (semantics.md §2 and §7).
Stage 2 (`story`) tells what the applied events mean. Nothing is kept that a look back over the
lists can tell. Only for tests; imports no `processor`.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from models import limits
from models.policy import DEFAULT_POLICY, Policy
from models.records import Event, Record
from models.rows import CloseReason
from tests.reference.arrivals import Step, Tick, identity

Manner = Literal["in order", "late", "set back"]


class Applied(NamedTuple):
    """An event applied for good, how, and what was known of `sessionStart` at that moment."""

    event: Event
    manner: Manner
    start: Event | None


class Close(NamedTuple):
    """How the session was closed. `at`: `closed_at`; `left_s`: `seconds_since_last_event`."""

    reason: CloseReason
    at: int
    left_s: int
    no_session_start: bool


class Told(NamedTuple):
    """A finding as it happened: its code and the `ts` it is told with."""

    code: str
    ts: int


@dataclass
class Desk:
    """Everything that was decided so far. `waiting` is in arrival order.

    `start_came_after`: how many events had been applied when the first `sessionStart` arrived.
    """

    policy: Policy = DEFAULT_POLICY
    applied: list[Applied] = field(default_factory=list)
    waiting: list[Event] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    traits: set[str] = field(default_factory=set)
    start: Event | None = None
    start_came_after: int = 0
    arrival_clock: int | None = None
    first_arrival: int | None = None
    in_offline_list: bool = False
    duplicates: int = 0
    after_close: int = 0
    close: Close | None = None


def take(desk: Desk, step: Step) -> None:
    """Hands one step of the log to the desk."""
    if isinstance(step, Tick):
        take_tick(desk, step.at)
    elif step.record.offline:
        take_offline_list(desk, step.record)
    else:
        for event in step.record.events:
            take_event(desk, event)


def with_waiting_applied(desk: Desk) -> Desk:
    """What a summary says now: the same desk, had all that waits been applied (§2)."""
    copied = copy.copy(desk)
    for name in ("applied", "waiting", "told"):
        setattr(copied, name, list(getattr(desk, name)))
    apply_all_waiting(copied)
    return copied


def is_closed(desk: Desk) -> bool:
    return desk.close is not None


# --- arrivals (§2) ---------------------------------------------------------------------------


def take_event(desk: Desk, event: Event) -> None:
    """One event arrives: limits, the arrival clock and what it releases, then its own judgement."""
    if not is_closed(desk) and not desk.in_offline_list:
        close_if_over(desk, event.received_at)
    if not is_closed(desk):
        if desk.arrival_clock is None or desk.first_arrival is None:
            desk.arrival_clock = desk.first_arrival = event.received_at
        desk.arrival_clock = max(desk.arrival_clock, event.received_at)
        release(desk, desk.arrival_clock)
    if is_closed(desk):
        comes_after_close(desk, event)
    else:
        judge(desk, event)


def judge(desk: Desk, event: Event) -> None:
    """Duplicate, ignored, clock set back, late, or waiting: the first that fits (§2)."""
    if is_duplicate(desk, event):
        desk.duplicates += 1
        desk.told.append(Told("duplicate_event", event.ts))
        return
    if event.type == "sessionStart":
        note_session_start(desk, event)
    if is_ignored_close(desk, event):
        desk.told.append(Told("close_before_start", event.ts))
        return
    now = session_clock(desk)
    if now is not None and now - event.ts > limits.CLOCK_SET_BACK_MS:
        set_back(desk, event)
    elif now is not None and event.ts < now:
        desk.traits.add(f"late {event.type}")
        apply(desk, event, "late")
    else:
        wait(desk, event)
    close_if_too_many(desk)


def is_duplicate(desk: Desk, event: Event) -> bool:
    """An exact repeat of a waiting event or of one of the last 16 applied (§2)."""
    lately = [a.event for a in desk.applied[-limits.REMEMBERED_HASHES :]]
    alike = [e for e in [*desk.waiting, *lately] if (e.ts, e.type) == (event.ts, event.type)]
    return any(identity(e) == identity(event) for e in alike)


def note_session_start(desk: Desk, event: Event) -> None:
    """The fields of the first `sessionStart` count from its arrival; later ones are second (§2)."""
    if desk.start is not None:
        desk.told.append(Told("second_session_start", event.ts))
        return
    desk.start, desk.start_came_after = event, len(desk.applied)
    ignored = [e for e in desk.waiting if is_ignored_close(desk, e)]
    for close in in_order(ignored):
        desk.traits.add("waiting close ignored")
        desk.told.append(Told("close_before_start", close.ts))
    desk.waiting = [e for e in desk.waiting if not any(e is i for i in ignored)]


def is_ignored_close(desk: Desk, event: Event) -> bool:
    """A close from before the session's start, unless the clock was set back (§2)."""
    if event.type not in ("sessionEnd", "sessionComplete") or desk.start is None:
        return False
    return event.ts < desk.start.ts and not any(a.manner == "set back" for a in desk.applied)


def set_back(desk: Desk, event: Event) -> None:
    """What waits is applied first, then the event, whose clock holds from then on (§2)."""
    apply_all_waiting(desk)
    if is_closed(desk):
        comes_after_close(desk, event)
    else:
        apply(desk, event, "set back")


def wait(desk: Desk, event: Event) -> None:
    """The event waits; beyond 1,000 waiting the first in order is applied (§2)."""
    desk.waiting.append(event)
    if len(desk.waiting) > limits.WAITING_MAX:
        desk.traits.add("more than 1000 waiting")
        apply_waiting(desk, 1)


def take_offline_list(desk: Desk, record: Record) -> None:
    """A finished offline session: no limits of arrival time, and closed by its end (§7)."""
    new = not desk.applied and not desk.waiting and not is_closed(desk)
    if not new:
        desk.traits.add("offline list of a known session")
    desk.in_offline_list = new
    for event in record.events:
        take_event(desk, event)
    apply_all_waiting(desk)
    desk.in_offline_list = False
    if not is_closed(desk):
        close_at_last_event(desk, "end_of_list", 0)


# --- applying for good -----------------------------------------------------------------------


def in_order(events: Sequence[Event]) -> list[Event]:
    """By (`ts`, arrival): the sort is stable and `events` stands in arrival order (§2)."""
    return sorted(events, key=lambda e: e.ts)


def release(desk: Desk, now: int) -> None:
    """Applies what waited longer than the window at `now`, and all before it in order (§2)."""
    line = in_order(desk.waiting)
    due = [i for i, e in enumerate(line) if now - e.received_at > limits.REORDER_WINDOW_MS]
    if due:
        apply_waiting(desk, due[-1] + 1)


def apply_all_waiting(desk: Desk) -> None:
    apply_waiting(desk, len(desk.waiting))


def apply_waiting(desk: Desk, count: int) -> None:
    """Applies the first `count` in order; what still waits when one closes comes after close."""
    for event in in_order(desk.waiting)[:count]:
        if not is_closed(desk):
            desk.waiting = [e for e in desk.waiting if e is not event]
            apply(desk, event, "in order")


def apply(desk: Desk, event: Event, manner: Manner) -> None:
    """Applies one event for good and sees whether it closes the session (§7)."""
    idle = manner == "in order" and shows_idle(desk, event)
    desk.applied.append(Applied(event, manner, desk.start))
    if manner == "set back":
        desk.told.append(Told("clock_set_back", event.ts))
    if manner == "late":
        desk.told.append(Told("late_event", event.ts))
    if idle or event.type == "sessionEnd":
        now = session_clock(desk)
        assert now is not None
        close(desk, "idle" if idle else "session_end", max(now, event.ts), 0)


def session_clock(desk: Desk) -> int | None:
    """The `ts` of the last event applied for good that was not late."""
    on_time = next((a for a in reversed(desk.applied) if a.manner != "late"), None)
    return None if on_time is None else on_time.event.ts


def shows_idle(desk: Desk, event: Event) -> bool:
    """The playhead has not changed for 30 min of `ts` (§7); never in an offline list."""
    if desk.in_offline_list:
        return False
    since: int | None = None
    for a in reversed(desk.applied):
        if a.manner == "late":
            continue
        if a.event.playhead_ms != event.playhead_ms:
            break
        since = a.event.ts
        if a.manner == "set back":
            break
    return since is not None and event.ts - since >= desk.policy.idle_ms


# --- closing (§7) ----------------------------------------------------------------------------


def take_tick(desk: Desk, at: int) -> None:
    """Releases what arrived before T - 5 s, then closes what is due; nothing else (§7)."""
    if not is_closed(desk) and desk.arrival_clock is not None:
        count = len(desk.applied)
        release(desk, at)
        if len(desk.applied) > count:
            desk.traits.add("tick released")
    if not is_closed(desk):
        close_if_over(desk, at)
        desk.traits.update(["tick closed"] if is_closed(desk) else [])


def close_if_over(desk: Desk, now: int) -> None:
    """10 min of arrival time without an event, or 24 h since the first: the earlier deadline."""
    if desk.arrival_clock is None or desk.first_arrival is None:
        return
    inactive_at = desk.arrival_clock + desk.policy.inactive_ms
    expired_at = desk.first_arrival + desk.policy.expired_ms
    if now <= inactive_at and now <= expired_at:
        return
    apply_all_waiting(desk)
    if is_closed(desk):
        desk.traits.add("a close waited when a limit was over")
    elif inactive_at <= expired_at:
        close_at_last_event(desk, "inactive", desk.policy.inactive_ms // 1000)
    else:
        left_ms = desk.first_arrival + desk.policy.expired_ms - desk.arrival_clock
        close_at_last_event(desk, "expired", left_ms // 1000)


def close_if_too_many(desk: Desk) -> None:
    """200,000 events, applied or waiting, close a session at its last event (§7)."""
    if not is_closed(desk) and len(desk.applied) + len(desk.waiting) >= limits.EVENTS_MAX:
        apply_all_waiting(desk)
        if not is_closed(desk):
            close_at_last_event(desk, "too_many_events", 0)


def close_at_last_event(desk: Desk, reason: CloseReason, left_s: int) -> None:
    now = session_clock(desk)
    assert now is not None, "a session that is closed by a limit has an applied event"
    close(desk, reason, now, left_s)


def close(desk: Desk, reason: CloseReason, at: int, left_s: int) -> None:
    """The session is closed; what still waits comes after it."""
    nobody_started = desk.start is None
    desk.close = Close(reason, at, left_s, nobody_started)
    if nobody_started:
        desk.told.append(Told("no_session_start", at))
    for event in in_order(desk.waiting):
        desk.traits.add("waited past the close")
        comes_after_close(desk, event)
    desk.waiting = []


def comes_after_close(desk: Desk, event: Event) -> None:
    """Dropped and counted, never as a duplicate (§2)."""
    desk.after_close += 1
    desk.told.append(Told("event_after_close", event.ts))
