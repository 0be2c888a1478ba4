"""One session's records out of the log, or out of an archive and then the log, within bounds.

Beside the record's way: for showing and replaying a single session. Reads from the place that its
row names and leaves aside what other sessions have there: on a log the keys alone, before anything
is decoded. Imports `models`, the archive's reader, `source` and `step`.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from models.records import LogRecord
from processor.archive import PartitionArchive
from processor.archive_reader import read_archived
from processor.source import BeyondLogError, Source
from processor.step import PlacedRecord, decode_records

_POLL_TIMEOUT_S: Final = 0.5
_POLL_RECORDS_MAX: Final = 5_000


class Part(NamedTuple):
    """Where a session's records lie: from `first_offset` up to, not with, `next_offset`."""

    session_id: str
    partition: int
    first_offset: int
    next_offset: int


class ReadBounds(NamedTuple):
    """When reading stops before the part's end. `events_max` is looked at after each record."""

    seconds_max: float
    events_max: int
    bytes_max: int


class Read(NamedTuple):
    """What was found. All of the session's below `next_offset` was read, but for what was gone
    from the log: the records below `start_offset`."""

    records: list[PlacedRecord]
    start_offset: int
    next_offset: int


def read_session(
    part: Part,
    archive: PartitionArchive | None,
    source: Source | None,
    bounds: ReadBounds,
    monotonic: Callable[[], float],
) -> Read:
    """Reads until the end of the part, or a bound. What cannot be decoded is left out: it is a dead
    letter, of no session.

    Errors: those of the archive and the source; `BeyondLogError` if the log ends before the part.
    """
    deadline = monotonic() + bounds.seconds_max
    found: list[PlacedRecord] = []
    next_offset, start_offset, events, size = part.first_offset, part.first_offset, 0, 0
    if archive is not None and archive.start_offset > next_offset:
        archive = None  # it does not have the beginning: what the log has is all there is
    for step in _steps(part, archive, source):
        for placed in step.records:
            events += len(placed.record.events)
            found.append(placed)
            if events >= bounds.events_max:
                return Read(found, max(start_offset, step.start_offset), placed.offset + 1)
        start_offset = max(start_offset, step.start_offset)
        next_offset = max(next_offset, step.next_offset)
        size += step.size
        if size > bounds.bytes_max or monotonic() > deadline:
            break
    return Read(found, start_offset, min(next_offset, part.next_offset))


class _Step(NamedTuple):
    records: list[PlacedRecord]
    next_offset: int
    size: int
    start_offset: int = 0
    """Where the log begins, if records before it are gone."""


def _steps(part: Part, archive: PartitionArchive | None, source: Source | None) -> Iterator[_Step]:
    next_offset = part.first_offset
    if archive is not None and next_offset < (archive.next_offset or 0):
        for batch in read_archived(archive, next_offset):
            next_offset = batch.next_offsets[part.partition]
            mine = [p for p in batch.records if p.record.session_id == part.session_id]
            yield _Step(_below(mine, part.next_offset), next_offset, 0)
            if next_offset >= part.next_offset:
                return
    if source is not None:
        yield from _log_steps(part, source, next_offset)


def _log_steps(part: Part, source: Source, next_offset: int) -> Iterator[_Step]:
    end_offset = source.end_offset(part.partition)
    if end_offset < part.next_offset:
        raise BeyondLogError(source.name(), part.partition, part.next_offset, end_offset)
    log_start = source.start_offset(part.partition)
    start_offset = log_start if log_start > next_offset else 0
    next_offset = max(next_offset, log_start)
    source.seek(part.partition, next_offset)
    key = part.session_id.encode()
    while next_offset < part.next_offset:
        polled = source.poll(_POLL_TIMEOUT_S, _POLL_RECORDS_MAX)
        mine = [record for record in polled if record.key == key]
        if polled:
            next_offset = polled[-1].offset + 1
        else:
            next_offset = max(next_offset, source.next_offsets().get(part.partition, 0))
        records = _below(decode_records(mine).records, part.next_offset)
        yield _Step(records, next_offset, _size(mine), start_offset)


def _size(records: list[LogRecord]) -> int:
    return sum(len(record.value) for record in records)


def _below(records: list[PlacedRecord], end: int) -> list[PlacedRecord]:
    return [placed for placed in records if placed.offset < end]
