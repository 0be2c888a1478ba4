"""A small embedded log and an archiver over it. Only for tests."""

import sqlite3
import threading
from pathlib import Path

from fastavro import reader

from ingest.log_file import prepare_log
from models.archived import from_fields
from models.avro import encode
from models.records import Event, LogRecord, Record
from processor.archive import read_archive
from processor.archiver import ArchiveBounds, Archiver
from processor.embedded_source import EmbeddedSource

T0 = 1_760_000_000_000  # 2025-10-09T08:53:20Z
DAY_MS = 86_400_000
SMALL = ArchiveBounds(records_max=10)


class Log:
    """An embedded log that a test writes to."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "log.db"
        prepare_log(self.path)

    def append(self, received_at: int, key: str, value: bytes) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.execute(
                "INSERT INTO log_records (received_at, key, value) VALUES (?, ?, ?)",
                (received_at, key, value),
            )
        connection.close()

    def pings(self, count: int, received_at: int = T0) -> None:
        """Pings of three sessions, a second between arrivals."""
        for number in range(count):
            at = received_at + 1_000 * number
            key = f"{number % 3:064x}"
            event = Event("ping", at, 1_000 * number)
            self.append(at, key, encode(key, (event,)))

    def cut(self, start_offset: int) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.execute('DELETE FROM log_records WHERE "offset" < ?', (start_offset,))
        connection.close()

    def records(self) -> list[LogRecord]:
        source = EmbeddedSource(self.path)
        source.seek(0, 1)
        found: list[LogRecord] = []
        while records := source.poll(0, 1_000):
            found += records
        source.close()
        return found


def archive(
    log: Log, root: Path, bounds: ArchiveBounds = SMALL, *, accepts_gap: bool = False
) -> int:
    """Archives all that the log has; says how many records that were."""
    return archive_log(log.path, root, bounds, accepts_gap=accepts_gap)


def archive_log(
    path: Path, root: Path, bounds: ArchiveBounds = SMALL, *, accepts_gap: bool = False
) -> int:
    """The same of a log file."""
    source = EmbeddedSource(path)
    archiver = Archiver(source, root, bounds, lambda: 0.0, accepts_gap=accepts_gap)
    counts: list[int] = []
    try:
        archiver.run(threading.Event(), follow=False, progress=counts.append)
    finally:
        source.close()
    return sum(counts)


def archived(root: Path) -> list[tuple[int, Record | LogRecord]]:
    """What any Avro reader finds in the files that the manifest names, in its order."""
    found = []
    for partition in read_archive(root):
        for entry in partition.entries:
            if entry.file is None:
                continue
            with (partition.path / entry.file).open("rb") as file:
                for fields in reader(file):
                    assert isinstance(fields, dict)
                    found.append((fields["offset"], from_fields(partition.partition, fields)))
    return found
