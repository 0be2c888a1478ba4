"""What a poll gave, into memory: decoded, sessions that closed long ago looked up, folded.

On the record's way: between `source` and the core; `runner` hands over the records. Imports its
neighbours only.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

from models.records import LogRecord
from processor.by_session import Folded, stretch_of
from processor.memory import PartitionMemory
from processor.processor_metrics import ProcessorMetrics
from processor.projection import Projection
from processor.step import DeadLetter, decode_records

_DENSE: Final = 3
"""Records a session from which on a poll is folded session by session: that costs a little for each
session, and less for each of its records."""
_PARTITION: Final = attrgetter("partition")
_KEY: Final = attrgetter("key")


class _Part(NamedTuple):
    """Decoded records of one partition, and what folds them into its memory."""

    session_ids: Collection[str]
    fold: Callable[[], Folded]
    record_count: int
    dead_letters: list[DeadLetter]
    next_offset: int


def take_in(
    memories: Mapping[int, PartitionMemory],
    projection: Projection,
    metrics: ProcessorMetrics,
    log_records: Sequence[LogRecord],
) -> dict[int, int]:
    """Folds records into the memories of their partitions, in log order. Those of a partition that
    has none are left out: whoever claimed it reads them. Returns when the last one of each
    partition arrived (ms).

    Errors: `BadPartitionError`, `DatabaseAwayError`.
    """
    polled: defaultdict[int, list[LogRecord]] = defaultdict(list)
    for partition, run in groupby(log_records, _PARTITION):
        polled[partition] += run
    parts = {p: _part(memories[p], polled[p]) for p in polled if p in memories}
    _admit_closed(memories, projection, parts)
    for partition, part in parts.items():
        metrics.count_events(*part.fold())
        metrics.dead_letters.inc(len(part.dead_letters))
        memories[partition].moved(part.next_offset, part.record_count, part.dead_letters)
    return {partition: records[-1].received_at for partition, records in polled.items()}


def _part(memory: PartitionMemory, log_records: Sequence[LogRecord]) -> _Part:
    count, next_offset = len(log_records), log_records[-1].offset + 1
    if count >= _DENSE * len(set(map(_KEY, log_records))):
        sessions, letters, *_ = stretch_of(log_records, next_offset)
        fold = partial(memory.fold_sessions, sessions)
        return _Part(sessions.keys(), fold, count - len(letters), letters, next_offset)
    decoded = decode_records(log_records)
    records, letters, _ = decoded
    fold = partial(memory.fold, records)
    return _Part(decoded.session_ids, fold, len(records), letters, next_offset)


def _admit_closed(
    memories: Mapping[int, PartitionMemory], projection: Projection, parts: Mapping[int, _Part]
) -> None:
    """One look-up for the sessions of all partitions that no memory holds."""
    unknown = {p: memories[p].unknown(part.session_ids) for p, part in parts.items()}
    ids = [session_id for some in unknown.values() for session_id in some]
    closed = {it.session_id: it for it in projection.closed_sessions(ids)}
    for partition, some in unknown.items():
        memories[partition].admit([closed[i] for i in some if i in closed])
