"""What one event did to its session, for people who look for a fault.

Beside the record's way: `processor.judged` finds it out, the explorer shows it. Imports the events;
no I/O.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from models.records import Event

Verdict = Literal["applied", "late", "clock_set_back", "duplicate", "ignored", "after_close"]


class Noted(NamedTuple):
    """A finding that came with an event. `times`: below 0 where the event took it back. `detail`:
    only where it was the session's first of its code."""

    code: str
    times: int
    detail: str


class Judged(NamedTuple):
    """The difference between the session's summary before an event and after it.

    `times`: by column of `sessions`, ms, what is not 0. `closed_by`: the close reason, where this
    event closed the session.
    """

    verdict: Verdict
    findings: tuple[Noted, ...]
    times: Mapping[str, int]
    closed_by: str | None


class ReceivedEvent(NamedTuple):
    """An event as it lies in the log. `number`: its place in its record, from 1. `judged`: None
    where it is not known what came before it."""

    offset: int
    number: int
    event: Event
    judged: Judged | None
