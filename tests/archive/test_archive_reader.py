"""What is read past the Avro library is what the library reads, record for record."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from models import limits
from models.archived import to_fields
from models.avro import encode
from models.records import EVENT_TYPES, Event, LogRecord, Record
from processor.archive import ArchiveDamagedError, Entry, PartitionArchive, open_partition
from processor.archive_file import GrowingFile
from processor.archive_reader import read_archived, read_by_session
from processor.by_session import Stretch, placed, stretch_of
from processor.step import PlacedRecord
from tests.archive.logs import T0, archived

EDGES = [0, 1, 63, 64, 8_191, 8_192, 2**20, 2**27 - 1, 2**27, limits.PLAYHEAD_MS_MAX]
INSTANTS = [0, 2**33, 2**34, T0, 2**40 - 1, 2**40, 2**41, limits.TS_MS_MAX]
OFFSETS = [0, 1, 63, 64, 8_191, 8_192, 2**20, 2**41, 2**55, 2**62]


def key_of(number: int) -> str:
    return f"{number:064x}"


def archive_of(root: Path, records: Sequence[LogRecord]) -> PartitionArchive:
    made = open_partition(root, "topic", 0, "log")
    growing = GrowingFile(made.path, records[0].offset, T0)
    for record in records:
        growing.add(to_fields(record))
    made.append(growing.finish(records[-1].offset + 1))
    return made


def log_record(offset: int, received_at: int, number: int, *events: Event) -> LogRecord:
    key = key_of(number)
    return LogRecord(0, offset, received_at, key.encode(), encode(key, events))


def of_all_kinds(seed: int) -> list[LogRecord]:
    """Mostly pings, as a log is; now and then all that is none, and bytes that are no record."""
    chance = Random(seed)
    records: list[LogRecord] = []
    offset = 0
    for number in range(400):
        offset += chance.choice([1, 1, 1, 2, 100])
        at = T0 + number * 500
        ping = Event("ping", at, chance.randrange(10**8))
        odd = chance.randrange(20)
        if odd == 0:
            ping = ping._replace(params={"name": "x\u0080"}, qoe={"a": 1}, custom={"b": "c"})
        elif odd == 1:
            ping = ping._replace(type=chance.choice(EVENT_TYPES))
        elif odd == 2:
            ping = ping._replace(ts=chance.choice(INSTANTS), playhead_ms=chance.choice(EDGES))
        record = log_record(offset, at, chance.randrange(8), ping)
        if odd == 3:
            record = log_record(offset, at, 1, ping, ping._replace(type="sessionEnd"))
        elif odd == 4:
            record = record._replace(value=b"no record, but one is in it: " + record.value)
        records.append(record)
    return records


def read_whole(archive: PartitionArchive, from_offset: int = 0) -> list[tuple[int, Record]]:
    return [
        (one.offset, one.record)
        for batch in read_archived(archive, from_offset)
        for one in batch.records
    ]


def by_library(root: Path) -> list[tuple[int, Record]]:
    return [(offset, found) for offset, found in archived(root) if isinstance(found, Record)]


@pytest.mark.parametrize("seed", range(10))
def test_records_of_all_kinds_are_those_of_the_library(seed: int, tmp_path: Path) -> None:
    log = of_all_kinds(seed)
    archive = archive_of(tmp_path, log)
    expected = by_library(tmp_path)
    assert read_whole(archive) == expected
    middle = log[len(log) // 2].offset
    assert read_whole(archive, middle) == [one for one in expected if one[0] >= middle]
    letters = [it.offset for batch in read_archived(archive, 0) for it in batch.dead_letters]
    assert sorted([*letters, *(offset for offset, _ in expected)]) == [it.offset for it in log]
    assert letters


def test_numbers_of_every_length_are_those_of_the_library(tmp_path: Path) -> None:
    offsets = iter(sorted({*OFFSETS, *range(10_000, 20_000)}))
    log = [
        log_record(next(offsets), received_at, 1, Event(kind, ts, playhead_ms))
        for kind in EVENT_TYPES
        for received_at in INSTANTS
        for ts in INSTANTS
        for playhead_ms in EDGES[:3]
    ]
    log += [
        log_record(offset, T0, 2, Event("ping", T0, playhead_ms))
        for offset, playhead_ms in zip(offsets, EDGES * 10, strict=False)
    ]
    log += [log_record(offset, T0, 2, Event("ping", T0, 5)) for offset in OFFSETS if offset > 2**20]
    log.sort(key=lambda record: record.offset)
    assert read_whole(archive_of(tmp_path, log)) == by_library(tmp_path)


def told(stretch: Stretch) -> tuple[dict[str, list[PlacedRecord]], object, int, int]:
    """All of it, with every item as a record."""
    sessions = {
        session_id: [placed(0, session_id, item) for item in items]
        for session_id, items in stretch.sessions.items()
    }
    return sessions, stretch.dead_letters, stretch.next_offset, stretch.received_at


@pytest.mark.parametrize("seed", range(5))
def test_by_session_is_the_same_in_another_order(seed: int, tmp_path: Path) -> None:
    log = of_all_kinds(seed)
    archive = archive_of(tmp_path, log)
    begin, end = log[150].offset, log[300].offset
    (stretch,) = read_by_session(archive, begin, 1_000_000)
    records = [one for one in log if begin <= one.offset < end]
    assert told(stretch.below(end)) == told(stretch_of(records, end))
    parts = [*read_by_session(archive, 0, 1)]
    assert parts[-1].next_offset == archive.next_offset
    assert sum(len(items) for part in parts for items in part.sessions.values()) == len(
        read_whole(archive)
    )


def altered(archive: PartitionArchive, old: bytes, new: bytes) -> PartitionArchive:
    """With its file changed, and a manifest that says so."""
    (entry,) = archive.entries
    path = archive.path / str(entry.file)
    data = path.read_bytes()
    assert data.count(old) == 1
    data = data.replace(old, new)
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    changed = Entry(entry.file, entry.from_offset, entry.next_offset, entry.records, sha256=digest)
    return PartitionArchive(archive.path, archive.log_id, [changed])


def test_a_block_with_fewer_records_than_it_says_is_damage(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, [log_record(n, T0, 1, Event("ping", T0, n)) for n in range(3)])
    data = (archive.path / str(archive.entries[0].file)).read_bytes()
    mark = data[-16:]  # the file's sync marker, which ends its head, too
    more = altered(archive, mark + b"\x06", mark + b"\x08")
    with pytest.raises(ArchiveDamagedError, match="not as many records"):
        read_whole(more)


def test_a_number_below_zero_is_damage(tmp_path: Path) -> None:
    fields = to_fields(log_record(0, T0, 1, Event("ping", T0, 7)))
    fields["events"][0]["playhead_ms"] = -7
    with pytest.raises(ArchiveDamagedError, match="below 0"):
        read_whole(archive_of_one(tmp_path, fields))


def test_a_session_id_that_is_not_ascii_is_damage(tmp_path: Path) -> None:
    fields = to_fields(log_record(0, T0, 1, Event("ping", T0, 7)))
    fields["session_id"] = "\u00e9" * 32
    with pytest.raises(ArchiveDamagedError, match="not ASCII"):
        read_whole(archive_of_one(tmp_path, fields))


def archive_of_one(root: Path, fields: dict[str, Any]) -> PartitionArchive:
    """With a record that no archiver would write."""
    made = open_partition(root, "topic", 0, "log")
    growing = GrowingFile(made.path, 0, T0)
    growing.add(fields)
    made.append(growing.finish(1))
    return made
