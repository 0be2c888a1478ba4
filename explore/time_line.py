"""The time line of a session as a picture: which bar stands where, in percent of its width.

Pure: rows in, places out; the template draws them. Imports `models` and the wording.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from explore.wording import clock, duration, number
from models.time_line import Row, SessionRows, Stretch
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


class Mark(NamedTuple):
    """A break or chapter below the rows."""

    x: float
    width: float
    label: str
    is_whole: bool


class Tick(NamedTuple):
    """A place on the axis. `anchor`: the side of the text that stands there."""

    x: float
    text: str
    anchor: str


class Picture(NamedTuple):
    """All that is drawn."""

    bars: tuple[Bar, ...]
    breaks: tuple[Mark, ...]
    chapters: tuple[Mark, ...]
    ticks: tuple[Tick, ...]


class Missing(NamedTuple):
    """A bookend that never came, and how much ad time it made content. `number`: a stretch."""

    bookend: str
    where: str
    moved_ms: int
    text: str
    number: int


def picture(rows: SessionRows, line: Sequence[Stretch]) -> Picture | None:
    """The picture of a session's stretches; None where no time passed."""
    if not line:
        return None
    begin = min(stretch.started_at for stretch in line)
    end = max(stretch.ended_at for stretch in line)
    scale = _Scale(begin, max(1, end - begin))
    return Picture(
        tuple(_bar(stretch, scale) for stretch in line),
        tuple(_mark(row, scale, end, "break", row["tracked"]) for row in rows.ad_breaks),
        tuple(_mark(row, scale, end, "chapter", row["completed"]) for row in rows.chapters),
        tuple(_tick(part, scale) for part in range(_TICKS + 1)),
    )


class _Scale(NamedTuple):
    begin: int
    length: int

    def x(self, at: int) -> float:
        return round(min(100.0, max(0.0, 100 * (at - self.begin) / self.length)), 3)


def _bar(stretch: Stretch, scale: _Scale) -> Bar:
    x, end = scale.x(stretch.started_at), scale.x(stretch.ended_at)
    kind = counted(stretch)
    since, until = stretch.started_at - scale.begin, stretch.ended_at - scale.begin
    label = (
        f"{ACTIVITIES[stretch.activity]}, {clock(since)} to {clock(until)}, "
        f"{duration(stretch.duration_ms)}, playhead {number(stretch.playhead_from_s)} to "
        f"{number(stretch.playhead_to_s)} s, counted as {COUNTED[kind]}: {stretch.reason.text} "
        f"(rule {stretch.reason.rule})"
    )
    return Bar(stretch.span_number, x, round(end - x, 3), stretch.activity, kind, label)


def _mark(row: Row, scale: _Scale, end: int, kind: str, is_whole: bool) -> Mark:
    x = scale.x(row["started_at"])
    until = end if row["ended_at"] is None else row["ended_at"]
    name = f" “{row['name']}”" if row["name"] else ""
    state = ("whole" if is_whole else "not whole") if kind == "chapter" else ""
    state = state or ("both bookends" if is_whole else "a bookend is missing")
    label = f"{kind} {row[f'{kind}_number']}{name}, {state}"
    return Mark(x, round(max(0.0, scale.x(until) - x), 3), label, is_whole)


def _tick(part: int, scale: _Scale) -> Tick:
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
        first = Missing(bookend, where, 0, stretch.reason.text, stretch.span_number)
        one = found.get((bookend, where), first)
        found[bookend, where] = one._replace(moved_ms=one.moved_ms + moved)
    return list(found.values())
