"""An archive of the log on a disk: where its files lie, and the manifest that names them.

Beside the record's way: `archiver` writes what a log holds, `archive_source` reads it back for
rebuilds, `archive_check` looks whether all is there. A partition's directory is
`ROOT/TOPIC/PARTITION`, in it a directory a UTC day of arrival, in that immutable Avro container
files. A file counts only once its line stands in `manifest.jsonl`; lines are appended, each after
its file is durable, so that a kill at any moment leaves whole files and no gap. Imports `models`.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

MANIFEST: Final = "manifest.jsonl"
FORMAT: Final = 1
DAY_MS: Final = 86_400_000
GROWING_SUFFIX: Final = ".growing"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a manifest: a file, or a gap that was accepted (`file` None, no records).

    It stands for the offsets from `from_offset` up to, not with, `next_offset`: all records that
    the log had there. Times are the log's own, ms; both are 0 in a gap.
    """

    file: str | None
    from_offset: int
    next_offset: int
    records: int = 0
    first_received_at: int = 0
    last_received_at: int = 0
    bytes: int = 0
    sha256: str = ""


class ArchiveDamagedError(Exception):
    """A manifest cannot be read or does not fit what lies beside it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"archive {self.path}: {self.reason}; run `bookended verify --archive` on it, and "
            "restore what it names from a backup"
        )


class ArchiveMissingError(Exception):
    """There is no archive, or not the one that is asked for."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"archive {self.path}: {self.reason}; give the directory that `archive` wrote to"


class ArchiveOfOtherLogError(Exception):
    """The archive holds records of another log: offsets of the two mean different things."""

    def __init__(self, path: Path, stored_log_id: str, log_id: str) -> None:
        super().__init__(path, stored_log_id, log_id)
        self.path = path
        self.stored_log_id = stored_log_id
        self.log_id = log_id

    def __str__(self) -> str:
        return (
            f"archive {self.path} is of another log ({self.stored_log_id}) than this one "
            f"({self.log_id}); give each log a directory of its own"
        )


class PartitionArchive:
    """The archived part of one partition. One writer at a time; any number of readers."""

    def __init__(self, path: Path, log_id: str, entries: Sequence[Entry]) -> None:
        self.path = path
        self.log_id = log_id
        self.entries = list(entries)

    @property
    def partition(self) -> int:
        return int(self.path.name)

    @property
    def topic(self) -> str:
        return self.path.parent.name

    @property
    def start_offset(self) -> int:
        """Where it begins; `next_offset` of one without entries is the same."""
        return self.entries[0].from_offset if self.entries else 0

    @property
    def next_offset(self) -> int | None:
        """Where the log is to be read on; None if nothing is archived yet."""
        return self.entries[-1].next_offset if self.entries else None

    def append(self, entry: Entry) -> None:
        """Makes the entry part of the archive, durably. Its file has to be durable before."""
        _append_line(self.path / MANIFEST, asdict(entry))
        self.entries.append(entry)

    def put(self, number: int, entry: Entry) -> None:
        """Puts an entry, whose file is durable, in the place of another; that one's file goes."""
        before, self.entries[number] = self.entries[number], entry
        manifest = self.path / MANIFEST
        lines = [{"archive": FORMAT, "log_id": self.log_id}, *map(asdict, self.entries)]
        _write_lines(manifest.with_suffix(".new"), lines)
        manifest.with_suffix(".new").replace(manifest)
        sync_directory(self.path)
        if before.file is not None:
            (self.path / before.file).unlink()

    def sweep(self) -> None:
        """Removes files that a killed archiver left: they are in no manifest."""
        known = {entry.file for entry in self.entries}
        for file in self.files():
            if file not in known:
                (self.path / file).unlink()

    def files(self) -> list[str]:
        """All files that lie in the partition's directories of days, named as in an entry."""
        found = [path for path in self.path.glob("*/*") if path.is_file()]
        return sorted(path.relative_to(self.path).as_posix() for path in found)


def open_partition(root: Path, topic: str, partition: int, log_id: str) -> PartitionArchive:
    """A partition's archive to write on; made if there is none. A line that a kill cut short is
    removed: its file is not counted.

    Errors: `ArchiveDamagedError`, `ArchiveOfOtherLogError`, `OSError`.
    """
    path = root / topic / str(partition)
    manifest = path / MANIFEST
    path.mkdir(parents=True, exist_ok=True)
    _cut_torn_line(manifest)
    if not manifest.exists() or not manifest.stat().st_size:
        _append_line(manifest, {"archive": FORMAT, "log_id": log_id})
        for directory in (path, path.parent, root):
            sync_directory(directory)
    archive = read_partition(path)
    if archive.log_id != log_id:
        raise ArchiveOfOtherLogError(path, archive.log_id, log_id)
    return archive


def read_partition(path: Path) -> PartitionArchive:
    """A partition's archive as its manifest has it now.

    Errors: `ArchiveDamagedError`, `OSError`.
    """
    manifest = path / MANIFEST
    lines = manifest.read_bytes().split(b"\n")[:-1]  # one without its end is still being written
    if not lines:
        raise ArchiveDamagedError(manifest, "it is empty")
    head = _parse(manifest, 1, lines[0])
    if head.get("archive") != FORMAT:
        raise ArchiveDamagedError(manifest, f"line 1 does not say that its format is {FORMAT}")
    entries = [_entry(manifest, number, line) for number, line in enumerate(lines[1:], 2)]
    return PartitionArchive(path, str(head.get("log_id")), entries)


def read_archive(root: Path) -> list[PartitionArchive]:
    """All partitions of the one topic that an archive holds, by number.

    Errors: `ArchiveMissingError`, `ArchiveDamagedError`, `OSError`.
    """
    if not root.is_dir():
        raise ArchiveMissingError(root, "there is no such directory")
    paths = [path.parent for path in root.glob(f"*/*/{MANIFEST}") if path.parent.name.isdecimal()]
    if not paths:
        raise ArchiveMissingError(root, "it holds no archive")
    topics = sorted({path.parent.name for path in paths})
    if len(topics) > 1:
        raise ArchiveMissingError(root, f"it holds several topics ({', '.join(topics)})")
    return [read_partition(path) for path in sorted(paths, key=lambda path: int(path.name))]


def file_name(from_offset: int, next_offset: int, received_at: int, revision: int = 0) -> str:
    """The name of a file, by the arrival of its first record; sorts by offset."""
    mark = f"-r{revision:d}" if revision else ""
    return f"{day_of(received_at)}/{from_offset:020d}-{next_offset:020d}{mark}.avro"


def day_of(received_at: int) -> str:
    """The UTC day of an instant in ms, `2026-03-01`."""
    return (_EPOCH + timedelta(milliseconds=received_at)).date().isoformat()


def sync_directory(path: Path) -> None:
    """Makes names in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _append_line(path: Path, fields: dict[str, Any]) -> None:
    _write_lines(path, [fields], mode="ab")


def _write_lines(path: Path, lines: Iterable[dict[str, Any]], mode: str = "wb") -> None:
    with path.open(mode) as file:
        for fields in lines:
            file.write(json.dumps(fields, separators=(",", ":")).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise ArchiveDamagedError(path, f"line {number} is no JSON") from error
    if not isinstance(fields, dict):
        raise ArchiveDamagedError(path, f"line {number} is no JSON object")
    return fields


def _entry(path: Path, number: int, line: bytes) -> Entry:
    fields = _parse(path, number, line)
    try:
        return Entry(**fields)
    except TypeError as error:
        raise ArchiveDamagedError(path, f"line {number} has other fields than an entry") from error
