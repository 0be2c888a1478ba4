"""Gaps of the log that a rebuild crosses: records that nobody has any more, and that an operator
gave up, in the live projection (view `log_gaps`) or in the archive's manifest.

Beside the record's way: planned before a rebuild begins, so that it meets no gap by surprise. No
I/O but the reading of rows. Imports `models` and `archive`.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy import Connection, select

from models.limits import TICK_DELAY_MS
from models.records import AcceptedGap
from models.tables import log_gap_rows
from processor.archive import PartitionArchive


class Range(NamedTuple):
    """Offsets from `start` up to, not with, `end`."""

    start: int
    end: int


class UnacceptedGapError(Exception):
    """Records are gone, and nobody has accepted that."""

    def __init__(self, gap: Range) -> None:
        super().__init__(gap)
        self.gap = gap

    def __str__(self) -> str:
        first, last = self.gap.start, self.gap.end - 1
        return f"records {first} to {last} are gone, and nobody has accepted that"


def accepted_gaps(connection: Connection, projection: int) -> dict[int, list[AcceptedGap]]:
    """The gaps that a projection has crossed, by partition, in order."""
    columns = log_gap_rows.c
    rows = connection.execute(
        select(
            columns.log_partition,
            columns.first_offset,
            columns.last_offset,
            columns.read_until,
            columns.accepted_at,
        )
        .where(columns.projection == projection)
        .order_by(columns.log_partition, columns.first_offset)
    )
    found: dict[int, list[AcceptedGap]] = {}
    for partition, *gap in rows:
        found.setdefault(partition, []).append(AcceptedGap(*gap))
    return found


def archived_gaps(archive: PartitionArchive) -> list[AcceptedGap]:
    """The gaps that the archiver has crossed. What was live then follows from the records before
    them alone, so that every reader of the archive comes to the same."""
    gaps = []
    for before, entry in pairwise(archive.entries):
        if entry.file is None:
            known = None if before.file is None else before.last_received_at - TICK_DELAY_MS
            gaps.append(AcceptedGap(entry.from_offset, entry.next_offset - 1, known, None))
    return gaps


def readable(archive: PartitionArchive | None, log: Range | None) -> list[Range]:
    """What can still be read, in order."""
    files = [] if archive is None else [it for it in archive.entries if it.file is not None]
    archived = [Range(entry.from_offset, entry.next_offset) for entry in files]
    return archived if log is None else [*archived, log]


def gaps_to_cross(
    whole: Range, present: Iterable[Range], ways: Sequence[Sequence[AcceptedGap]]
) -> list[AcceptedGap]:
    """The gaps within `whole`, in order. `ways`: accepted ones, the first that has an offset counts
    for it.

    Errors: `UnacceptedGapError`.
    """
    return [gap for missing in _missing(whole, present) for gap in _accepted(missing, ways)]


def _missing(whole: Range, present: Iterable[Range]) -> Iterator[Range]:
    at = whole.start
    for start, end in present:
        if start >= whole.end:
            break
        if start > at:
            yield Range(at, start)
        at = max(at, end)
    if at < whole.end:
        yield Range(at, whole.end)


def _accepted(missing: Range, ways: Sequence[Sequence[AcceptedGap]]) -> Iterator[AcceptedGap]:
    at = missing.start
    while at < missing.end:
        end = missing.end
        for way in ways:
            found = next((gap for gap in way if gap.first_offset <= at <= gap.last_offset), None)
            if found is not None:
                end = min(end, found.last_offset + 1)
                break
            end = min([end, *(gap.first_offset for gap in way if gap.first_offset > at)])
        else:
            raise UnacceptedGapError(Range(at, end))
        yield found._replace(first_offset=at, last_offset=end - 1)
        at = end
