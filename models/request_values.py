"""Bounds that hold for every value of a body, known key or not: size of numbers, text, nesting.

On the record's way: `requests` calls `count_keys` on what the models accepted, and `find_faults`
to say what is wrong when something is. The rules are docs/http.md "Body"; what breaks them could be
stored in no column, so it is refused at the door. Imports nothing of the project but models.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from models.limits import BODY_BYTES_MAX, INTEGER_MAX, NESTING_MAX, NUMBER_MAX

Path = tuple[str | int, ...]
Fault = tuple[Path, str]

VALUES_MAX: Final = BODY_BYTES_MAX // 2
"""Values in one event: what fits into the largest body of one. Bounds an event of an array too."""

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_NAME_LENGTH_MAX: Final = 100
SHOWN_LENGTH_MAX: Final = 60
_DIGITS_MAX: Final = 400


class OutOfBounds(Exception):
    """A value breaks a bound. `find_faults` says which one and where."""


def count_keys(value: dict[str, Any] | list[Any], depth: int) -> int:
    """How many keys an accepted JSON value has, nested ones included.

    `depth`: its own level, 1 for the event. Raises `OutOfBounds` for a number or a nesting beyond
    the bounds. Strings need no look: the parser refuses lone surrogates, and U+0000 can only
    come as an escape, which the caller looks for in the bytes.
    """
    if depth > NESTING_MAX:
        raise OutOfBounds
    if type(value) is list:
        keys = 0
        items: Any = value
    else:
        keys = len(value)
        items = value.values()  # type: ignore[union-attr]  # mypy does not narrow by type()
    for item in items:
        kind = type(item)
        if kind is str:
            continue
        if kind is int:
            if not -INTEGER_MAX <= item <= INTEGER_MAX:
                raise OutOfBounds
        elif kind is float:
            if not -NUMBER_MAX <= item <= NUMBER_MAX:
                raise OutOfBounds
        elif kind is dict or kind is list:
            keys += count_keys(item, depth + 1)
    return keys


def has_bounded_size(value: Any) -> bool:
    """Whether an event, not yet validated, holds at most `VALUES_MAX` values.

    Asked before the models are, because they list every error of an event.
    """
    left = VALUES_MAX
    containers = [value]
    while containers:
        container = containers.pop()
        left -= len(container)
        if left < 0:
            return False
        items = container.values() if isinstance(container, dict) else container
        containers.extend(item for item in items if isinstance(item, dict | list))
    return True


class JsonObject(dict[str, Any]):
    """A JSON object that remembers which of its keys came twice."""

    __slots__ = ("doubled",)
    doubled: tuple[str, ...]


def parse_leniently(text: str) -> Any:
    """The JSON value in `text`, with faults that a strict parser stops at left in it.

    NaN and infinities become such floats, lone surrogates stay, objects are `JsonObject`s: so
    `find_faults` can name each. Raises `json.JSONDecodeError`, `RecursionError`.
    """
    return json.loads(text, object_pairs_hook=_object, parse_int=_integer)


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    made = JsonObject(pairs)
    made.doubled = ()
    if len(made) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        made.doubled = tuple(key for key, count in counts.items() if count > 1)
    return made


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS_MAX else float(digits)


def find_faults(value: Any, path: Path, depth: int) -> Iterator[Fault]:
    """Everything in a JSON value that breaks a bound, each with its path."""
    match value:
        case str():
            yield from _text_faults(value, path)
        case bool() | None:
            pass
        case int():
            if not -INTEGER_MAX <= value <= INTEGER_MAX:
                yield path, "must be an integer below 2^53 in magnitude"
        case float():
            if not -NUMBER_MAX <= value <= NUMBER_MAX:
                shown = value_text(value)
                yield path, f"must be a finite number up to 10^15 in magnitude, but is {shown}"
        case dict() | list():
            yield from _container_faults(value, path, depth)


def _text_faults(text: str, path: Path) -> Iterator[Fault]:
    if "\x00" in text:
        yield path, "must not contain the character U+0000"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            yield path, "must not contain half of a surrogate pair (\\ud800 to \\udfff alone)"


def _container_faults(value: dict[str, Any] | list[Any], path: Path, depth: int) -> Iterator[Fault]:
    if depth > NESTING_MAX:
        yield path, f"is nested too deep: objects and arrays go at most {NESTING_MAX} levels deep"
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_faults(item, (*path, index), depth + 1)
        return
    for key, item in value.items():
        for _, message in _text_faults(key, path):
            yield (*path, key), f"this name {message}"
        yield from find_faults(item, (*path, key), depth + 1)
    for key in getattr(value, "doubled", ()):
        yield (*path, key), "comes twice in the same object"


def path_text(path: Path) -> str:
    """A path as one would write it in JavaScript; the body as a whole is `body`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif len(part) <= _NAME_LENGTH_MAX and _PLAIN_NAME.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(shortened(part, _NAME_LENGTH_MAX))}]"
    return text or "body"


def value_text(value: Any) -> str:
    """A value in an error message: what it is, and how it reads if it is short."""
    match value:
        case None | bool():
            return json.dumps(value)
        case str():
            return f"the string {json.dumps(shortened(value, SHOWN_LENGTH_MAX))}"
        case int() | float():
            return f"the number {shortened(json.dumps(value), SHOWN_LENGTH_MAX)}"
        case list():
            return "an array"
        case _:
            return "an object"


def shortened(text: str, length_max: int) -> str:
    """The text, cut with dots when it is too long."""
    return text if len(text) <= length_max else text[: length_max - 3] + "..."
