"""What goes wrong between a player and the collector: events missing, lost, doubled, late.

Before the record's way: spoils what `audience` plays. Pure: chance comes from the caller. Imports
`players`.
"""

from collections import Counter
from collections.abc import Collection
from random import Random
from typing import Final, Literal, get_args

from commands.players import Sent

Fault = Literal["missing-bookends", "lost", "doubled", "late"]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
# More than the reorder window (5 s), so that some come too late to be put in order again; less than
# what sets a session's clock back (10 min of the player's time).
_LATE_MAX_MS: Final = 9_000
_LATE_PLAYER_MAX_MS: Final = 540_000


def parse_faults(text: str) -> tuple[Fault, ...]:
    """`all`, `none`, or names with commas between. Errors: `ValueError` that lists the names."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return FAULTS
    if names == ["none"]:
        return ()
    chosen = tuple(fault for fault in FAULTS if fault in names)
    if not chosen or len(chosen) < len(set(names)):
        raise ValueError(f"knows all, none, or a list of: {', '.join(FAULTS)}")
    return chosen


def spoil(
    sent: list[Sent], faults: Collection[Fault], speed: float, chance: Random
) -> tuple[list[Sent], Counter[str]]:
    """What is really sent and when, and how often each fault struck. `sessionStart` stays first.

    A late event keeps its `ts` and is sent up to 9 s late by the wall's clock, which is `speed`
    times as much by the player's.
    """
    first, *rest = sent
    struck: Counter[str] = Counter()
    if "missing-bookends" in faults and chance.random() < 0.5:
        rest = _unbookended(rest, chance, struck)
    result: list[Sent] = []
    late_max_ms = min(int(_LATE_MAX_MS * speed), _LATE_PLAYER_MAX_MS)
    for item in rest:
        roll = chance.random()
        if "lost" in faults and roll < 0.02:
            struck["lost"] += 1
            continue
        if "late" in faults and 0.02 <= roll < 0.05:
            struck["late"] += 1
            result.append(item._replace(at_ms=item.at_ms + chance.randrange(1, late_max_ms + 1)))
        else:
            result.append(item)
        if "doubled" in faults and 0.05 <= roll < 0.08:
            struck["doubled"] += 1
            result.append(item)
    return [first, *sorted(result, key=lambda item: item.at_ms)], struck


def _unbookended(rest: list[Sent], chance: Random, struck: Counter[str]) -> list[Sent]:
    missing = chance.choice(("adBreakStart", "adBreakComplete"))
    kept = [item for item in rest if item.type != missing]
    struck["missing-bookends"] += len(rest) - len(kept)
    return kept
