"""Two readings of one session side by side: what differs, named so that a failure explains itself.

Only for tests; imports no `processor`.
"""

import math
from collections.abc import Mapping
from typing import Any

from tests.reference.reading import Reading

TABLES = ("breaks", "ads", "chapters", "player_states", "errors", "findings", "spans")
SINGLE = ("closed", "final", "ended_ms", "elapsed_ms")
Differences = dict[str, tuple[Any, Any]]


def differences(one: Reading, other: Reading) -> Differences:
    """Every field in which the two differ: name -> (in the one, in the other)."""
    found = compared("figures", one.figures._asdict(), other.figures._asdict())
    found |= compared("start", as_fields(one.start), as_fields(other.start))
    for table in TABLES:
        mine = {row[0]: row for row in getattr(one, table)}
        theirs = {row[0]: row for row in getattr(other, table)}
        for key in sorted(mine.keys() | theirs.keys()):
            found |= compared(
                f"{table}[{key}]", as_fields(mine.get(key)), as_fields(theirs.get(key))
            )
    for name in SINGLE:
        found |= compared("session", {name: getattr(one, name)}, {name: getattr(other, name)})
    return found


def as_fields(row: Any) -> dict[str, Any]:
    return {} if row is None else row._asdict()


def compared(where: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Differences:
    names = [*one, *(name for name in other if name not in one)]
    return {
        f"{where}.{name}": (one.get(name), other.get(name))
        for name in names
        if (name in one) != (name in other) or not is_same(one[name], other[name])
    }


def is_same(one: Any, other: Any) -> bool:
    """Equal; floats up to the last digits, which depend on the order of a sum."""
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)
