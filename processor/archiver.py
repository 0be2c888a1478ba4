"""Copies the log into an archive: from where the archive ends to the log's end, or for ever.

Beside the record's way: reads the same `Source` as the processor does and writes immutable files.
Restartable at any moment: an archive's manifest says where to go on, and what is in no manifest is
swept away. Imports `models`, `source`, `step` and the archive's modules; never `ingest`.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.archived import to_fields
from models.records import LogRecord
from processor.archive import DAY_MS, Entry, PartitionArchive, open_partition
from processor.archive_file import GrowingFile
from processor.source import BeyondLogError, LogGapError, Source

_POLL_RECORDS_MAX: Final = 5_000
_POLL_TIMEOUT_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class ArchiveBounds:
    """When a file is finished, besides at the end of its day. `age_s` counts only while following:
    so long at most a record waits before it is in the archive."""

    records_max: int = 1_000_000
    bytes_max: int = 256 * 1024 * 1024
    age_s: float = 600.0


class _Partition:
    """One partition's archive, the file that grows, and where the log is to be read on."""

    def __init__(self, archive: PartitionArchive, next_offset: int) -> None:
        self.archive = archive
        self.next_offset = next_offset
        self.growing: GrowingFile | None = None
        self.growing_since_s = 0.0

    def add(self, record: LogRecord, now_s: float) -> None:
        growing = self.growing
        if growing is not None and _day(growing.first_received_at) != _day(record.received_at):
            self.cut(record.offset)
            growing = None
        if growing is None:
            growing = GrowingFile(self.archive.path, self._from_offset(), record.received_at)
            self.growing, self.growing_since_s = growing, now_s
        growing.add(to_fields(record))
        self.next_offset = record.offset + 1

    def _from_offset(self) -> int:
        """Files stand for all offsets between them, also for those that no record has."""
        archived = self.archive.next_offset
        return self.next_offset if archived is None else archived

    def cut(self, next_offset: int) -> int:
        """Finishes the growing file; says how many records it has."""
        growing, self.growing = self.growing, None
        if growing is None:
            return 0
        self.archive.append(growing.finish(next_offset))
        return growing.records

    def discard(self) -> None:
        if self.growing is not None:
            self.growing.discard()
            self.growing = None


class Archiver:
    """One archiver over one archive. `run` blocks; nobody else writes to `root` meanwhile."""

    def __init__(
        self,
        source: Source,
        root: Path,
        bounds: ArchiveBounds,
        steady_s: Callable[[], float],
        *,
        accepts_gap: bool = False,
    ) -> None:
        self._source = source
        self._root = root
        self._bounds = bounds
        self._steady_s = steady_s
        self._accepts_gap = accepts_gap
        self._partitions: dict[int, _Partition] = {}

    def run(
        self, stop: threading.Event, *, follow: bool, progress: Callable[[int], object]
    ) -> None:
        """Archives up to where the log ends now, or with `follow` until `stop` is set; what was
        read by then is in the archive. `progress` is told how many records each poll gave.

        Errors: `ArchiveDamagedError`, `ArchiveOfOtherLogError`, `BeyondLogError`, `LogGapError`,
        those of the source, `OSError`. What was finished before stays.
        """
        try:
            self._open()
            ends = self._source.end_offsets(self._partitions.keys())
            while not stop.is_set() and (follow or self._is_behind(ends)):
                progress(self._take(follow=follow))
            for partition in self._partitions.values():
                partition.cut(partition.next_offset)
        finally:
            for partition in self._partitions.values():
                partition.discard()

    def to_read(self) -> int:
        """How many offsets the log has beyond the archive now."""
        ends = self._source.end_offsets(self._partitions.keys())
        return sum(max(0, ends[p] - it.next_offset) for p, it in self._partitions.items())

    def _open(self) -> None:
        source = self._source
        for number in source.partitions():
            archive = open_partition(self._root, source.topic(), number, source.log_id())
            archive.sweep()
            start, end = source.start_offset(number), source.end_offset(number)
            next_offset = archive.next_offset
            if next_offset is not None and next_offset > end:
                raise BeyondLogError(source.name(), number, next_offset, end)
            if next_offset is not None and next_offset < start:
                if not self._accepts_gap:
                    raise LogGapError(source.name(), number, next_offset, start)
                archive.append(Entry(None, next_offset, start))
                next_offset = start
            at = start if next_offset is None else next_offset
            source.seek(number, at)
            self._partitions[number] = _Partition(archive, at)

    def _is_behind(self, ends: Mapping[int, int]) -> bool:
        return any(it.next_offset < ends[number] for number, it in self._partitions.items())

    def _take(self, *, follow: bool) -> int:
        records = self._source.poll(_POLL_TIMEOUT_S, _POLL_RECORDS_MAX)
        now_s = self._steady_s()
        for record in records:
            partition = self._partitions[record.partition]
            partition.add(record, now_s)
            self._cut_if_full(partition)
        for number, next_offset in self._source.next_offsets().items():
            # A log in Kafka has offsets that no reader gets.
            partition = self._partitions[number]
            partition.next_offset = max(partition.next_offset, next_offset)
        if follow:
            for partition in self._partitions.values():
                if now_s - partition.growing_since_s >= self._bounds.age_s:
                    partition.cut(partition.next_offset)
        return len(records)

    def _cut_if_full(self, partition: _Partition) -> None:
        growing = partition.growing
        if growing is None:
            return
        if growing.records >= self._bounds.records_max or growing.bytes >= self._bounds.bytes_max:
            partition.cut(partition.next_offset)


def _day(received_at: int) -> int:
    return received_at // DAY_MS
