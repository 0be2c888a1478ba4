"""A session's state as bytes and back, for the row of a live session (docs/architecture.md).

Part of the pure core. The hashes come first, then one JSON array of everything else, headed by
a shape number, which says that the bytes belong to this very set of fields. What leaves the state
at a checkpoint (`rows`, `start_row`) is not in the bytes: `settle` comes before `dump`.
"""

import json
from operator import attrgetter
from typing import Any, Final
from zlib import crc32

from models.policy import FOLD_VERSION
from models.records import Event, SchemaFinding
from processor.quiet import written_back
from processor.state import STATE_FIELDS, SessionState
from processor.things import (
    Closing,
    Errors,
    OpenAd,
    OpenBreak,
    OpenChapter,
    PlayerState,
    Quality,
    Slotted,
)

_ELSEWHERE: Final = frozenset(("session_id", "hashes", "quiet", "rows", "start_row", "waiting"))
_THINGS: Final[dict[str, type[Slotted]]] = {
    "ad": OpenAd,
    "ad_break": OpenBreak,
    "chapter": OpenChapter,
    "closing": Closing,
    "errors": Errors,
    "quality": Quality,
}
_PLAIN: Final = tuple(sorted(frozenset(STATE_FIELDS) - _ELSEWHERE - {*_THINGS, "player_states"}))
_plain_of: Final = attrgetter(*_PLAIN)
_text_of: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _shape() -> int:
    names: list[int | str] = [FOLD_VERSION, *_PLAIN]
    things: tuple[type[Slotted], ...] = (*_THINGS.values(), PlayerState)
    for thing in things:
        names += thing.__slots__
    return crc32(repr(names).encode())


SHAPE: Final = _shape()


class StateVersionError(Exception):
    """State bytes that another release wrote; the projection has to be rebuilt or migrated."""

    def __init__(self, session_id: str) -> None:
        super().__init__(
            f"the stored state of session {session_id} is of another release; "
            "run the release that wrote it, or read the log anew into a new database"
        )
        self.session_id = session_id


def dump(state: SessionState) -> bytes:
    """The state as bytes, without what the last `settle` wrote."""
    state = written_back(state)
    values: list[Any] = [SHAPE, state.waiting]
    values += [_values_of(getattr(state, name)) for name in _THINGS]
    states = state.player_states
    values.append(states and {name: _values_of(entered) for name, entered in states.items()})
    values += _plain_of(state)
    return bytes((len(state.hashes),)) + state.hashes + _text_of(values).encode()


def load(session_id: str, data: bytes) -> SessionState:
    """The state that `dump` gave. Raises `StateVersionError` for bytes of another release."""
    hashes_end = 1 + data[0] if data else 1
    try:
        shape, waiting, *values = json.loads(data[hashes_end:])
    except ValueError as error:
        raise StateVersionError(session_id) from error
    if shape != SHAPE:
        raise StateVersionError(session_id)
    state = SessionState(session_id, 0)
    state.hashes = data[1:hashes_end]
    state.waiting = tuple([_event_of(event) for event in waiting])
    for (name, thing), stored in zip(_THINGS.items(), values, strict=False):
        setattr(state, name, _thing_of(thing, stored))
    states = values[len(_THINGS)]
    if states is not None:
        state.player_states = {n: _thing_of(PlayerState, stored) for n, stored in states.items()}
    for name, value in zip(_PLAIN, values[len(_THINGS) + 1 :], strict=True):
        setattr(state, name, value)
    _restore_tuples(state)
    return state


def _values_of(thing: Slotted | None) -> list[Any] | None:
    return None if thing is None else [getattr(thing, name) for name in thing.__slots__]


def _thing_of(kind: type[Slotted], values: list[Any] | None) -> Any:
    if values is None:
        return None
    thing = object.__new__(kind)
    for name, value in zip(kind.__slots__, values, strict=True):
        setattr(thing, name, value)
    return thing


def _event_of(values: list[Any]) -> Event:
    event = Event(*values)
    if event.findings is None:
        return event
    return event._replace(findings=tuple([SchemaFinding(*f) for f in event.findings]))


def _restore_tuples(state: SessionState) -> None:
    """JSON knows lists only."""
    state.loose = tuple([(table, number) for table, number in state.loose])
    if state.findings is not None:
        state.findings = {
            code: (count, ts, detail) for code, (count, ts, detail) in state.findings.items()
        }
    if state.ad is not None:
        state.ad.fields = tuple(state.ad.fields)
    if state.chapter is not None:
        state.chapter.fields = tuple(state.chapter.fields)
    for entered in (state.player_states or {}).values():
        entered.periods = tuple(entered.periods)
