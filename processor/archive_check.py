"""Is an archive whole? Finds what is missing, doubled, cut short or altered, by offsets.

Beside the record's way: `bookended verify --archive` shows what this says. Reads every byte of each
file. Imports `archive`.
"""

import hashlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from processor.archive import (
    MANIFEST,
    ArchiveDamagedError,
    Entry,
    PartitionArchive,
    read_archive,
)

_CHUNK_BYTES: Final = 1024 * 1024


class ArchiveFault(NamedTuple):
    """What is wrong with which offsets of a partition: `from_offset` up to, not with,
    `next_offset`. Both None where no offsets can be named."""

    path: Path
    partition: int
    from_offset: int | None
    next_offset: int | None
    what: str


class Checked(NamedTuple):
    """What was looked at."""

    partitions: int
    files: int
    records: int
    bytes: int
    gaps: int


def check_archive(
    root: Path, progress: Callable[[int], object]
) -> tuple[Checked, list[ArchiveFault]]:
    """Looks at every file; `progress` is told the bytes of each.

    Errors: `ArchiveMissingError`, `ArchiveDamagedError` for a manifest that cannot be read,
    `OSError`.
    """
    archives = read_archive(root)
    faults = [fault for archive in archives for fault in _check_partition(archive, progress)]
    entries = [entry for archive in archives for entry in archive.entries]
    files = [entry for entry in entries if entry.file is not None]
    return (
        Checked(
            len(archives),
            len(files),
            sum(entry.records for entry in files),
            sum(entry.bytes for entry in files),
            len(entries) - len(files),
        ),
        faults,
    )


def check_file(archive: PartitionArchive, entry: Entry) -> str | None:
    """What is wrong with an entry's file; None if it is as it was written."""
    if entry.file is None:
        return None
    path = archive.path / entry.file
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return "the file is missing"
    if size < entry.bytes:
        return f"the file is cut short: {size} of {entry.bytes} bytes"
    if _sha256(path) != entry.sha256:
        return "the file is altered: its SHA-256 is not the manifest's"
    return None


def must_be_whole(archive: PartitionArchive, entry: Entry) -> None:
    """Errors: `ArchiveDamagedError`, unless the entry's file is as it was written."""
    what = check_file(archive, entry)
    if what is not None:
        raise ArchiveDamagedError(
            archive.path / (entry.file or ""),
            f"{what} (offsets {entry.from_offset} to {entry.next_offset - 1})",
        )


def _check_partition(
    archive: PartitionArchive, progress: Callable[[int], object]
) -> Iterator[ArchiveFault]:
    yield from _check_order(archive)
    for entry in archive.entries:
        what = check_file(archive, entry)
        progress(entry.bytes)
        if what is not None:
            path = archive.path / (entry.file or "")
            yield ArchiveFault(path, archive.partition, entry.from_offset, entry.next_offset, what)
    known = {entry.file for entry in archive.entries}
    for file in archive.files():
        if file not in known:
            what = "the file is in no manifest: a copy, or left by a killed archiver"
            yield ArchiveFault(archive.path / file, archive.partition, *_offsets_in(file), what)


def _check_order(archive: PartitionArchive) -> Iterator[ArchiveFault]:
    manifest = archive.path / MANIFEST
    for before, after in pairwise(archive.entries):
        if after.from_offset > before.next_offset:
            what = "no file of the manifest has these offsets"
            place = (before.next_offset, after.from_offset)
        elif after.from_offset < before.next_offset:
            what = "two lines of the manifest stand for these offsets"
            place = (after.from_offset, min(before.next_offset, after.next_offset))
        else:
            continue
        yield ArchiveFault(manifest, archive.partition, *place, what)


def _offsets_in(file: str) -> tuple[int | None, int | None]:
    first, last, *_ = [*Path(file).stem.split("-"), ""]
    if first.isdecimal() and last.isdecimal():
        return int(first), int(last)
    return None, None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
