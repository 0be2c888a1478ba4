"""The short way of a quiet ping gives what the long way gives, state for state."""

from collections.abc import Callable, Sequence
from unittest.mock import patch

import pytest

from models.policy import DEFAULT_POLICY
from models.records import Event
from processor import session
from processor.quiet import pass_quietly
from processor.session import fold
from processor.snapshot import dump
from processor.state import SessionState
from tests.reference.arrivals import Step, Tick
from tests.reference.wild import realistic, wild

SESSION_ID = "a" * 64


def fold_counting(events: list[Event], shortcut: Callable[[SessionState, Event], bool]) -> bytes:
    """The state's bytes after all events, with `shortcut` in the place of the real one."""
    state = SessionState(SESSION_ID, events[0].received_at)
    with patch.object(session, "pass_quietly", shortcut):
        fold(events, state, DEFAULT_POLICY)
    state.rows = None
    return dump(state)


def never(state: SessionState, event: Event) -> bool:
    return False


def online_events(steps: Sequence[Step]) -> list[Event]:
    records = [step.record for step in steps if not isinstance(step, Tick)]
    return [event for record in records if not record.offline for event in record.events]


@pytest.mark.parametrize("seed", range(300))
def test_short_and_long_way_agree(seed: int) -> None:
    for make in (wild, realistic):
        events = online_events(make(seed))
        if events:
            assert fold_counting(events, pass_quietly) == fold_counting(events, never)


def test_most_pings_of_an_ordinary_session_take_the_short_way() -> None:
    taken: list[bool] = []

    def counted(state: SessionState, event: Event) -> bool:
        taken.append(pass_quietly(state, event))
        return taken[-1]

    events = [Event("sessionStart", 0, 0, received_at=0), Event("play", 0, 0, received_at=0)]
    events += [Event("ping", k * 10_000, k * 10_000, received_at=k * 10_000) for k in range(1, 101)]
    fold_counting(events, counted)
    assert sum(taken) >= 95
