"""Rebuild from an archive: events a second of one core, beside a bare loop over the same files.

Times are of the processor core. A rebuild checks the files, decodes, folds and writes a candidate
into SQLite; the bare loop is `fastavro.reader` followed by nothing. DuckDB computes content and ad
time of the same events from a Parquet file by window functions, on one thread: the simple rule
alone, by bookends and play or pause, and no other figure.
"""

import tempfile
from contextlib import closing
from pathlib import Path
from time import process_time
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from fastavro import reader

import migrations
from commands.interpreter import tune_interpreter
from models.avro import decode
from models.policy import DEFAULT_POLICY
from processor.archive import PartitionArchive
from processor.archive_reader import read_by_session
from processor.database import open_database
from processor.projection import Projection, ensure_live_projection
from processor.projections import create_candidate
from processor.rebuild import Part, RebuildBounds, Target, batches_of, rebuild_part
from tests.bench.archives import LOG_ID, TOPIC, small_log, write_archive
from tests.bench.figures import Effort, Figure, alternate, at_least, ratios
from tests.bench.mix import Stored, chunks

SIMPLE_RULE: Final = """
WITH told AS (
    SELECT session_id, lead(ts) OVER place - ts AS dt,
        sum(CASE type WHEN 'adBreakStart' THEN 1 WHEN 'adBreakComplete' THEN -1 ELSE 0 END)
            OVER place AS open_breaks,
        last_value(CASE WHEN type IN ('play', 'pauseStart') THEN type END IGNORE NULLS)
            OVER place AS player
    FROM read_parquet(?)
    WINDOW place AS (PARTITION BY session_id ORDER BY ts, log_offset)
)
SELECT session_id, sum(dt) FILTER (open_breaks = 0 AND player = 'play') AS content_ms,
    sum(dt) FILTER (open_breaks > 0) AS ad_ms
FROM told GROUP BY session_id
"""


def bench(effort: Effort) -> list[Figure]:
    effort.tell("writing an archive of the usual mix")
    tune_interpreter()  # as a rebuild's workers do
    with tempfile.TemporaryDirectory() as folder:
        log = small_log(effort.size(1_000, 20))
        archive, count = write_archive(Path(folder) / "archive", log), len(log)
        events = _write_parquet(Path(folder) / "events.parquet", log)
        del log
        samples = alternate(
            effort,
            {
                "rebuild": lambda: _rebuild(Path(folder), archive),
                "reading": lambda: _reading(archive),
                "fastavro": lambda: _fastavro(archive),
                "duckdb": lambda: _duckdb(events),
            },
        )
    rebuild, reading, library, simple = samples.values()
    return [
        Figure("rebuild from the archive, one core", "events/s", [count / s for s in rebuild]),
        Figure("reading the archive alone", "events/s", [count / s for s in reading]),
        Figure("fastavro.reader, the same files", "events/s", [count / s for s in library]),
        Figure("DuckDB, the simple rule alone", "events/s", [count / s for s in simple]),
        Figure("rebuild to fastavro.reader", "", ratios(library, rebuild), at_least(0.6)),
        Figure("reading alone to fastavro.reader", "", ratios(library, reading)),
        Figure("rebuild to DuckDB's simple rule", "", ratios(simple, rebuild)),
    ]


def _write_parquet(path: Path, log: list[Stored]) -> Path:
    rows: list[dict[str, Any]] = [
        {"session_id": found.session_id, "log_offset": record.offset, "type": it.type, "ts": it.ts}
        for some in chunks(log)
        for record in some
        for found in [decode(record)]
        for it in found.events
    ]
    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
    return path


def _duckdb(events: Path) -> float:
    with duckdb.connect(config={"threads": 1}) as connection:
        begin = process_time()
        connection.execute(SIMPLE_RULE, [str(events)]).fetchall()
        return process_time() - begin


def _rebuild(folder: Path, archive: PartitionArchive) -> float:
    """The processor time of one rebuild into a database of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        engine = open_database(f"sqlite:///{place}/analytics.db")
        migrations.upgrade(engine)
        ensure_live_projection(engine, DEFAULT_POLICY, 0)
        candidate = create_candidate(engine, DEFAULT_POLICY, None, 0)
        (entry,) = archive.entries
        target = Target(entry.next_offset, entry.last_received_at)
        part = Part(0, (LOG_ID, LOG_ID), TOPIC, 0, target)
        bounds = RebuildBounds()
        read = batches_of(archive, None, 0, bounds)
        begin = process_time()
        rebuild_part(Projection(engine, candidate), read, part, bounds, lambda *_: None)
        spent_s = process_time() - begin
        engine.dispose()
        return spent_s


def _reading(archive: PartitionArchive) -> float:
    begin = process_time()
    for _ in read_by_session(archive, 0, RebuildBounds().archive_records_min):
        pass
    return process_time() - begin


def _fastavro(archive: PartitionArchive) -> float:
    begin = process_time()
    for entry in archive.entries:
        with closing((archive.path / (entry.file or "")).open("rb")) as file:
            for _ in reader(file):
                pass
    return process_time() - begin
