"""Live rows are rebuilt rows for an audience with faults: what `make rebuilt` does, with fewer."""

from pathlib import Path

import pytest

from processor.rebuild import RebuildBounds
from tests.postgres import MakeDatabase
from tests.processor_shell.postgres_world import PostgresWorld
from tests.processor_shell.world import World
from tests.simulation.rebuilt import SETTINGS, compare, fill, simulated

SESSIONS = 150
BOUNDS = RebuildBounds(archive_records_min=500, sessions_min=20, read_records_max=700)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_rows_are_the_same_whatever_they_are_rebuilt_from(
    database: str, make_postgres: MakeDatabase, tmp_path: Path
) -> None:
    world = (
        World(tmp_path, settings=SETTINGS)
        if database == "sqlite"
        else PostgresWorld(tmp_path, settings=SETTINGS, url=make_postgres())
    )
    events = fill(world, simulated(SESSIONS, 3), 3_000)
    seen = compare(world, tmp_path, BOUNDS, lambda _: None)
    world.close()
    assert (seen.sessions, seen.events) == (SESSIONS, events)
    assert seen.rows > 5 * SESSIONS


def test_a_row_that_differs_is_told(tmp_path: Path) -> None:
    world = World(tmp_path, settings=SETTINGS)
    fill(world, simulated(20, 3), 3_000)
    with world.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sessions_closed SET content_ms = content_ms + 1")
    with pytest.raises(AssertionError, match=r"sessions_closed, from log: \d+ rows differ"):
        compare(world, tmp_path, BOUNDS, lambda _: None)
    world.close()
