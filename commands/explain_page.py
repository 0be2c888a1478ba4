"""A session explained on a page: one file that needs nothing beside it, and no script.

After the record's way. The template escapes whatever it is given, and shows characters without a
shape as their codes. Imports `explained`.
"""

from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from commands.explained import (
    Explanation,
    Run,
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

_FINE_MAX: Final = 150
"""Runs of which each is seen on a phone, however short; of more only the longer ones."""


def page(told: Explanation) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=PackageLoader("commands", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = runs(told.line)
    return environment.get_template("session.html").render(
        told=told,
        facts=facts(told),
        notes=notes(told),
        bars={
            "on screen": [_cell(run, run.stretch.activity, ACTIVITIES) for run in found],
            "counted as": [_cell(run, counted(run.stretch), COUNTED) for run in found],
        },
        is_fine=len(found) <= _FINE_MAX,
        legends={
            "on screen": _legend([run.stretch.activity for run in found], ACTIVITIES),
            "counted as": _legend([counted(run.stretch) for run in found], COUNTED),
        },
        stretches=[_stretch(told, stretch) for stretch in told.line],
        totals={name: clock(ms) for name, ms in total_lines(told).items()},
        length=clock(told.sums["all_ms"]),
        rules=RULES,
        clock=clock,
    )


def _printable(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


def _cell(run: Run, kind: str, words: dict[str, str]) -> dict[str, Any]:
    return {
        "kind": kind,
        "ms": run.duration_ms,
        "title": f"{words[kind]}, {clock(run.duration_ms)}",
    }


def _legend(kinds: list[str], words: dict[str, str]) -> dict[str, str]:
    return {kind: text for kind, text in words.items() if kind in kinds}


def _stretch(told: Explanation, stretch: Stretch) -> dict[str, Any]:
    return {
        "from": clock(offset_ms(told, stretch.started_at)),
        "to": clock(offset_ms(told, stretch.ended_at)),
        "utc": f"{instant_text(stretch.started_at)} to {instant_text(stretch.ended_at)} UTC",
        "length": clock(stretch.duration_ms),
        "activity": stretch.activity,
        "on_screen": on_screen(stretch),
        "counted": counted(stretch),
        "counted_words": COUNTED[stretch.counted_as],
        "playhead": playheads(stretch),
        "belongs": belongings(stretch),
        "reason": stretch.reason,
    }
