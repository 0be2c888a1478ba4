"""The time line of a session as a picture: which bar stands where, in percent of its width.

Pure: rows in, places out; the template draws them. Imports `models` and the wording.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from explore.wording import clock, duration, number
from models.time_line import Row, SessionRows, Stretch
from models.time_line_words import ACTIVITIES, COUNTED, counted

_TICKS: Final = 4
_WIDTH_MIN: Final = 0.3
"""Percent: a stall of a second in two hours is to be seen and pointed at."""

_NAME_LENGTH_MAX: Final = 40


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


class Period(NamedTuple):
    """A stretch of time with a player state on. `number`: from 1 for each state."""

    number: int
    x: float
    width: float
    label: str


class Lane(NamedTuple):
    """When one player state was on, below all else."""

    number: int
    name: str
    periods: tuple[Period, ...]


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
    breaks: tuple[Mark, ...]
    chapters: tuple[Mark, ...]
    lanes: tuple[Lane, ...]
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
    scale = _Scale(begin, max(1, end - begin))
    return Picture(
        tuple(_bar(stretch, scale) for stretch in line),
        tuple(_mark(row, scale, end, "break", _is_whole(row, lost)) for row in rows.ad_breaks),
        tuple(_mark(row, scale, end, "chapter", row["completed"]) for row in rows.chapters),
        tuple(_lane(row, scale) for row in rows.player_states if row["periods"]),
        tuple(_flag(one, scale) for one in lost),
        tuple(_tick(part, scale) for part in range(_TICKS + 1)),
    )


def _is_whole(ad_break: Row, lost: Sequence[Missing]) -> bool:
    """Whether both bookends came: by policy a break may be tracked without."""
    return ad_break["tracked"] and f"break {ad_break['break_number']}" not in {
        one.where for one in lost
    }


class _Scale(NamedTuple):
    begin: int
    length: int

    def x(self, at: int) -> float:
        return round(min(100.0, max(0.0, 100 * (at - self.begin) / self.length)), 3)

    def place(self, begin: int, end: int) -> tuple[float, float]:
        """Where something stands, and how wide it is: never too narrow to be pointed at."""
        x, until = self.x(begin), self.x(end)
        if until - x < _WIDTH_MIN:  # to the left: what follows is drawn over what it overlaps
            x = max(0.0, round(until - _WIDTH_MIN, 3))
        return x, round(max(until - x, _WIDTH_MIN), 3)

    def when(self, begin: int, end: int) -> str:
        return f"{clock(begin - self.begin)} to {clock(end - self.begin)}"


def _bar(stretch: Stretch, scale: _Scale) -> Bar:
    kind = counted(stretch)
    ends = stretch.started_at, stretch.ended_at
    label = (
        f"{ACTIVITIES[stretch.activity]}, {scale.when(*ends)}, "
        f"{duration(stretch.duration_ms)}, playhead {number(stretch.playhead_from_s)} to "
        f"{number(stretch.playhead_to_s)} s, counted as {COUNTED[kind]}: {stretch.reason.text} "
        f"(rule {stretch.reason.rule})"
    )
    return Bar(stretch.span_number, *scale.place(*ends), stretch.activity, kind, label)


def _lane(row: Row, scale: _Scale) -> Lane:
    name = row["name"][:_NAME_LENGTH_MAX]
    periods = []
    for count, (begin, end) in enumerate(row["periods"], 1):
        when = f"{scale.when(begin, end)}, {duration(end - begin)}"
        label = f"player state {name}, {when} (rule state-time)"
        periods.append(Period(count, *scale.place(begin, end), label))
    return Lane(row["state_number"], name, tuple(periods))


def _flag(one: Missing, scale: _Scale) -> Flag:
    moved = f", {duration(one.moved_ms)} of ads counted as content" if one.moved_ms else ""
    return Flag(scale.x(one.at), f"{one.bookend} of {one.where} is missing{moved}", one.number)


def _mark(row: Row, scale: _Scale, end: int, kind: str, is_whole: bool) -> Mark:
    x = scale.x(row["started_at"])
    until = end if row["ended_at"] is None else row["ended_at"]
    name = f" “{row['name']}”" if row["name"] else ""
    state = ("whole" if is_whole else "not whole") if kind == "chapter" else ""
    state = state or ("both bookends" if is_whole else "a bookend is missing")
    when = scale.when(row["started_at"], until)
    label = f"{kind} {row[f'{kind}_number']}{name}, {when}, {state}"
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
        number, at = stretch.span_number, stretch.started_at
        first = Missing(bookend, where, 0, stretch.reason.text, number, at)
        one = found.get((bookend, where), first)
        # An opening one is missing before the ad, a closing one after it.
        at = one.at if is_opening else stretch.ended_at
        found[bookend, where] = one._replace(moved_ms=one.moved_ms + moved, at=at)
    return list(found.values())
