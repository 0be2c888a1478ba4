"""What every source over a topic in Kafka does, whatever its client: a group for assignment only.

On the record's way: what the collectors' producers wrote -> `processor.step`. Which partitions are
ours is the group's say; where to read on from is the projection's, never Kafka's. A partition that
came or went since it was sought gives no records until it is claimed and sought anew. Imports
`models` and its neighbours only.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Literal

from models.kafka_log import KafkaLog
from models.records import LogRecord
from processor.group import Membership

FETCH_BYTES_MAX: Final = 1024 * 1024
"""Of one answer, as the brokers keep it: compressed, some 14,000 pings of a collector, and 50,000
of a producer that sends thousands at a time. A larger record comes all the same, alone."""
FETCH_BYTES_MIN: Final = 64 * 1024
FETCH_WAIT_MS: Final = 100
"""A broker answers when it has so many bytes, or after this time: each answer costs broker and
processor about a millisecond, and rows are written once a second."""
_HINT_INTERVAL_S: Final = 5.0
OUT_OF_RANGE: Final = -1
"""A generation that no partition has: it is to be claimed and sought anew."""

Which = Literal["earliest", "latest"]


class _Open:
    """A partition that was sought: since which generation, and the offset wanted next."""

    __slots__ = ("generation", "next_offset")

    def __init__(self, generation: int, next_offset: int) -> None:
        self.generation = generation
        self.next_offset = next_offset


class GroupSource(ABC):
    """`Source` over a topic in Kafka, without its client."""

    def __init__(self, log: KafkaLog, membership: Membership) -> None:
        self._kafka = log
        self._name = str(log)
        self._membership = membership
        self._open: dict[int, _Open] = {}
        self._doubted: set[int] = set()
        self._hints: dict[int, int] = {}
        self._hint_at = 0.0
        self._log_id: str

    # --- what a client does ---------------------------------------------------------------------

    @abstractmethod
    def _assigned(self) -> set[int]:
        """The partitions that the group has given to this member."""

    @abstractmethod
    def _generation(self, partition: int) -> int:
        """How often the partition came or went."""

    @abstractmethod
    def _fetch(self, timeout_s: float, records_max: int) -> Mapping[int, Sequence[LogRecord]]:
        """Lets the group do its work; the next records by partition, in order. Partitions that were
        not sought need not be left out."""

    @abstractmethod
    def _seek(self, partition: int, next_offset: int) -> bool:
        """False when the partition was taken away meanwhile."""

    @abstractmethod
    def _is_confirmed(self, hints: Mapping[int, int]) -> bool:
        """Whether the group's coordinator has taken a commit of this member since it was asked."""

    @abstractmethod
    def _commit(self, hints: Mapping[int, int]) -> None:
        """Without waiting, and whether it succeeds does not matter."""

    @abstractmethod
    def _ask(self, which: Which, partitions: Collection[int]) -> dict[int, int]:
        """Offsets, with what open transactions have written: it has arrived, though it may still be
        aborted."""

    # --- what all of them do --------------------------------------------------------------------

    def name(self) -> str:
        return self._name

    def topic(self) -> str:
        return self._kafka.topic

    def log_id(self) -> str:
        return self._log_id

    def partitions(self) -> Sequence[int]:
        """Those that the group assigned. One that was doubted is left out until the group's
        coordinator has confirmed this member since."""
        if not self._open:
            self._drive()
        assigned = self._assigned()
        if self._doubted:
            hints = self._hints_of(self._doubted, assigned)
            if not hints or self._is_confirmed(hints):
                self._doubted.clear()
        return sorted(assigned - self._doubted)

    def gone(self) -> Sequence[int]:
        """The partitions sought that came or went since. Each is told once, and must be claimed
        and sought anew if `partitions` still has it."""
        gone = [p for p, it in self._open.items() if self._generation(p) != it.generation]
        for partition in gone:
            del self._open[partition]
        return gone

    def doubt(self, partition: int) -> None:
        """Another processor has claimed the partition: this one may have been left out."""
        self._open.pop(partition, None)
        self._doubted.add(partition)

    def start_offset(self, partition: int) -> int:
        return self.start_offsets([partition])[partition]

    def start_offsets(self, partitions: Collection[int]) -> dict[int, int]:
        return self._ask("earliest", partitions)

    def end_offset(self, partition: int) -> int:
        return self.end_offsets([partition])[partition]

    def end_offsets(self, partitions: Collection[int]) -> dict[int, int]:
        return self._ask("latest", partitions)

    def next_offsets(self) -> dict[int, int]:
        return {partition: it.next_offset for partition, it in self._open.items()}

    def seek(self, partition: int, next_offset: int) -> None:
        # The generation is taken first: if the partition goes meanwhile, it is not open.
        generation = self._generation(partition)
        if not self._seek(partition, next_offset):
            generation = OUT_OF_RANGE  # `gone` will tell
        self._open[partition] = _Open(generation, next_offset)
        self._hints[partition] = next_offset

    def poll(self, timeout_s: float, records_max: int) -> list[LogRecord]:
        found: list[LogRecord] = []
        for partition, records in self._next(timeout_s, records_max).items():
            opened = self._open.get(partition)
            if opened is None or opened.generation != self._generation(partition):
                continue
            if records[0].offset >= opened.next_offset:
                found += records
            else:
                found += [r for r in records if r.offset >= opened.next_offset]
            self._passed(partition, records[-1].offset + 1)
        return found

    def _next(self, timeout_s: float, records_max: int) -> Mapping[int, Sequence[LogRecord]]:
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            records = self._fetch(left_s, records_max)
            if records or left_s <= 0:
                return records
            if self.partitions() != sorted(self._open):
                return {}  # something is to be claimed: that must not wait

    def idle(self) -> None:
        for partition in list(self._open):
            self.doubt(partition)
        self._drive()

    def _drive(self) -> None:
        """Lets the group do its work, without reading."""
        self._fetch(0.0, 1)

    def _passed(self, partition: int, next_offset: int) -> None:
        """All below this offset was given, or is given to no reader."""
        opened = self._open.get(partition)
        if opened is not None and opened.generation == self._generation(partition):
            opened.next_offset = max(opened.next_offset, next_offset)

    def _lost(self, partitions: Iterable[int]) -> None:
        """These have to be claimed and sought anew."""
        for partition in partitions:
            if partition in self._open:
                self._open[partition].generation = OUT_OF_RANGE

    def checkpointed(self, next_offsets: Mapping[int, int]) -> None:
        """Commits how far SQL is, now and then: for tools that show a group's lag, and for nothing
        else."""
        self._hints.update(next_offsets)
        now = time.monotonic()
        if now < self._hint_at:
            return
        self._hint_at = now + _HINT_INTERVAL_S
        self._commit(self._hints_of(self._open, self._assigned()))

    def _hints_of(self, partitions: Iterable[int], assigned: Collection[int]) -> dict[int, int]:
        return {p: self._hints[p] for p in partitions if p in assigned and p in self._hints}
