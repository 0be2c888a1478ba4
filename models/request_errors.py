"""All that is wrong with a body, in words a player developer understands.

On the record's way: `requests` asks `explain` once a body was refused or looks doubtful; so it may
be slow. Errors come from the pydantic models and from the bounds of `request_values`. Imports
nothing of the project but models.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from models.records import EVENT_TYPES
from models.request_types import (
    Profile,
    envelope_adapter,
    event_adapter,
    needs_params,
)
from models.request_values import (
    VALUES_MAX,
    Fault,
    Path,
    find_faults,
    has_bounded_size,
    parse_leniently,
    path_text,
    value_text,
)

Further = Callable[[Any], Iterator[Fault]]

ERRORS_MAX: Final = 1_000
"""Errors named in one answer, so that no body makes us look for millions of them."""

_KEY_MARK: Final = "[key]"


class FieldError(NamedTuple):
    """One thing that is wrong. `path` as in JavaScript, e.g. `params["media.length"]`."""

    path: str
    message: str


class InvalidBody(Exception):
    """The body breaks the contract. `errors`: all that is wrong, at most `ERRORS_MAX`."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__(f"{len(errors)} errors in a body")
        self.errors = tuple(errors[:ERRORS_MAX])
        self.are_all = len(errors) <= ERRORS_MAX

    def summary(self) -> str:
        """One line that sums the errors up."""
        first = f"{self.errors[0].path} {self.errors[0].message}"
        if len(self.errors) == 1:
            return first
        count = f"{len(self.errors)} errors" if self.are_all else f"over {ERRORS_MAX} errors"
        return f"{count}, the first: {first}"


class Unreadable(Exception):
    """The body is no JSON at all, so nothing else can be said about it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.error = FieldError(path_text(()), message)


def read_leniently(body: bytes) -> Any:
    """The JSON value in a body that a strict parser refused. Raises `Unreadable`."""
    if not body.strip():
        raise Unreadable("is empty: a JSON object with playerTime and eventType is expected")
    try:
        return parse_leniently(body.decode())
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not UTF-8: byte {error.start} cannot be decoded") from error
    except json.JSONDecodeError as error:
        raise Unreadable(
            f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from error
    except RecursionError as error:
        raise Unreadable("is nested too deep") from error


def explain(body: bytes, profile: Profile, asked: Further) -> list[FieldError]:
    """What is wrong with the body of one event; empty when nothing is.

    `asked` adds what the route asks of it beyond the models.
    """
    try:
        fields = read_leniently(body)
    except Unreadable as error:
        return [error.error]
    return _named(chain(event_faults(fields, (), profile), asked(fields)))


def explain_list(body: bytes, profile: Profile, asked: Further) -> list[FieldError]:
    """The same for the body of a finished offline session: an array of events."""
    try:
        events = read_leniently(body)
    except Unreadable as error:
        return [error.error]
    elements = enumerate(events if isinstance(events, list) else ())
    faults = (event_faults(event, (index,), profile) for index, event in elements)
    return _named(chain(asked(events), chain.from_iterable(faults)))


def _named(faults: Iterable[Fault]) -> list[FieldError]:
    """One error for each path: what was found first says it. Looks no further than it must."""
    by_path: dict[str, FieldError] = {}
    for path, message in faults:
        text = path_text(path)
        by_path.setdefault(text, FieldError(text, message))
        if len(by_path) > ERRORS_MAX:
            break
    return list(by_path.values())


def event_faults(fields: Any, at: Path, profile: Profile) -> Iterator[Fault]:
    """Everything that is wrong with one event, a JSON value that stands at path `at`."""
    if not isinstance(fields, dict):
        yield at, f"must be a JSON object, but is {value_text(fields)}"
        return
    if not has_bounded_size(fields):
        yield at, f"is too large: an event holds at most {VALUES_MAX} values"
        return
    yield from find_faults(fields, at, 1)
    event_type: Any = fields.get("eventType")
    is_known = event_type in EVENT_TYPES
    if not is_known:
        yield (*at, "eventType"), _event_type_message(fields)
    elif fields.get("params") is None and needs_params(event_type):
        # So that each missing key is named, not the absent object.
        fields = {**fields, "params": {}}
    adapter = event_adapter(profile) if is_known else envelope_adapter(profile)
    try:
        adapter.validate_python(fields)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["type"] in _SAID_ALREADY:
                continue
            loc = detail["loc"][1:] if is_known else detail["loc"]
            yield (*at, *_without_mark(loc)), _message(detail)


def _without_mark(loc: Path) -> Path:
    return loc[:-1] if loc and loc[-1] == _KEY_MARK else loc


def _event_type_message(fields: dict[str, Any]) -> str:
    known = ", ".join(EVENT_TYPES)
    if "eventType" not in fields:
        return f"is required; known event types: {known}"
    value = fields["eventType"]
    by_folded = {name.lower(): name for name in EVENT_TYPES}
    meant = by_folded.get(value.lower()) if isinstance(value, str) else None
    if meant is not None:
        return f"is {value_text(value)}; upper and lower case count: is {meant} meant?"
    return f"is {value_text(value)}, which is no event type; known are: {known}"


def _message(detail: ErrorDetails) -> str:
    """The text of one pydantic error."""
    fixed = _FIXED.get(detail["type"])
    if fixed is not None:
        return fixed
    shown = value_text(detail["input"])
    match detail["type"]:
        case "number":
            return f"must be {_number_text(detail.get('ctx', {}))}, but is {shown}"
        case "string_pattern_mismatch":
            if detail["loc"][-1] == _KEY_MARK:
                return "this name must consist of letters, digits, underscores and dots"
            return (
                "must be 1 to 64 characters, each a letter, digit, underscore or dot, "
                f"but is {shown}"
            )
        case "literal_error":
            return f"must be {detail.get('ctx', {})['expected']}, but is {shown}"
        case other:
            return f"must be {_TYPE_NAMES.get(other, 'valid')}, but is {shown}"


def _number_text(wanted: dict[str, Any]) -> str:
    text = "a whole number" if wanted["whole"] else "a number"
    if wanted["least"] is None:
        return text
    return f"{text} from {wanted['least']} to {wanted['most']}"


# Of text that is no valid Unicode `find_faults` says more.
_SAID_ALREADY: Final = frozenset(("invalid_key", "string_unicode"))
_FIXED: Final = {
    "missing": "is required",
    "extra_forbidden": "is not a known key; the strict profile refuses those",
    "no_states": 'must have "statesStart" or "statesEnd"',
}
_TYPE_NAMES: Final = {
    "string_type": "a string",
    "bool_type": "true or false",
    "dict_type": "an object",
    "list_type": "an array",
}
