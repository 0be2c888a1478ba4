"""What one session's log holds, as the second reading takes it in: arrivals and ticks.

Only for tests. Imports the contract types of `models`, never `processor`: this reading and the
fold must not share a mistake.
"""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from models.records import Event, Record


class Arrival(NamedTuple):
    """One record of the session, in log order; its events carry `received_at`."""

    record: Record


class Tick(NamedTuple):
    """A point in arrival time (ms) given to the fold from outside (docs/rules.md, Closing)."""

    at: int


Step = Arrival | Tick


def identity(event: Event) -> str:
    """What makes two events exact repeats of each other (semantics.md §2), as canonical JSON."""
    parts = [event.type, event.ts, event.playhead_ms, event.params, event.qoe, event.custom]
    return json.dumps(parts, sort_keys=True)


def events_of(steps: Sequence[Step]) -> Iterator[Event]:
    """All events of the arrivals, in log order."""
    for step in steps:
        if isinstance(step, Arrival):
            yield from step.record.events
