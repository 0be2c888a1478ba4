"""Rebuild: the log's records once more through the same core, into a projection of their own.

Beside the record's way: reads archive, log, or the one and then the other; folds and writes as the
live loop does, in checkpoints, so that a killed rebuild goes on where it was. Any fault ends it.
It ends at a target that the live projection names, (`next_offset`, T), where both have the same
rows if their rules are the same (docs/architecture.md "Reprocessing"). Imports `memory`,
`projection` and the core; never `ingest`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from models.limits import TICK_DELAY_MS
from models.records import AcceptedGap
from processor.archive import PartitionArchive
from processor.archive_reader import read_by_session
from processor.by_session import Stretch, stretch_of
from processor.memory import PartitionMemory
from processor.projection import Projection
from processor.source import Source
from processor.step import DeadLetter

_POLL_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class RebuildBounds:
    """How much is read, written and closed in one go.

    A checkpoint writes every session that is live. So it comes when the memory has twice the
    sessions that the last one left in it, and `sessions_min` more, for by then as many are over;
    and before there is too much to do anew after a kill: half a minute's work.
    """

    read_records_max: int = 5_000
    archive_records_min: int = 50_000
    checkpoint_events_max: int = 3_000_000
    sessions_min: int = 3_000
    tick_sessions_max: int = 5_000


class Target(NamedTuple):
    """Where a rebuild of a partition ends: all below `next_offset` folded, then a tick."""

    next_offset: int
    tick: int | None


class Part(NamedTuple):
    """One partition to rebuild. `start_offset`: where its records begin in archive and log;
    `wanted`: the only sessions to fold, None for all; `gaps`: where records are gone, in order;
    `begun_at`: when the rebuild was begun (ms)."""

    partition: int
    log: tuple[str, str]
    topic: str
    start_offset: int
    target: Target
    wanted: frozenset[str] | None = None
    gaps: tuple[AcceptedGap, ...] = ()
    begun_at: int = 0


class UndecodableInRebuildError(Exception):
    """A record breaks the contract and the live projection has no dead letter of it."""

    def __init__(self, letter: DeadLetter) -> None:
        super().__init__(letter)
        self.letter = letter

    def __str__(self) -> str:
        return (
            f"the record at offset {self.letter.offset} of partition {self.letter.partition} "
            f"cannot be decoded ({self.letter.reason}), and it is no dead letter of the live "
            "projection: this release reads the log in another way than the one that made it; "
            "let the live processor read that far first, or report this"
        )


class LogStartGoneError(Exception):
    """Records are gone from the log, no archive has them, and nobody has accepted that."""

    def __init__(
        self, partition: int, first_offset: int, last_offset: int, archived_to: int | None
    ) -> None:
        super().__init__(partition, first_offset, last_offset, archived_to)
        self.partition = partition
        self.first_offset = first_offset
        self.last_offset = last_offset
        self.archived_to = archived_to

    def __str__(self) -> str:
        upto = "none is archived" if self.archived_to is None else f"archived to {self.archived_to}"
        return (
            f"records {self.first_offset} to {self.last_offset} of partition {self.partition} are "
            f"gone ({upto}): a rebuild would lose their sessions; give --archive with all of them, "
            "or rebuild a part with --from; if nobody has them, `bookended archive --accept-gap` "
            "writes that down in an archive"
        )


Progress = Callable[[int, int, int], object]
"""Is told partition, `next_offset` and how many events, after each batch."""


def rebuild_part(
    projection: Projection,
    batches: Callable[[int], Iterator[Stretch]],
    part: Part,
    bounds: RebuildBounds,
    progress: Progress,
) -> None:
    """Folds a partition from where the projection has it to the target. `batches` reads from an
    offset on, and may read beyond the target.

    Errors: `UndecodableInRebuildError`, `StaleOwnerError` (another one writes to the projection),
    those of reading and of the database. What was written in checkpoints stays.
    """
    _Rebuild(projection, part, bounds, progress).run(batches)


def batches_of(
    archive: PartitionArchive | None, source: Source | None, partition: int, bounds: RebuildBounds
) -> Callable[[int], Iterator[Stretch]]:
    """Reads the archive as far as it goes, then the log: no record twice, none left out."""

    def read(from_offset: int) -> Iterator[Stretch]:
        next_offset = from_offset
        if archive is not None and from_offset < (archive.next_offset or 0):
            yield from read_by_session(archive, from_offset, bounds.archive_records_min)
            next_offset = archive.next_offset or 0
        if source is not None:
            yield from _read_log(source, partition, next_offset, bounds.read_records_max)

    return read


def _read_log(
    source: Source, partition: int, next_offset: int, records_max: int
) -> Iterator[Stretch]:
    source.seek(partition, next_offset)
    while True:
        records = source.poll(_POLL_TIMEOUT_S, records_max)
        # Behind the last record or further: there are offsets that no reader gets.
        yield stretch_of(records, source.next_offsets()[partition])


class _Rebuild:
    def __init__(
        self, projection: Projection, part: Part, bounds: RebuildBounds, progress: Progress
    ) -> None:
        self._projection = projection
        self._part = part
        self._bounds = bounds
        self._progress = progress
        self._last_received_at = 0
        self._sessions_left = 0
        claim = projection.claim(part.partition, part.log, part.start_offset)
        # Whoever let the live processor go past bad records has decided that here, too.
        restored = projection.restore(claim)
        self._memory = PartitionMemory(claim, restored, accepts_bad_records=True)

    def run(self, batches: Callable[[int], Iterator[Stretch]]) -> None:
        target = self._part.target
        for gap in self._part.gaps:
            if gap.last_offset >= self._memory.next_offset:
                self._read(batches, gap.first_offset, gap.read_until)
                self._cross(gap)
        self._read(batches, target.next_offset, target.tick)
        self._write()

    def _read(
        self, batches: Callable[[int], Iterator[Stretch]], end: int, tick_max: int | None
    ) -> None:
        """Folds all below `end`, and ticks on the way, never beyond `tick_max`, so that sessions of
        viewers who vanished leave the memory: ticks on the way and one tick at the end give the
        same rows (docs/rules.md "Closing")."""
        memory = self._memory
        if memory.next_offset < end:
            for stretch in batches(memory.next_offset):
                self._fold(stretch.below(end))
                if memory.next_offset >= end:
                    break
                if self._is_checkpoint_due():
                    reached = self._last_received_at - TICK_DELAY_MS
                    self._write_and_tick(None if tick_max is None else min(reached, tick_max))
        self._write_and_tick(tick_max)

    def _cross(self, gap: AcceptedGap) -> None:
        """What is live after the tick before the gap may have lost events, as in the live loop."""
        accepted_at = self._part.begun_at if gap.accepted_at is None else gap.accepted_at
        self._memory.accept_gap(gap.last_offset + 1, accepted_at)
        self._write()

    def _is_checkpoint_due(self) -> bool:
        memory, bounds = self._memory, self._bounds
        return (
            memory.events_since_checkpoint >= bounds.checkpoint_events_max
            or memory.live_count >= 2 * self._sessions_left + bounds.sessions_min
        )

    def _write_and_tick(self, until: int | None) -> None:
        """A checkpoint; before it a tick over what is over by now, behind it one over what is due
        besides, mostly nothing: a second checkpoint waits while another partition has its own."""
        if until is not None:
            self._memory.tick_ahead(until, self._bounds.tick_sessions_max)
        self._checkpoint()
        if until is not None:
            self._tick(until)
        self._sessions_left = self._memory.live_count

    def _fold(self, stretch: Stretch) -> None:
        memory, part = self._memory, self._part
        letters = self._unsettled(stretch.dead_letters)
        if part.wanted is not None:
            stretch = stretch.of(part.wanted)
        memory.admit(self._projection.closed_sessions(memory.unknown(stretch.sessions)))
        event_count = memory.fold_sessions(stretch.sessions).event_count
        self._last_received_at = max(self._last_received_at, stretch.received_at)
        memory.moved(stretch.next_offset, 0, letters)
        self._progress(part.partition, stretch.next_offset, event_count)

    def _unsettled(self, letters: list[DeadLetter]) -> list[DeadLetter]:
        """Without those that were replayed or dropped. Errors: `UndecodableInRebuildError`."""
        if not letters:
            return []
        partition, offsets = self._part.partition, [letter.offset for letter in letters]
        settled = self._projection.settled_letters(partition, offsets)
        left = [letter for letter in letters if letter.offset not in settled]
        known = self._projection.known_dead_letters(partition, offsets)
        for letter in left:
            if letter.offset not in known:
                raise UndecodableInRebuildError(letter)
        return left

    def _checkpoint(self) -> None:
        if self._memory.is_dirty:
            self._write()

    def _write(self) -> None:
        memory = self._memory
        batch = memory.batch()
        (claim,) = self._projection.checkpoint(self._part.topic, [batch])
        memory.written(claim, batch)

    def _tick(self, until: int) -> None:
        is_done = False
        while not is_done:
            is_done = self._memory.tick_to(until, self._bounds.tick_sessions_max)
            self._checkpoint()
