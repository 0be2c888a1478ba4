"""Bodies in, events out: what the collector accepts, and what it finds odd in it.

On the record's way: `ingest.app` hands over the bytes of a request, `models.avro` takes the events.
The rules are docs/http.md "Body". One pass of the pydantic models over the bytes decides; only a
body that was refused, or that a cheap test finds doubtful, is read a second time to say all that is
wrong with it. Imports nothing of the project but models.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json

from models.limits import DETAIL_LENGTH_MAX
from models.records import EVENT_TYPES, Event, EventType, SchemaFinding, playhead_to_ms
from models.request_errors import FieldError, InvalidBody, explain, explain_list
from models.request_fields import (
    PARAMS,
    PLAYER_TIME_KEYS,
    QOE_KEYS,
    TOP_KEYS,
    Kind,
    Need,
)
from models.request_types import PROFILES, Profile, event_adapter
from models.request_values import (
    SHOWN_LENGTH_MAX,
    Fault,
    OutOfBounds,
    Path,
    count_keys,
    has_bounded_size,
    path_text,
    shortened,
    value_text,
)

__all__ = ["PROFILES", "FieldError", "InvalidBody", "Profile", "RequestReader"]

FINDINGS_MAX: Final = 16
"""Findings that one event carries; what is beyond is counted in the last one."""

_DOWNLOADED: Final = "media.downloaded"
_ESCAPED_NUL: Final = b"\\u0000"
_KNOWN_PARAMS: Final[dict[EventType, frozenset[str]]] = {
    event_type: QOE_KEYS.union(key.name for key in keys) for event_type, keys in PARAMS.items()
}
_WANTED_PARAMS: Final[dict[EventType, tuple[str, ...]]] = {
    event_type: wanted
    for event_type, keys in PARAMS.items()
    if (wanted := tuple(key.name for key in keys if key.need is Need.STRICT))
}
_NESTED: Final = {
    key.name: key.kind
    for keys in PARAMS.values()
    for key in keys
    if key.kind in (Kind.STATES, Kind.CUSTOMER_IDS)
}
_NESTED_KEYS: Final = {
    Kind.STATES: frozenset(("media.state.name",)),
    Kind.CUSTOMER_IDS: frozenset(("id", "authState")),
}


class RequestReader:
    """Reads bodies under one profile. Every method raises `InvalidBody` with all errors."""

    def __init__(self, profile: Profile) -> None:
        self._profile: Profile = profile
        validator = event_adapter(profile).validator
        self._validate_json = validator.validate_json
        self._validate_python = validator.validate_python

    def read_event(self, body: bytes) -> Event:
        """One event of any type."""
        return self._read(body, _nothing)

    def read_session_start(self, body: bytes) -> Event:
        """The event that opens a session."""
        event = self._read(body, _opens_session)
        if event.type != "sessionStart":
            raise InvalidBody(explain(body, self._profile, _opens_session))
        return event

    def _read(self, body: bytes, further: Any) -> Event:
        try:
            fields = self._validate_json(body)
            # Each key has its colon. If only `playhead` and `ts` have one besides the keys of the
            # top, all else is absent or empty, and no bound but the models' can be broken.
            colons = body.count(b":")
            if colons == len(fields) + 2 and fields.keys() <= TOP_KEYS:
                time = fields["playerTime"]
                playhead_ms = playhead_to_ms(time["playhead"])
                return Event(fields["eventType"], round(time["ts"]), playhead_ms)
            keys = count_keys(fields, 1)
        except (ValidationError, OutOfBounds) as error:
            raise self._refusal(explain(body, self._profile, further), error) from None
        # More colons than keys: one stands in a string, or a key came twice.
        if (keys != colons or _ESCAPED_NUL in body) and (
            errors := explain(body, self._profile, further)
        ):
            raise InvalidBody(errors)
        return event_of(fields)

    def read_offline(self, body: bytes) -> list[Event]:
        """The events of a finished offline session: an array that `sessionStart` opens."""
        try:
            elements = from_json(body, allow_inf_nan=False)
            if next(_opens_offline_list(elements), None):
                raise OutOfBounds
            events, keys = self._read_elements(elements)
        except (ValueError, OutOfBounds) as error:
            errors = explain_list(body, self._profile, _opens_offline_list)
            raise self._refusal(errors, error) from None
        if (keys != body.count(b":") or _ESCAPED_NUL in body) and (
            errors := explain_list(body, self._profile, _opens_offline_list)
        ):
            raise InvalidBody(errors)
        return events

    def _read_elements(self, elements: list[Any]) -> tuple[list[Event], int]:
        events = []
        keys = 0
        for index, element in enumerate(elements):
            if not (isinstance(element, dict) and has_bounded_size(element)):
                raise OutOfBounds
            fields = self._validate_python(element)
            elements[index] = None  # As the events grow, the list shrinks: 8 MiB is 100 in memory.
            keys += count_keys(fields, 1)
            events.append(event_of(fields))
        return events, keys

    def _refusal(self, errors: list[FieldError], error: Exception) -> InvalidBody:
        """`errors` may only be empty when the two readings differ: then the parser's word holds."""
        text = " ".join(str(error).split())[:DETAIL_LENGTH_MAX]
        return InvalidBody(errors or [FieldError(path_text(()), f"is not valid: {text}")])


