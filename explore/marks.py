"""What a session's picture has below its two rows: breaks, chapters, and player states.

Pure: rows in, places and words out; the time line draws them, and a table tells each. Imports
`models` and the wording.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from explore.wording import clock, duration, number
from models.time_line import Row, SessionRows, Stretch

_WIDTH_MIN: Final = 0.3
"""Percent: a stall of a second in two hours is to be seen and pointed at."""

_NAME_LENGTH_MAX: Final = 40


class Scale(NamedTuple):
    """From the session's time to percent of the picture's width. Both in ms."""

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
        return f"{clock(begin - self.begin)} to {clock(end - self.begin)}, {duration(end - begin)}"


class Mark(NamedTuple):
    """A break, a chapter, or a stretch of time with a player state on.

    `x`, `width`: percent. `number`: from 1, of a player state's periods for each state. `playhead`:
    from and to, in words. `why`, `rule`: as a stretch has them. `label`: all of it, for a screen
    reader.
    """

    anchor: str
    look: str
    number: int
    what: str
    since: int
    until: int
    playhead: str
    why: str
    rule: str
    x: float
    width: float
    label: str


class Lane(NamedTuple):
    """When one player state was on, below all else."""

    number: int
    name: str
    periods: tuple[Mark, ...]


class Marks(NamedTuple):
    """All that is below the rows."""

    breaks: tuple[Mark, ...]
    chapters: tuple[Mark, ...]
    lanes: tuple[Lane, ...]

    @property
    def all(self) -> tuple[Mark, ...]:
        """In the order in which they are drawn."""
        periods = [period for lane in self.lanes for period in lane.periods]
        return *self.breaks, *self.chapters, *periods


def marks_of(
    rows: SessionRows, line: Sequence[Stretch], scale: Scale, broken: Collection[str]
) -> Marks:
    """`broken`: the breaks that lack a bookend, each as `break 2`."""
    drawing = _Drawing(line, scale, rows.session["status"] == "live")
    return Marks(
        tuple(drawing.ad_break(row, broken) for row in rows.ad_breaks),
        tuple(drawing.chapter(row) for row in rows.chapters),
        tuple(drawing.lane(row) for row in rows.player_states if row["periods"]),
    )


class _Drawing(NamedTuple):
    line: Sequence[Stretch]
    scale: Scale
    is_live: bool

    def ad_break(self, row: Row, broken: Collection[str]) -> Mark:
        what = f"break {row['break_number']}"
        # By policy a break may be tracked without its bookends.
        is_whole = row["tracked"] and what not in broken
        why, rule = "both bookends came", "both-bookends"
        if self.is_live and row["ended_at"] is None:
            why, rule = "adBreakComplete has not come yet", "tentative"
        elif not is_whole:
            why, rule = "a bookend is missing", "policy-ad" if row["tracked"] else "no-closing"
        look = "whole" if is_whole else "broken"
        return self._thing(row, "break", look, why, rule)

    def chapter(self, row: Row) -> Mark:
        if row["completed"]:
            return self._thing(row, "chapter", "chapter", "completed", "chapter-time")
        return self._thing(row, "chapter", "chapter", "not completed", "chapter-left")

    def _thing(self, row: Row, kind: str, look: str, why: str, rule: str) -> Mark:
        count = row[f"{kind}_number"]
        name = f" “{row['name'][:_NAME_LENGTH_MAX]}”" if row["name"] else ""
        until = self.scale.begin + self.scale.length if row["ended_at"] is None else row["ended_at"]
        ends = row["started_at"], until
        return self._mark(f"{kind}-{count}", look, count, f"{kind} {count}{name}", ends, why, rule)

    def lane(self, row: Row) -> Lane:
        name = row["name"][:_NAME_LENGTH_MAX]
        why = "on, whatever the player did meanwhile"
        periods = (
            self._mark(
                f"state-{row['state_number']}-{count}",
                "on",
                count,
                f"player state {name}",
                (since, until),
                why,
                "state-time",
            )
            for count, (since, until) in enumerate(row["periods"], 1)
        )
        return Lane(row["state_number"], name, tuple(periods))

    def _mark(
        self, anchor: str, look: str, count: int, what: str, ends: tuple[int, int], why: str,
        rule: str,
    ) -> Mark:  # fmt: skip
        playhead = self._playheads(*ends)
        label = f"{what}, {self.scale.when(*ends)}, playhead {playhead}: {why} (rule {rule})"
        x, width = self.scale.place(*ends)
        return Mark(anchor, look, count, what, *ends, playhead, why, rule, x, width, label)

    def _playheads(self, since: int, until: int) -> str:
        inside = [one for one in self.line if one.started_at < until and one.ended_at > since]
        if not inside:
            return "not known"
        return f"{_playhead_at(inside[0], since)} – {_playhead_at(inside[-1], until)} s"


def _playhead_at(stretch: Stretch, at: int) -> str:
    """Within a stretch the playhead moves evenly: where it jumped, another stretch begins."""
    begin_s, end_s = stretch.playhead_from_s, stretch.playhead_to_s
    share = (at - stretch.started_at) / max(1, stretch.ended_at - stretch.started_at)
    return number(round(begin_s + min(1.0, max(0.0, share)) * (end_s - begin_s), 1))
