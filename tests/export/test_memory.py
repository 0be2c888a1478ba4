"""An export holds a few rows in memory, however many there are: on both databases."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import psycopg
import pyarrow.parquet as pq
import pytest

from tests.commands.processes import PATIENCE_S, environment
from tests.postgres import plain
from tests.processor_shell.postgres_world import PostgresWorld
from tests.processor_shell.world import World

FEW: Final = 2_000
MANY: Final = 300_000
GROWTH_MIB_MAX: Final = 64
"""The rows of MANY take some 100 MB as bytes alone, and three times as much as Python's objects."""

# The database counts the rows up by itself; `detail` is different in each.
_FILL: Final = """
INSERT INTO finding_rows (projection, session_id, code, count, first_ts, detail)
SELECT 1, 'session-' || n, 'late_event', n, '2026-01-01 00:00:00.000',
       n || '-' || {words}
FROM {numbers}
"""
_SQLITE: Final = _FILL.format(
    words="hex(zeroblob(150))",
    numbers="(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {0}) "
    "SELECT n FROM c)",
)
_POSTGRES: Final = _FILL.format(
    words="repeat(md5(n::text), 10)", numbers="generate_series(1, {0}) AS n"
)
_PEAK: Final = """
import resource, sys
from bookended import main
main(sys.argv[1:], standalone_mode=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_mib(url: str, path: Path, form: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, "export", "findings", "--format", form, "--output", path],
        env=environment(BOOKENDED_DATABASE=url),
        capture_output=True,
        text=True,
        timeout=8 * PATIENCE_S,
        check=True,
    )
    return int(done.stdout.splitlines()[-1]) / 1024


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_on_sqlite(tmp_path: Path, form: str) -> None:
    peaks = []
    for rows in (FEW, MANY):
        folder = tmp_path / str(rows)
        folder.mkdir()
        world = World(folder)
        with world.engine.begin() as connection:
            connection.exec_driver_sql(_SQLITE.format(rows))
        world.close()
        path = folder / "findings"
        peaks.append(peak_mib(f"sqlite:///{world.database_path}", path, form))
        assert rows_in(path, form) == rows
    assert peaks[1] - peaks[0] < GROWTH_MIB_MAX


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_on_postgres(tmp_path: Path, postgres_url: str, form: str) -> None:
    world = PostgresWorld(tmp_path, url=postgres_url)
    world.close()
    peaks = []
    for rows in (FEW, MANY):
        with psycopg.connect(plain(postgres_url)) as connection:
            connection.execute("DELETE FROM finding_rows")
            connection.execute(_POSTGRES.format(rows))
        path = tmp_path / f"findings-{rows}"
        peaks.append(peak_mib(postgres_url, path, form))
        assert rows_in(path, form) == rows
    assert peaks[1] - peaks[0] < GROWTH_MIB_MAX


def rows_in(path: Path, form: str) -> int:
    if form == "parquet":
        rows: int = pq.read_metadata(path).num_rows
        return rows
    with path.open(encoding="utf-8") as file:
        return sum(1 for _ in file) - 1
