"""Days in the reader's time zone, at their boundaries and where clocks change; and by the index."""

import re

import pytest
from sqlalchemy import Engine, text

from tests.migrations.test_views import REPORTS
from tests.reports.crowd import write_crowd
from tests.reports.reading import read
from tests.reports.rows import Rows, at

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
