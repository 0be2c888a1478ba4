"""States as bytes: nothing is lost on the way, and bytes of another release are told apart."""

import pytest

from models.policy import DEFAULT_POLICY
from models.records import Event
from processor.session import arrive
from processor.snapshot import StateVersionError, dump, load
from processor.state import STATE_FIELDS, SessionState
from processor.summarize import settle, summarize
from tests.reference.arrivals import Tick
from tests.reference.wild import wild

SESSION_ID = "a" * 64


def settled(events: list[Event]) -> SessionState:
    state = SessionState(SESSION_ID, events[0].received_at)
    for event in events:
        arrive(state, event, DEFAULT_POLICY)
    settle(state, summarize(state))
    return state


@pytest.mark.parametrize("seed", range(200))
def test_loaded_state_tells_what_the_dumped_one_tells(seed: int) -> None:
    steps = [step for step in wild(seed) if not isinstance(step, Tick)]
    events = [event for step in steps for event in step.record.events]
    state = settled(events)
    loaded = load(SESSION_ID, dump(state))
    assert dump(loaded) == dump(state)
    assert summarize(loaded) == summarize(state)


def test_every_field_is_in_the_bytes_or_named_as_left_out() -> None:
    """A field that a new rule adds must not be forgotten on a restart."""
    state = settled([Event("sessionStart", 5, 0, {"media.length": 60}, received_at=5)])
    loaded = load(SESSION_ID, dump(state))
    missing = [name for name in STATE_FIELDS if not hasattr(loaded, name)]
    assert missing == []


def test_usual_state_is_small() -> None:
    events = [Event("sessionStart", 10**12, 0, {"media.length": 6000}, received_at=10**12)]
    events += [Event("play", 10**12, 0, received_at=10**12)]
    for k in range(1, 40):
        ts = 10**12 + k * 10_000
        events.append(Event("ping", ts, k * 10_000, received_at=ts + 50))
    assert len(dump(settled(events))) <= 600


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00[]", b"\x80abc", b"\x00[1,2,3]", b"\x00{"])
def test_bytes_of_another_release_are_refused(data: bytes) -> None:
    with pytest.raises(StateVersionError) as refused:
        load(SESSION_ID, data)
    assert SESSION_ID in str(refused.value)
