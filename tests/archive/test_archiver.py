"""The archiver: all that the log has, once, in whole files, whatever stops it."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastavro import block_reader

from models.avro import decode, encode
from models.records import Event, LogRecord
from processor import archive_reader
from processor.archive import (
    ArchiveDamagedError,
    ArchiveOfOtherLogError,
    open_partition,
    read_archive,
)
from processor.archiver import ArchiveBounds, Archiver
from processor.embedded_source import EmbeddedSource
from processor.source import BeyondLogError, LogGapError
from tests.archive.logs import DAY_MS, T0, Log, archive, archived


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def expected(log: Log) -> list[tuple[int, object]]:
    return [(record.offset, decode(record)) for record in log.records()]


def test_what_the_log_has_is_in_the_archive(log: Log, root: Path) -> None:
    log.pings(25)
    assert archive(log, root) == 25
    assert archived(root) == expected(log)
    (partition,) = read_archive(root)
    ranges = [(it.from_offset, it.next_offset, it.records) for it in partition.entries]
    assert ranges == [(1, 11, 10), (11, 21, 10), (21, 26, 5)]
    assert partition.entries[0].file == (
        "2025-10-09/00000000000000000001-00000000000000000011.avro"
    )


def test_a_second_run_takes_only_what_is_new(log: Log, root: Path) -> None:
    log.pings(7)
    assert archive(log, root) == 7
    assert archive(log, root) == 0
    log.pings(4, T0 + 60_000)
    assert archive(log, root) == 4
    assert archived(root) == expected(log)


def test_a_file_ends_with_its_day(log: Log, root: Path) -> None:
    log.pings(3)
    log.pings(2, T0 + DAY_MS)
    archive(log, root)
    (partition,) = read_archive(root)
    assert [(it.file or "")[:10] for it in partition.entries] == ["2025-10-09", "2025-10-10"]
    assert [it.records for it in partition.entries] == [3, 2]


def test_details_and_offline_lists_come_back_as_they_were(log: Log, root: Path) -> None:
    key = "ab" * 32
    start = Event("sessionStart", T0, 0, {"media.id": "näh", "media.length": 1.5}, {"a": "1"})
    end = Event("sessionEnd", T0 + 5, 1_500, None, None, {"k": "v"})
    log.append(T0, key, encode(key, (start, end), offline=True))
    archive(log, root)
    assert archived(root) == expected(log)


def test_a_file_of_another_schema_is_brought_to_this_one(
    log: Log, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of this release's schema is read without that; both ways give the same."""
    log.pings(25)
    log.append(T0, "someone", b"\x00 no record")
    archive(log, root)
    (partition,) = read_archive(root)
    with (partition.path / str(partition.entries[0].file)).open("rb") as file:
        assert block_reader(file).writer_schema == archive_reader._WRITTEN
    plainly = list(archive_reader.read_archived(partition, 3))
    monkeypatch.setattr(archive_reader, "_WRITTEN", {})
    assert list(archive_reader.read_archived(partition, 3)) == plainly
    records = [placed.record for batch in plainly for placed in batch.records]
    assert records == [decode(record) for record in log.records()[2:25]]


def test_what_is_no_record_keeps_its_bytes(log: Log, root: Path) -> None:
    log.append(T0, "someone", b"\x00 no record")
    archive(log, root)
    assert archived(root) == [(1, LogRecord(0, 1, T0, b"someone", b"\x00 no record"))]


@pytest.fixture
def killed_at_rename(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The archiver dies right after its second file has its name, before the manifest has it."""
    renamed: list[Path] = []
    replace = Path.replace

    def replace_and_die(self: Path, target: Path) -> Path:
        done = replace(self, target)
        renamed.append(done)
        if len(renamed) == 2:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replace_and_die)
        yield


def test_a_file_without_its_line_is_written_anew(
    log: Log, root: Path, killed_at_rename: None
) -> None:
    log.pings(25)
    with pytest.raises(KeyboardInterrupt):
        archive(log, root)
    (partition,) = read_archive(root)
    assert len(partition.entries) == 1
    assert len(partition.files()) == 2
    archive(log, root)
    assert archived(root) == expected(log)
    (partition,) = read_archive(root)
    assert partition.files() == [entry.file for entry in partition.entries]


def test_a_line_that_was_cut_short_is_written_anew(log: Log, root: Path) -> None:
    log.pings(25)
    archive(log, root)
    manifest = root / "log.db" / "0" / "manifest.jsonl"
    os.truncate(manifest, manifest.stat().st_size - 5)
    (partition,) = read_archive(root)
    assert partition.next_offset == 21  # readers do not see it either
    archive(log, root)
    assert archived(root) == expected(log)


def test_following_archives_what_is_old_enough(log: Log, root: Path) -> None:
    log.pings(3)
    stop, clock = threading.Event(), [0.0]
    source = EmbeddedSource(log.path)

    def progress(count: int) -> None:
        clock[0] += 100.0
        if (root / "log.db" / "0").exists() and read_archive(root)[0].entries:
            stop.set()

    bounds = ArchiveBounds(age_s=250.0)
    Archiver(source, root, bounds, lambda: clock[0]).run(stop, follow=True, progress=progress)
    source.close()
    assert archived(root) == expected(log)
    assert clock[0] >= 300.0


def test_a_log_cut_below_the_archive_is_told(log: Log, root: Path) -> None:
    log.pings(5)
    archive(log, root)
    log.pings(5, T0 + 60_000)
    log.cut(9)
    with pytest.raises(LogGapError, match="records 6 to 8 are gone"):
        archive(log, root)
    assert archive(log, root, accepts_gap=True) == 2
    (partition,) = read_archive(root)
    gap = partition.entries[1]
    assert (gap.file, gap.from_offset, gap.next_offset) == (None, 6, 9)


def test_a_log_that_lost_its_end_is_told(log: Log, root: Path, tmp_path: Path) -> None:
    log.pings(5)
    archive(log, root)
    manifest = root / "log.db" / "0" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"next_offset":6', '"next_offset":7'))
    with pytest.raises(BeyondLogError, match="read on to 7"):
        archive(log, root)


def test_an_archive_of_another_log_is_refused(log: Log, root: Path, tmp_path: Path) -> None:
    log.pings(1)
    archive(log, root)
    (tmp_path / "other").mkdir()
    with pytest.raises(ArchiveOfOtherLogError, match="a directory of its own"):
        archive(Log(tmp_path / "other"), root)


def test_a_damaged_manifest_is_named(log: Log, root: Path) -> None:
    log.pings(1)
    archive(log, root)
    manifest = root / "log.db" / "0" / "manifest.jsonl"
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([lines[0], "{no json", ""]))
    with pytest.raises(ArchiveDamagedError, match="line 2 is no JSON"):
        archive(log, root)
    manifest.write_text(json.dumps({"archive": 9}) + "\n")
    with pytest.raises(ArchiveDamagedError, match="format is 1"):
        open_partition(root, "log.db", 0, "x")


def test_small_files_are_cut_by_bytes(log: Log, root: Path) -> None:
    for number in range(40):  # a block is a megabyte: random text fills it
        key = f"{number:064x}"
        params = {"text": os.urandom(30_000).hex()}
        log.append(T0 + number, key, encode(key, (Event("play", T0, 0, params),)))
    archive(log, root, ArchiveBounds(bytes_max=500_000))
    (partition,) = read_archive(root)
    assert len(partition.entries) > 1
    assert archived(root) == expected(log)
