"""One day of each report: on PostgreSQL among a million sessions of 30 days, on SQLite among fewer.

Each round asks for another day. The server is one of `deploy.local`, on the same cores.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from time import perf_counter
from typing import Final

from sqlalchemy import Engine, text

import migrations
from processor.database import open_database
from tests.bench.figures import Effort, Figure, alternate, at_most
from tests.bench.month import DAYS, QUICK_SESSIONS, fill, million

SQLITE_SESSIONS: Final = 50_000
_FIRST_DAY: Final = date(2026, 3, 1)
_GOALS_MS: Final = {
    "content_daily": 1_000,
    "ad_daily": 1_000,
    "quality_daily": 1_000,
    "findings_daily": 1_000,
    "audience_minute": 2_000,
    "retention": 1_000,
}


def bench(effort: Effort) -> list[Figure]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sqlite = _filled(effort, f"sqlite:///{directory}/bench.db")
        engines = {"PostgreSQL": open_database(million(effort)), "SQLite": sqlite}
        for engine in engines.values():
            stack.callback(engine.dispose)
        figures = [_total(name, engine) for name, engine in engines.items()]
        return [*figures, *(f for name in engines for f in _figures(effort, name, engines[name]))]


def _filled(effort: Effort, url: str) -> Engine:
    engine = open_database(url)
    migrations.upgrade(engine)
    sessions = effort.size(SQLITE_SESSIONS, QUICK_SESSIONS)
    fill(engine, sessions, 1, lambda doing: effort.tell(f"SQLite: {doing}"))
    return engine


def _total(name: str, engine: Engine) -> Figure:
    with engine.connect() as connection:
        count = connection.execute(text("SELECT count(*) FROM sessions")).scalar_one()
    return Figure(f"sessions in all, {name}", "", [count])


def _figures(effort: Effort, name: str, engine: Engine) -> list[Figure]:
    samples = alternate(effort, {view: _asking(engine, view) for view in _GOALS_MS})
    has_goal = name == "PostgreSQL"
    return [
        Figure(f"{view}, a day, {name}", "ms", samples[view], at_most(goal) if has_goal else None)
        for view, goal in _GOALS_MS.items()
    ]


def _asking(engine: Engine, view: str) -> Callable[[], float]:
    """What asks for one day after the other: ms until all of its rows are here."""
    query = text(f"SELECT * FROM {view} WHERE day = :day")  # noqa: S608 - one of our own
    numbers = iter(range(5, DAYS))

    def ask() -> float:
        day = (_FIRST_DAY + timedelta(days=next(numbers))).isoformat()
        with engine.connect() as connection:
            begin = perf_counter()
            rows = connection.execute(query, {"day": day}).all()
            took_ms = (perf_counter() - begin) * 1_000
        assert rows, f"{view} has nothing on {day}"
        return took_ms

    return ask
