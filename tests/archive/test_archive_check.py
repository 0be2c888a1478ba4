"""`check_archive` names what is missing, doubled, cut short or altered, by its offsets."""

import shutil
from pathlib import Path

import pytest

from processor.archive import ArchiveDamagedError, ArchiveMissingError, read_archive
from processor.archive_check import ArchiveFault, check_archive, must_be_whole
from tests.archive.logs import Log, archive


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three files: offsets 1 to 10, 11 to 20, 21 to 25."""
    log = Log(tmp_path)
    log.pings(25)
    archive(log, tmp_path / "archive")
    return tmp_path / "archive"


def files(root: Path) -> list[Path]:
    return sorted(root.glob("*/*/*/*.avro"))


def faults(root: Path) -> list[ArchiveFault]:
    return check_archive(root, lambda _: None)[1]


def told(root: Path) -> list[tuple[int | None, int | None, str]]:
    return [(fault.from_offset, fault.next_offset, fault.what) for fault in faults(root)]


def manifest_lines(root: Path) -> tuple[Path, list[str]]:
    manifest = root / "log.db" / "0" / "manifest.jsonl"
    return manifest, manifest.read_text().splitlines(keepends=True)


def test_a_whole_archive_has_no_faults(root: Path) -> None:
    seen: list[int] = []
    checked, found = check_archive(root, seen.append)
    assert found == []
    assert (checked.partitions, checked.files, checked.records, checked.gaps) == (1, 3, 25, 0)
    assert sum(seen) == checked.bytes == sum(path.stat().st_size for path in files(root))


def test_a_missing_file(root: Path) -> None:
    files(root)[1].unlink()
    assert told(root) == [(11, 21, "the file is missing")]


def test_a_file_that_is_cut_short(root: Path) -> None:
    path = files(root)[2]
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    assert told(root) == [(21, 26, f"the file is cut short: {size - 1} of {size} bytes")]


def test_an_altered_file(root: Path) -> None:
    path = files(root)[0]
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    assert told(root) == [(1, 11, "the file is altered: its SHA-256 is not the manifest's")]


def test_a_longer_file_is_altered(root: Path) -> None:
    with files(root)[0].open("ab") as file:
        file.write(b"more")
    assert told(root) == [(1, 11, "the file is altered: its SHA-256 is not the manifest's")]


def test_a_doubled_file(root: Path) -> None:
    path = files(root)[1]
    shutil.copy(path, path.with_name("00000000000000000011-00000000000000000019.avro"))
    ((first, after, what),) = told(root)
    assert (first, after) == (11, 19)
    assert what.startswith("the file is in no manifest")


def test_a_file_of_another_name_names_no_offsets(root: Path) -> None:
    path = files(root)[1]
    shutil.copy(path, path.with_name("copy.avro"))
    ((first, after, _),) = told(root)
    assert (first, after) == (None, None)


def test_a_line_that_is_missing(root: Path) -> None:
    manifest, lines = manifest_lines(root)
    manifest.write_text("".join(lines[:2] + lines[3:]))
    assert (11, 21, "no file of the manifest has these offsets") in told(root)


def test_a_line_that_is_doubled(root: Path) -> None:
    manifest, lines = manifest_lines(root)
    manifest.write_text("".join([*lines[:3], lines[2], *lines[3:]]))
    assert told(root) == [(11, 21, "two lines of the manifest stand for these offsets")]


def test_an_accepted_gap_is_no_fault(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.pings(3)
    archive(log, tmp_path / "archive")
    log.pings(3, 1_760_000_100_000)
    log.cut(6)
    archive(log, tmp_path / "archive", accepts_gap=True)
    checked, found = check_archive(tmp_path / "archive", lambda _: None)
    assert (found, checked.gaps, checked.records) == ([], 1, 4)


def test_no_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArchiveMissingError, match="no such directory"):
        check_archive(tmp_path / "nowhere", lambda _: None)
    with pytest.raises(ArchiveMissingError, match="holds no archive"):
        check_archive(tmp_path, lambda _: None)


def test_who_reads_a_file_is_told_which_offsets_are_damaged(root: Path) -> None:
    (partition,) = read_archive(root)
    must_be_whole(partition, partition.entries[1])
    files(root)[1].unlink()
    with pytest.raises(ArchiveDamagedError, match=r"missing \(offsets 11 to 20\)"):
        must_be_whole(partition, partition.entries[1])
