"""Small sessions in a few words, for the tests of single rules.

Only for tests. Goes through the public pure API alone: `session.arrive`, `session.tick`,
`step.fold_records`, `summarize.summarize`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from models.policy import DEFAULT_POLICY, Policy
from models.records import Event, EventType, Record, SchemaFinding
from models.rows import (
    AdRow,
    BreakRow,
    ChapterRow,
    ErrorRow,
    FindingRow,
    PlayerStateRow,
    SessionFigures,
    SpanRow,
    StartRow,
    Summary,
)
from processor.session import arrive, tick
from processor.state import SessionState
from processor.step import PlacedRecord, fold_records
from processor.summarize import summarize
from tests.production import time_line

T0 = 1_760_000_000_000
"""Second 0 of every session here, as `ts` and as arrival time."""

SID = "5" * 64
_Row = TypeVar("_Row", BreakRow, AdRow, ChapterRow, PlayerStateRow, ErrorRow, FindingRow)
AT_ONCE_S = 200_000.0
"""When everything arrives whose arrival does not matter: one instant, later than every `ts`."""


class Told(NamedTuple):
    """What a summary says, with the child rows by table."""

    summary: Summary
    figures: SessionFigures
    start: StartRow | None
    breaks: list[BreakRow]
    ads: list[AdRow]
    chapters: list[ChapterRow]
    player_states: dict[str, PlayerStateRow]
    errors: list[ErrorRow]
    findings: dict[str, FindingRow]
    spans: list[SpanRow]


def at(second: float) -> int:
    """A `ts` or arrival time, ms since the epoch."""
    return T0 + round(second * 1000)


def event(
    kind: EventType,
    at_s: float,
    playhead_s: float = 0,
    arrives_s: float = AT_ONCE_S,
    *,
    qoe: dict[str, Any] | None = None,
    custom: dict[str, Any] | None = None,
    findings: tuple[SchemaFinding, ...] | None = None,
    **params: Any,
) -> Event:
    """An event. Params go by their last word: `name="x"` of an ad is `media.ad.name`."""
    prefix = _PREFIXES.get(kind, "media.")
    named = {prefix + name: value for name, value in params.items()}
    return Event(
        kind,
        at(at_s),
        round(playhead_s * 1000),
        named or None,
        qoe,
        custom,
        findings,
        at(arrives_s),
    )


_PREFIXES = {
    "adStart": "media.ad.",
    "adBreakStart": "media.ad.",
    "chapterStart": "media.chapter.",
    "stateStart": "media.state.",
    "stateEnd": "media.state.",
    "statesUpdate": "",
}


def start(at_s: float = 0, arrives_s: float = AT_ONCE_S, **params: Any) -> Event:
    """`sessionStart` of content 100 s long, or with other fields."""
    given = {"id": "c", "length": 100, "contentType": "VOD", "playerName": "p", "channel": "web"}
    return event("sessionStart", at_s, 0, arrives_s, **{**given, **params})


def state_of(events: Sequence[Event], policy: Policy = DEFAULT_POLICY) -> SessionState:
    """The state after the events arrived in this order."""
    state = SessionState(SID, events[0].received_at)
    for each in events:
        arrive(state, each, policy)
    return state


def told(state: SessionState, policy: Policy = DEFAULT_POLICY) -> Told:
    """What the state says now."""
    summary = summarize(state, policy)
    return Told(
        summary,
        summary.figures,
        summary.start,
        _rows(summary, BreakRow),
        _rows(summary, AdRow),
        _rows(summary, ChapterRow),
        {row.name: row for row in _rows(summary, PlayerStateRow)},
        _rows(summary, ErrorRow),
        {row.code: row for row in _rows(summary, FindingRow)},
        time_line(summary.rows, summary.open_span, summary.figures),
    )


def _rows(summary: Summary, kind: type[_Row]) -> list[_Row]:
    found = [row for row in summary.rows.values() if isinstance(row, kind)]
    return sorted(found, key=_number)


def _number(row: tuple[Any, ...]) -> Any:
    return row[0]


def session(*events: Event, policy: Policy = DEFAULT_POLICY, tick_s: float | None = None) -> Told:
    """What the events say that arrive in this order, and then a tick if one is given."""
    state = state_of(events, policy)
    if tick_s is not None:
        tick(state, at(tick_s), policy)
    return told(state, policy)


def records(*lists: Sequence[Event], offline: bool) -> Told:
    """The same through records, one for each list, as they stand in a log."""
    states: dict[str, SessionState] = {}
    placed = [
        PlacedRecord(0, offset, Record(SID, offline, tuple(events)))
        for offset, events in enumerate(lists, 1)
    ]
    fold_records(states, placed, DEFAULT_POLICY)
    return told(states[SID])
