"""Quality values and errors of an event (semantics.md §8). Only for tests."""

import math
import re
from collections.abc import Sequence
from typing import Final

from models import limits
from models.records import Event
from models.rows import ErrorRow
from tests.reference.columns import Note, name, sent

PREFIX: Final = "media.qoe."
NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
KEYS: Final = {
    "bitrate": "bitrate",
    "droppedFrames": "dropped_frames",
    "timeToStart": "time_to_start",
    "framesPerSecond": "frames_per_second",
}


def qoe_values(event: Event, note: Note) -> dict[str, float]:
    """The values this event brings: `qoeData` before `params`, with or without the prefix."""
    found: dict[str, float] = {}
    if event.qoe is None and event.params is None:
        return found
    for key, ours in KEYS.items():
        for fields in (event.qoe, event.params):
            for wire in (PREFIX + key, key):
                value = sent(fields, wire)
                good = qoe_number(value)
                if good is not None:
                    found.setdefault(ours, good)
                elif value is not None:
                    note("wrong_type")
    return found


def qoe_number(value: object) -> float | None:
    """A number, or one sent as a string; negative ones and booleans are none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        value = float(value)
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return value


def error_source_and_id(event: Event, note: Note) -> tuple[str | None, str | None]:
    """`params` before `qoeData` (§8); a placeholder is none."""
    error_id = name(event.params, "media.errorId", note)
    source = name(event.params, "media.errorSource", note)
    for prefix in (PREFIX, ""):
        if error_id is None:
            error_id = name(event.qoe, prefix + "errorID", note)
        if source is None:
            source = name(event.qoe, prefix + "errorSource", note)
    return source, error_id


def error_ids(errors: Sequence[ErrorRow]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Distinct ids in order of first appearance, at most 100 in all: (player, external) (§8)."""
    players: list[str] = []
    externals: list[str] = []
    for error in errors:
        ids = externals if error.source == "external" else players
        room = len(players) + len(externals) < limits.ERROR_IDS_MAX
        if error.error_id is not None and error.error_id not in ids and room:
            ids.append(error.error_id)
    return tuple(players), tuple(externals)


def is_id_kept(errors: Sequence[ErrorRow]) -> bool:
    """Whether the last error's id, if it has one, is among the kept ones."""
    players, externals = error_ids(errors)
    kept = externals if errors[-1].source == "external" else players
    return errors[-1].error_id is None or errors[-1].error_id in kept
