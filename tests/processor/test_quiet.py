"""The short way of a quiet ping gives what the long way gives, state for state."""

from collections.abc import Callable, Sequence
from unittest.mock import patch

import pytest

from models.policy import DEFAULT_POLICY, Policy
from models.records import Event, Record
from processor import session, step
from processor.quiet import pass_quietly
from processor.session import fold
from processor.snapshot import dump
from processor.state import SessionState
from processor.step import PlacedRecord, fold_records
from processor.summarize import settle, summarize
from tests.reference.arrivals import Step, Tick
from tests.reference.wild import realistic, wild

SESSION_ID = "a" * 64


def fold_counting(
    events: list[Event], shortcut: Callable[[SessionState, Event, int, Policy], bool]
) -> bytes:
    """The state's bytes after all events, with `shortcut` in the place of the real one."""
    state = SessionState(SESSION_ID, events[0].received_at)
    with patch.object(session, "pass_quietly", shortcut):
        fold(events, state, DEFAULT_POLICY)
    state.rows = None
    return dump(state)


def never(state: SessionState, event: Event, offset: int, policy: Policy) -> bool:
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


def fold_record_by_record(
    records: list[Record], shortcut: Callable[[SessionState, Event, int, Policy], bool]
) -> bytes:
    """The bytes after all records, a summary now and then, through the door that loops use."""
    states: dict[str, SessionState] = {}
    with patch.object(step, "pass_quietly", shortcut):
        for offset, record in enumerate(records, 7):
            fold_records(states, [PlacedRecord(2, offset, record)], DEFAULT_POLICY)
            if offset % 10 == 0:
                settle(states[SESSION_ID], summarize(states[SESSION_ID], DEFAULT_POLICY))
    assert states[SESSION_ID].copy().quiet == states[SESSION_ID].quiet
    settle(states[SESSION_ID], summarize(states[SESSION_ID], DEFAULT_POLICY))
    return dump(states[SESSION_ID])


@pytest.mark.parametrize("seed", range(100))
def test_short_and_long_way_agree_over_a_log(seed: int) -> None:
    """Places in the log included, and with others looking at the state between two pings."""
    for make in (wild, realistic):
        steps = [one for one in make(seed) if not isinstance(one, Tick)]
        records = [one.record._replace(session_id=SESSION_ID) for one in steps]
        if records:
            quiet, long = (fold_record_by_record(records, way) for way in (pass_quietly, never))
            assert quiet == long


def short_ways_in(events: list[Event]) -> int:
    """How many events took the short way; that both ways agree is held too."""
    taken: list[bool] = []

    def counted(state: SessionState, event: Event, offset: int, policy: Policy) -> bool:
        taken.append(pass_quietly(state, event, offset, policy))
        return taken[-1]

    assert fold_counting(events, counted) == fold_counting(events, never)
    return sum(taken)


OPENED = [Event("sessionStart", 0, 0, received_at=0), Event("play", 0, 0, received_at=0)]


def test_most_pings_of_an_ordinary_session_take_the_short_way() -> None:
    events = [Event("ping", k * 10_000, k * 10_000, received_at=k * 10_000) for k in range(1, 101)]
    assert short_ways_in(OPENED + events) >= 95


def test_pings_of_a_pause_take_the_short_way_until_it_is_idle() -> None:
    events = [Event("pauseStart", 10_000, 10_000, received_at=10_000)]
    events += [Event("ping", k * 10_000, 10_000, received_at=k * 10_000) for k in range(2, 190)]
    assert 170 <= short_ways_in(OPENED + events) <= 181  # a closed session's have no short way


def test_several_pings_that_are_due_at_once_take_the_short_way() -> None:
    """In an ad, a ping a second; the network holds three of four back for a while."""
    events = [Event("adBreakStart", 0, 0, received_at=0), Event("adStart", 0, 0, received_at=0)]
    late = [900 * (3 - k % 4) for k in range(101)]
    events += [Event("ping", k * 1_000, 0, received_at=k * 1_000 + late[k]) for k in range(1, 101)]
    assert short_ways_in(OPENED + events) >= 85
