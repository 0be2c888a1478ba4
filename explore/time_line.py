"""The time line of a session as a picture: which bar stands where, in percent of its width.

Pure: rows in, places out; the template draws them. Imports `models`, the marks and the wording.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from explore.marks import Marks, Scale, marks_of
from explore.wording import clock, duration, number
from models.time_line import SessionRows, Stretch
from models.time_line_words import ACTIVITIES, COUNTED, counted

_TICKS: Final = 4


class Bar(NamedTuple):
    """One stretch in both rows. `x`, `width`: percent. `label`: what a screen reader says."""

    number: int
    x: float
    width: float
    activity: str
    counted: str
    label: str


class Flag(NamedTuple):
    """Where a bookend should have been. `number`: the stretch that it is told of at."""

    x: float
    label: str
    number: int


class Tick(NamedTuple):
    """A place on the axis. `anchor`: the side of the text that stands there."""

    x: float
    text: str
    anchor: str


class Picture(NamedTuple):
    """All that is drawn."""

    bars: tuple[Bar, ...]
    marks: Marks
    flags: tuple[Flag, ...]
    ticks: tuple[Tick, ...]


class Missing(NamedTuple):
    """A bookend that never came, and how much ad time it made content. `number`: a stretch; `at`:
    where it should have been, ms since the epoch."""

    bookend: str
    where: str
    moved_ms: int
    text: str
    number: int
    at: int


def picture(rows: SessionRows, line: Sequence[Stretch]) -> Picture | None:
    """The picture of a session's stretches; None where no time passed."""
    if not line:
        return None
    lost = missing(line)
    begin = min(stretch.started_at for stretch in line)
    end = max(stretch.ended_at for stretch in line)
    scale = Scale(begin, max(1, end - begin))
    return Picture(
        tuple(_bar(stretch, scale) for stretch in line),
        marks_of(rows, line, scale, {one.where for one in lost}),
        tuple(_flag(one, scale) for one in lost),
        tuple(_tick(part, scale) for part in range(_TICKS + 1)),
    )


def _bar(stretch: Stretch, scale: Scale) -> Bar:
    kind = counted(stretch)
    ends = stretch.started_at, stretch.ended_at
    label = (
        f"{ACTIVITIES[stretch.activity]}, {scale.when(*ends)}, "
        f"playhead {number(stretch.playhead_from_s)} to {number(stretch.playhead_to_s)} s, "
        f"counted as {COUNTED[kind]}: {stretch.reason.text} "
        f"(rule {stretch.reason.rule})"
    )
    return Bar(stretch.span_number, *scale.place(*ends), stretch.activity, kind, label)


def _flag(one: Missing, scale: Scale) -> Flag:
    moved = f", {duration(one.moved_ms)} of ads counted as content" if one.moved_ms else ""
    return Flag(scale.x(one.at), f"{one.bookend} of {one.where} is missing{moved}", one.number)


def _tick(part: int, scale: Scale) -> Tick:
    anchor = {0: "start", _TICKS: "end"}.get(part, "middle")
    return Tick(100 * part / _TICKS, clock(part * scale.length / _TICKS), anchor)


def missing(line: Sequence[Stretch]) -> list[Missing]:
    """The bookends that did not come, each once, with the ad time that each one moved."""
    found: dict[tuple[str, str], Missing] = {}
    for stretch in line:
        bookend = stretch.reason.missing
        if bookend is None:
            continue
        is_opening = bookend == "adBreakStart"
        where = f"ad {stretch.ad_number}" if is_opening else f"break {stretch.break_number}"
        moved = stretch.duration_ms if stretch.is_unbookended_ad else 0
        number, at = stretch.span_number, stretch.started_at
        first = Missing(bookend, where, 0, stretch.reason.text, number, at)
        one = found.get((bookend, where), first)
        # An opening one is missing before the ad, a closing one after it.
        at = one.at if is_opening else stretch.ended_at
        found[bookend, where] = one._replace(moved_ms=one.moved_ms + moved, at=at)
    return list(found.values())
