"""What a benchmark finds out: figures with their goals, and how they are shown and kept.

A figure is the median of its samples; goals are those of docs/architecture.md. Imports nothing of
the project.
"""

import gc
import json
import os
import platform
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from rich import box
from rich.table import Table

RESULTS: Final = Path(__file__).parent / "results"


class Goal(NamedTuple):
    """A bound that a figure should keep; `is_floor`: it should be at least this."""

    bound: float
    is_floor: bool

    def holds(self, value: float) -> bool:
        return value >= self.bound if self.is_floor else value <= self.bound


def at_least(bound: float) -> Goal:
    return Goal(bound, is_floor=True)


def at_most(bound: float) -> Goal:
    return Goal(bound, is_floor=False)


class Figure(NamedTuple):
    """One measured thing. `samples` has a value a round; a figure without a goal is told only."""

    name: str
    unit: str
    samples: Sequence[float]
    goal: Goal | None = None

    @property
    def value(self) -> float:
        return median(self.samples)

    @property
    def is_met(self) -> bool | None:
        return None if self.goal is None else self.goal.holds(self.value)


class Kept:
    """What a benchmark leaves for those that run after it; `stack` ends all of it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._made: dict[str, str] = {}

    def once(self, name: str, make: Callable[[], AbstractContextManager[str]]) -> str:
        """What `make` gives, made by the first who asks for this name."""
        if name not in self._made:
            self._made[name] = self._stack.enter_context(make())
        return self._made[name]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work a benchmark may make of it. `quick` is for trying the benchmark itself."""

    quick: bool = False
    tell: Callable[[str], None] = field(default=lambda _: None)
    """Says what is being done, for people who wait."""
    kept: Kept = field(default_factory=lambda: Kept(ExitStack()))

    @property
    def rounds(self) -> int:
        return 1 if self.quick else 7

    def size(self, usual: int, quick: int) -> int:
        return quick if self.quick else usual


def alternate(effort: Effort, contenders: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Samples by contender. Each round runs all of them: what slows the machine slows them all."""
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(effort.rounds):
        for name, run in contenders.items():
            effort.tell(f"round {number + 1} of {effort.rounds}: {name}")
            gc.collect()
            samples[name].append(run())
    return samples


def ratios(samples: Sequence[float], to: Sequence[float]) -> list[float]:
    """Round by round."""
    return [a / b for a, b in zip(samples, to, strict=True)]


def number(value: float) -> str:
    """Three or more significant digits, thousands set apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(results: dict[str, list[Figure]]) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("figure", "median", "lowest to highest", "goal", ""):
        shown.add_column(column, justify="left" if column in ("figure", "") else "right")
    for bench, figures in results.items():
        shown.add_row(f"[bold]{bench}[/bold]")
        for figure in figures:
            shown.add_row(*_cells(figure))
    return shown


def _cells(figure: Figure) -> tuple[str, ...]:
    goal = ""
    if figure.goal is not None:
        goal = ("≥ " if figure.goal.is_floor else "≤ ") + number(figure.goal.bound)
    spread = ""
    if len(figure.samples) > 1:
        spread = f"{number(min(figure.samples))} to {number(max(figure.samples))}"
    verdict = {None: "", True: "[green]met[/green]", False: "[red]missed[/red]"}[figure.is_met]
    unit = f" {figure.unit}" if figure.unit else ""
    return f"  {figure.name}", number(figure.value) + unit, spread, goal, verdict


def as_json(results: dict[str, list[Figure]], effort: Effort) -> dict[str, Any]:
    """All of it for a file, with what else decides the figures: the machine and Python."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": effort.quick,
        "machine": {
            "cpu": _cpu(),
            "cpu_count": os.cpu_count(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "figures": [
            {"bench": bench, **_fields(figure)}
            for bench, figures in results.items()
            for figure in figures
        ],
    }


def _fields(figure: Figure) -> dict[str, Any]:
    goal = figure.goal
    return {
        "name": figure.name,
        "unit": figure.unit,
        "median": figure.value,
        "samples": list(figure.samples),
        "goal": None
        if goal is None
        else {"bound": goal.bound, "is": "at least" if goal.is_floor else "at most"},
        "met": figure.is_met,
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def write(results: dict[str, list[Figure]], effort: Effort, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(results, effort), indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def usual_path() -> Path:
    """A file of its own for each run, git-ignored."""
    return RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
