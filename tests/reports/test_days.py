"""Days in the reader's time zone, at their boundaries and where clocks change; and by the index."""

import contextlib
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.migrations.test_views import REPORTS
from tests.reports.crowd import write_crowd
from tests.reports.local_days import FILE, script
from tests.reports.reading import read
from tests.reports.rows import Rows, at
from tests.sqlite import new_sqlite

Local = tuple[Engine, Callable[[str], list[Any]]]
BERLIN = "SET TimeZone = 'Europe/Berlin'"
COUNTS = "SELECT day, starts FROM content_daily ORDER BY day"


def starting_at(engine: Engine, *starts: str) -> Rows:
    rows = Rows(engine)
    for number, start in enumerate(starts):
        rows.session(f"closed-{number}", start)
        rows.session(f"live-{number}", start, live=True)
    return rows


def test_a_day_lasts_from_midnight_to_midnight(engine: Engine) -> None:
    starting_at(
        engine,
        "2026-02-28 23:59:59.999",
        "2026-03-01 00:00",
        "2026-03-01 23:59:59.999",
        "2026-03-02 00:00",
    )
    assert read(engine, COUNTS) == [("2026-02-28", 2), ("2026-03-01", 4), ("2026-03-02", 2)]


def test_days_are_those_of_the_reader(postgres_engine: Engine) -> None:
    """Berlin is an hour ahead of UTC in winter."""
    starting_at(
        postgres_engine, "2026-02-28 22:59:59.999", "2026-02-28 23:00", "2026-03-01 22:59:59.999"
    )
    assert read(postgres_engine, COUNTS) == [("2026-02-28", 4), ("2026-03-01", 2)]
    assert read(postgres_engine, COUNTS, BERLIN) == [("2026-02-28", 2), ("2026-03-01", 4)]


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [
        ("2026-03-29", "2026-03-28 23:00", "2026-03-29 21:59:59.999"),  # 23 hours
        ("2026-10-25", "2026-10-24 22:00", "2026-10-25 22:59:59.999"),  # 25 hours
    ],
)
def test_a_day_on_which_clocks_change(
    postgres_engine: Engine, day: str, first: str, last: str
) -> None:
    before, after = (at(first) - 1, at(last) + 1)
    rows = starting_at(postgres_engine, first, last)
    for number, ms in enumerate((before, after)):
        rows.session(f"outside-{number}", first, started_at=ms)
    assert read(postgres_engine, f"{COUNTS} LIMIT 1 OFFSET 1", BERLIN) == [(day, 4)]
    assert [starts for _, starts in read(postgres_engine, COUNTS, BERLIN)] == [1, 4, 1]


@pytest.fixture
def crowd(postgres_engine: Engine) -> Engine:
    """100 sessions over ten days."""
    write_crowd(postgres_engine, 5, 100, at("00:00"), 10 * 86_400_000)
    with postgres_engine.begin() as connection:
        connection.execute(text("ANALYZE"))
    return postgres_engine


@pytest.mark.parametrize("view", REPORTS)
def test_a_day_is_found_by_an_index(crowd: Engine, view: str) -> None:
    """The tables are small, so whole scans are forbidden to see what large ones get."""
    with crowd.connect() as connection:
        connection.execute(text("SET enable_seqscan = off"))
        query = text(f"EXPLAIN SELECT * FROM {view} WHERE day = '2026-03-04'")  # noqa: S608
        plan = "\n".join(connection.execute(query).scalars())
    assert re.search(r"Index Cond: .*started_at >= .* AND \(?started_at < ", plan), plan
    assert "(day = '2026-03-04'::date)" in plan, "of the list of days"


# --- SQLite, in the time zone of the process -----------------------------------------------------


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    """Makes a reader of a file, in a process whose time zone is Berlin's."""
    engine = new_sqlite(tmp_path / "analytics.db")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()

    def read_locally(query: str) -> list[Any]:
        reader = sqlite3.connect(f"file:{tmp_path}/analytics.db?mode=ro", uri=True)
        with contextlib.closing(reader):
            reader.executescript(FILE.read_text(encoding="utf-8"))
            return reader.execute(query).fetchall()

    yield engine, read_locally
    engine.dispose()
    monkeypatch.undo()
    time.tzset()


def test_local_days_on_sqlite(local: Local) -> None:
    """Winter, the days of 23 and of 25 hours, and summer."""
    engine, read_locally = local
    days = {
        "2026-03-01": ("2026-02-28 23:00", "2026-03-01 22:59:59.999"),
        "2026-03-29": ("2026-03-28 23:00", "2026-03-29 21:59:59.999"),
        "2026-07-01": ("2026-06-30 22:00", "2026-07-01 21:59:59.999"),
        "2026-10-25": ("2026-10-24 22:00", "2026-10-25 22:59:59.999"),
    }
    rows = starting_at(engine, *(instant for pair in days.values() for instant in pair))
    for number, (first, last) in enumerate(days.values()):
        rows.session(f"before-{number}", first, started_at=at(first) - 1)
        rows.session(f"after-{number}", last, started_at=at(last) + 1)
    found = dict(read_locally(COUNTS))
    assert {day: found[day] for day in days} == dict.fromkeys(days, 4)
    assert sum(found.values()) == 4 * len(days) + 2 * len(days)
    query = "SELECT starts FROM content_daily WHERE day = '2026-03-29'"
    assert read_locally(query) == [(4,)]
    assert read(engine, COUNTS) != read_locally(COUNTS), "days are UTC for everyone else"


def test_local_minutes_on_sqlite(local: Local) -> None:
    engine, read_locally = local
    rows = Rows(engine)
    rows.session("a", "22:59", content_id="film")
    rows.span("a", 1, "22:59", "23:01")
    assert read_locally("SELECT day, minute FROM audience_minute ORDER BY minute") == [
        ("2026-03-01", "2026-03-01 22:59:00.000"),
        ("2026-03-02", "2026-03-01 23:00:00.000"),
    ]


def test_the_script_of_local_days_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == script(), (
        "`python -m tests.reports.local_days` writes it anew"
    )