def _nothing(fields: Any) -> Iterator[Fault]:
    return iter(())


def _opens_session(fields: Any) -> Iterator[Fault]:
    event_type = fields.get("eventType") if isinstance(fields, dict) else None
    if event_type in EVENT_TYPES[1:]:
        yield ("eventType",), f"must be sessionStart to open a session, but is {event_type}"


def _opens_offline_list(events: Any) -> Iterator[Fault]:
    if not isinstance(events, list):
        yield (), f"must be an array of events, sessionStart first, but is {value_text(events)}"
    elif not events:
        yield (), "must hold at least one event, sessionStart first, but is an empty array"
    elif isinstance(events[0], dict):
        if events[0].get("eventType") in EVENT_TYPES[1:]:
            yield (0, "eventType"), "must be sessionStart: an offline session begins with it"
        params = events[0].get("params")
        downloaded = params.get(_DOWNLOADED) if isinstance(params, dict) else None
        if downloaded is None:
            yield (0, "params", _DOWNLOADED), "is required, and true, in an array of events"
        elif downloaded is not True:
            shown = value_text(downloaded)
            yield (0, "params", _DOWNLOADED), f"must be true in an array of events, but is {shown}"


def event_of(fields: dict[str, Any]) -> Event:
    """The event in a validated body. `null` and `{}` count as absent."""
    time = fields["playerTime"]
    kind = fields["eventType"]
    params = fields.get("params") or None
    qoe = fields.get("qoeData") or None
    is_odd = (
        len(time) != 2
        or kind in _WANTED_PARAMS
        or not fields.keys() <= TOP_KEYS
        or (params is not None and not params.keys() <= _KNOWN_PARAMS[kind])
        or (qoe is not None and not qoe.keys() <= QOE_KEYS)
        or kind == "statesUpdate"
    )
    return Event(
        kind,
        round(time["ts"]),
        playhead_to_ms(time["playhead"]),
        params,
        qoe,
        fields.get("customMetadata") or None,
        _findings(fields) if is_odd else None,
    )


def _findings(fields: dict[str, Any]) -> tuple[SchemaFinding, ...] | None:
    found = [*_missing(fields), *_unknown(fields)]
    if len(found) > FINDINGS_MAX:
        more = len(found) - FINDINGS_MAX + 1
        last = found[FINDINGS_MAX - 1]
        found[FINDINGS_MAX - 1 :] = [SchemaFinding(last.code, f"{more} more, not named one by one")]
    return tuple(found) or None


def _missing(fields: dict[str, Any]) -> Iterator[SchemaFinding]:
    kind = fields["eventType"]
    params = fields.get("params") or {}
    for name in _WANTED_PARAMS.get(kind, ()):
        if name not in params:
            yield SchemaFinding(
                "missing_param", f"{kind}: {path_text(('params', name))} is missing"
            )


def _unknown(fields: dict[str, Any]) -> Iterator[SchemaFinding]:
    kind: EventType = fields["eventType"]
    params = fields.get("params") or {}
    for path, found, known in (
        ((), fields, TOP_KEYS),
        (("playerTime",), fields["playerTime"], PLAYER_TIME_KEYS),
        (("params",), params, _KNOWN_PARAMS[kind]),
        (("qoeData",), fields.get("qoeData") or {}, QOE_KEYS),
        *_nested(params),
    ):
        for name in found:
            if name not in known:
                yield _unknown_finding(kind, (*path, name), found[name])


def _nested(
    params: dict[str, Any],
) -> Iterator[tuple[Path, dict[str, Any], frozenset[str]]]:
    for name in params.keys() & _NESTED.keys():
        kind = _NESTED[name]
        inner = params[name]
        pairs = inner.items() if isinstance(inner, dict) else enumerate(inner)
        for place, fields in pairs:
            yield ("params", name, place), fields, _NESTED_KEYS[kind]


def _unknown_finding(kind: str, path: Path, value: Any) -> SchemaFinding:
    # Only params and qoeData reach the log whole: of other keys this line keeps what came.
    shown = shortened(json.dumps(value, ensure_ascii=False), SHOWN_LENGTH_MAX)
    detail = f"{kind}: {path_text(path)} is not a known key; it is {shown}"
    return SchemaFinding("unknown_param", detail[:DETAIL_LENGTH_MAX])
