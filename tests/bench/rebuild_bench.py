"""Rebuild from an archive: events a second of one core, beside a bare loop over the same files.

Times are of the processor core. A rebuild checks the files, decodes, folds and writes a candidate
into SQLite; the bare loop is `fastavro.reader` followed by nothing.
"""

import tempfile
from contextlib import closing
from pathlib import Path
from random import Random
from time import process_time
from typing import Final

from fastavro import reader

import migrations
from commands.interpreter import tune_interpreter
from models.archived import to_fields
from models.policy import DEFAULT_POLICY
from processor.archive import PartitionArchive, open_partition
from processor.archive_file import GrowingFile
from processor.archive_reader import read_archived
from processor.database import open_database
from processor.projection import Projection, ensure_live_projection
from processor.projections import create_candidate
from processor.rebuild import Part, RebuildBounds, Target, batches_of, rebuild_part
from tests.bench.figures import Effort, Figure, alternate, at_least, ratios
from tests.bench.mix import chunks, whole_log

TOPIC: Final = "media-events"
LOG: Final = ("bench", "bench")


def bench(effort: Effort) -> list[Figure]:
    effort.tell("writing an archive of the usual mix")
    tune_interpreter()  # as a rebuild's workers do
    with tempfile.TemporaryDirectory() as folder:
        archive, count = _archive(Path(folder), effort.size(500, 20))
        samples = alternate(
            effort,
            {
                "rebuild": lambda: _rebuild(Path(folder), archive),
                "reading": lambda: _reading(archive),
                "fastavro": lambda: _fastavro(archive),
            },
        )
    rebuild, reading, library = (samples[name] for name in ("rebuild", "reading", "fastavro"))
    return [
        Figure("rebuild from the archive, one core", "events/s", [count / s for s in rebuild]),
        Figure("reading the archive alone", "events/s", [count / s for s in reading]),
        Figure("fastavro.reader, the same files", "events/s", [count / s for s in library]),
        Figure("rebuild to fastavro.reader", "", ratios(library, rebuild), at_least(0.6)),
        Figure("reading alone to fastavro.reader", "", ratios(library, reading)),
    ]


def _archive(root: Path, sessions: int) -> tuple[PartitionArchive, int]:
    """As the archiver writes it, in one file; and how many records it holds."""
    archive = open_partition(root / "archive", TOPIC, 0, LOG[1])
    log = whole_log(Random(1), sessions=sessions, content_ms=1_800_000)
    growing = GrowingFile(archive.path, 0, log[0][0])
    for records in chunks(log):
        for record in records:
            growing.add(to_fields(record))
    archive.append(growing.finish(len(log)))
    return archive, len(log)


def _rebuild(folder: Path, archive: PartitionArchive) -> float:
    """The processor time of one rebuild into a database of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        engine = open_database(f"sqlite:///{place}/analytics.db")
        migrations.upgrade(engine)
        ensure_live_projection(engine, DEFAULT_POLICY, 0)
        candidate = create_candidate(engine, DEFAULT_POLICY, None, 0)
        part = Part(0, LOG, TOPIC, 0, Target(archive.next_offset or 0, None))
        bounds = RebuildBounds()
        read = batches_of(archive, None, 0, bounds)
        begin = process_time()
        rebuild_part(Projection(engine, candidate), read, part, bounds, lambda *_: None)
        spent_s = process_time() - begin
        engine.dispose()
        return spent_s


def _reading(archive: PartitionArchive) -> float:
    begin = process_time()
    for _ in read_archived(archive, 0):
        pass
    return process_time() - begin


def _fastavro(archive: PartitionArchive) -> float:
    begin = process_time()
    for entry in archive.entries:
        with closing((archive.path / (entry.file or "")).open("rb")) as file:
            for _ in reader(file):
                pass
    return process_time() - begin
