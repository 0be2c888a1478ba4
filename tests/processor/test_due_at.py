"""When a tick has to look at a session."""

from models.policy import DEFAULT_POLICY
from processor.session import tick
from processor.step import due_at
from tests.processor.sessions import at, event, state_of, told


def test_a_close_is_due_when_it_has_waited_whatever_came_after_it() -> None:
    late_ping = event("ping", 11, 11, 15)
    state = state_of([event("ping", 0, 0, 0), event("sessionEnd", 12, 12, 12), late_ping])
    due = due_at(state, DEFAULT_POLICY, is_closed=told(state).summary.closed)
    assert due <= at(17.001), "the first tick that closes it for good must look at it"
    tick(state, at(17.001), DEFAULT_POLICY)
    assert told(state).summary.final
