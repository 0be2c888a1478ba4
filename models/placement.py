"""Which partition a session's records go to: from its id alone, the same for ever.

On the record's way: producers ask here before they send, the collector among them. Partitions may
be added to a topic later; a session stays where it was, because the count that was in force when
its id was made decides (docs/architecture.md "The log record"). Imports nothing of the project.
"""

import re
import struct
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, NamedTuple

PARTITIONS_MAX: Final = 10_000
COUNTS_MAX: Final = 100

_TIME_LENGTH: Final = 12
_TIME: Final = re.compile(r"[0-9a-f]{12}")
_COUNT: Final = re.compile(r"(\d{1,5})(?:\s+from\s+(\S+))?")
_KNOWN_MAX: Final = 50_000
_MASK: Final = 0xFFFFFFFF
_SEED: Final = 0x9747B28C
_MIX: Final = 0x5BD1E995
_POSITIVE: Final = 0x7FFFFFFF


class PartitionCount(NamedTuple):
    """From `since_ms` on (ms since the epoch) new ids are spread over so many partitions."""

    since_ms: int
    partitions: int

    def __str__(self) -> str:
        if not self.since_ms:
            return str(self.partitions)
        since = datetime.fromtimestamp(self.since_ms / 1000, UTC)
        return f"{self.partitions} from {since.isoformat().replace('+00:00', 'Z')}"


def parse_partition_counts(text: str) -> tuple[PartitionCount, ...]:
    """`8, 32 from 2026-03-01T00:00:00Z`: the first count, and what it grew to when.

    Errors: `ValueError` with a text that ends the sentence "<setting>: ...".
    """
    counts: list[PartitionCount] = []
    for part in text.split(","):
        match = _COUNT.fullmatch(part.strip())
        if match is None:
            raise ValueError(
                "is no list of partition counts; give for example 8, 32 from 2026-03-01T00:00:00Z"
            )
        counts.append(PartitionCount(_since_ms(match[2]), int(match[1])))
    _check(counts)
    return tuple(counts)


def partition_counts_text(counts: Sequence[PartitionCount]) -> str:
    """The text that `parse_partition_counts` reads back."""
    return ", ".join(map(str, counts))


def _since_ms(text: str | None) -> int:
    if text is None:
        return 0
    try:
        since = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text} is no instant; give for example 2026-03-01T00:00:00Z") from error
    if since.tzinfo is None:
        raise ValueError(f"{text} says no time zone; end it with Z for UTC")
    return round(since.timestamp() * 1000)


def _check(counts: Sequence[PartitionCount]) -> None:
    if counts[0].since_ms:
        raise ValueError("begins with a dated count; the first one holds from the start")
    if len(counts) > COUNTS_MAX:
        raise ValueError(f"has more than {COUNTS_MAX} counts")
    for earlier, later in pairwise(counts):
        if later.since_ms <= earlier.since_ms:
            raise ValueError("is not in order; give each later count with a later instant")
        if later.partitions < earlier.partitions:
            raise ValueError("shrinks; partitions can only be added to a topic")
    if not (counts[0].partitions >= 1 and counts[-1].partitions <= PARTITIONS_MAX):
        raise ValueError(f"has a count that is not within 1 to {PARTITIONS_MAX}")


def made_at(session_id: str) -> int:
    """When the id was made, ms: its first 12 characters in hex. 0 for an id without a time."""
    head = session_id[:_TIME_LENGTH]
    return int(head, 16) if _TIME.fullmatch(head) else 0


class Placement:
    """The partition of each session. Remembers the ids it met last: a session sends hundreds of
    records, and its id need be worked through once."""

    def __init__(self, counts: Sequence[PartitionCount]) -> None:
        _check(counts)
        self.counts = tuple(counts)
        self._since = [count.since_ms for count in counts]
        self._known: dict[str, int] = {}

    @property
    def partitions(self) -> int:
        """Partitions that the topic must have at least."""
        return self.counts[-1].partitions

    def of(self, session_id: str) -> int:
        """The partition of the session's records."""
        partition = self._known.get(session_id)
        if partition is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            partition = self._known[session_id] = self._work_out(session_id)
        return partition

    def _work_out(self, session_id: str) -> int:
        in_force = self.counts[bisect_right(self._since, made_at(session_id)) - 1]
        return (murmur2(session_id.encode()) & _POSITIVE) % in_force.partitions


def murmur2(data: bytes) -> int:
    """The hash by which Kafka's default partitioner spreads keys, as an unsigned number."""
    length = len(data)
    whole = length & ~3
    value = _SEED ^ length
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        mixed = word * _MIX & _MASK
        value = (value * _MIX & _MASK) ^ ((mixed ^ mixed >> 24) * _MIX & _MASK)
    if whole < length:
        value = (value ^ int.from_bytes(data[whole:], "little")) * _MIX & _MASK
    value = (value ^ value >> 13) * _MIX & _MASK
    return value ^ value >> 15
