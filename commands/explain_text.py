"""A session explained in a terminal: readable at any width, and without colour.

After the record's way. Imports `explained`.
"""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from commands.explained import (
    Explanation,
    belongings,
    clock,
    facts,
    notes,
    offset_ms,
    playheads,
    runs,
    total_lines,
)
from commands.printable import printable
from models.tables_types import instant_text
from models.time_line import Stretch
from models.time_line_words import ACTIVITIES, COUNTED, RULES, counted, on_screen

_LABEL: Final = 12
_BAR_MIN: Final = 10
_SIGNS: Final = {
    "content": ("C", "white on blue"),
    "ad": ("A", "black on yellow"),
    "break": ("-", "black on cyan"),
    "pause": ("P", "white on bright_black"),
    "buffer": ("B", "white on magenta"),
    "stall": ("S", "white on magenta"),
    "startup": ("W", "black on white"),
    "ended": ("E", "bright_black"),
    "untracked": ("?", "bright_black"),
}
_COUNTED_SIGNS: Final = {
    "content": ("C", "white on blue"),
    "ad": ("A", "black on yellow"),
    "none": (".", "bright_black"),
    "moved": ("!", "bold white on red"),
}


def show(console: Console, told: Explanation, *, with_utc: bool) -> None:
    """Prints it. `with_utc`: the wall clock instead of the time since the session's start."""
    for line in lines(told, console.width, with_utc=with_utc):
        console.print(line, highlight=False, soft_wrap=True)


def lines(told: Explanation, width: int, *, with_utc: bool) -> Iterator[Text]:
    """All of it, for a terminal of this width."""
    for name, value in facts(told).items():
        yield Text.assemble((f"{name:{_LABEL}}", "bold"), printable(value))
    for note in notes(told):
        yield from (Text(line, "bold yellow") for line in textwrap.wrap(note, width))
    if told.line:
        yield Text()
        yield from _bar_lines(told.line, max(width - _LABEL, _BAR_MIN))
        yield Text()
        yield from _stretch_lines(told, width, with_utc=with_utc)
    if told.findings:
        yield Text()
        yield from _finding_lines(told, width)
    yield Text()
    yield from _total_lines(told)


# --- the bar -------------------------------------------------------------------------------------


def bar(line: Sequence[Stretch], width: int) -> list[Stretch]:
    """The line in `width` cells, to scale: the stretch that each cell shows.

    Each run of stretches that look alike has a cell at least, as long as there are enough of them.
    """
    found = runs(line)
    all_ms = sum(run.duration_ms for run in found)
    own = 1 if len(found) <= width else 0
    shared = width - own * len(found)
    cells: list[Stretch] = []
    passed_ms = 0
    for number, run in enumerate(found, 1):
        passed_ms += run.duration_ms
        end = own * number + round(shared * passed_ms / all_ms)
        cells += [run.stretch] * (end - len(cells))
    return cells


def _bar_lines(line: Sequence[Stretch], width: int) -> Iterator[Text]:
    cells = bar(line, width)
    rows: tuple[tuple[str, Callable[[Stretch], tuple[str, str]]], ...] = (
        ("on screen", lambda stretch: _SIGNS[stretch.activity]),
        ("counted as", lambda stretch: _COUNTED_SIGNS[counted(stretch)]),
    )
    for name, sign in rows:
        yield Text.assemble((f"{name:{_LABEL}}", "bold"), *map(sign, cells))
    end = clock(sum(stretch.duration_ms for stretch in line))
    yield Text(f"{'':{_LABEL}}0:00{end:>{width - 4}}")
    shown = [name for name in _SIGNS if any(s.activity == name for s in line)]
    yield Text(f"{'':{_LABEL}}") + _legend(shown, _SIGNS, ACTIVITIES)
    shown = [name for name in _COUNTED_SIGNS if any(counted(s) == name for s in line)]
    yield Text(f"{'':{_LABEL}}") + _legend(shown, _COUNTED_SIGNS, COUNTED)


def _legend(names: Sequence[str], signs: dict[str, tuple[str, str]], words: dict[str, str]) -> Text:
    return Text("  ").join(Text.assemble(signs[name], f" {words[name]}") for name in names)


# --- stretches, findings, totals -----------------------------------------------------------------


def _stretch_lines(told: Explanation, width: int, *, with_utc: bool) -> Iterator[Text]:
    time = 24 if with_utc else 11
    head = f"{'from':>{time}} {'to':>{time}} {'length':>11}  {'on screen':13} {'counted as':10} "
    yield Text(f"{head} playhead", "bold")

    def at(instant: int) -> str:
        return instant_text(instant) if with_utc else clock(offset_ms(told, instant))

    for stretch in told.line:
        row = (
            f"{at(stretch.started_at):>{time}} {at(stretch.ended_at):>{time}}"
            f" {clock(stretch.duration_ms):>11}  {on_screen(stretch):13} "
        )
        shown = "content !" if stretch.is_unbookended_ad else COUNTED[stretch.counted_as]
        is_missing = stretch.reason.missing is not None
        yield Text.assemble(
            row, (f"{shown:10}", "bold red" if is_missing else ""), f"  {playheads(stretch)}"
        )
        things = ", ".join(belongings(stretch))
        why = f"{stretch.reason.text} ({RULES}#{stretch.reason.rule})"
        yield from _indented(printable(f"{things}: {why}" if things else why), width)


def _indented(text: str, width: int, style: str = "") -> Iterator[Text]:
    indent = "    "
    wrapped = textwrap.wrap(
        text,
        max(width, 40),
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )
    return (Text(line, style) for line in wrapped)


def _finding_lines(told: Explanation, width: int) -> Iterator[Text]:
    yield Text("findings", "bold")
    for found in told.findings:
        first = "" if found.from_start_ms is None else f", first at {clock(found.from_start_ms)}"
        times = "once" if found.count == 1 else f"{found.count:,} times"
        yield Text.assemble((f"  {found.code}", "yellow"), f", {times}{first}")
        yield from _indented(printable(found.detail), width)
        yield from _indented(f"→ {found.advice}", width, "green")


def _total_lines(told: Explanation) -> Iterator[Text]:
    yield Text("totals, each the sum of its stretches", "bold")
    for name, ms in total_lines(told).items():
        yield Text(f"  {name:26}{clock(ms):>12}")
