"""The live loop: poll, fold, checkpoint, tick, for ever.

On the record's way it drives everything from source to projection. The fold itself is pure; here
are the clock, the waiting and the retries. Imports `models` and the processor only.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol

import structlog

from models.records import LogRecord
from processor.claim import (
    Claim,
    NotLiveError,
    ProjectionMissingError,
    RulesError,
    StaleOwnerError,
)
from processor.closes import CLOSES_MAX, ClosesRelay
from processor.database import DatabaseAwayError
from processor.intake import take_in
from processor.memory import PartitionMemory
from processor.pace import Pace, RunnerSettings
from processor.processor_metrics import PartitionFigures, ProcessorMetrics
from processor.projection import Projection, Restored
from processor.source import BeyondLogError, LogAwayError, LogGapError, Source
from processor.sql_rows import PartitionBatch

logger = structlog.get_logger("bookended.processor")

IDLE_INTERVAL_S: Final = 0.5
"""How often a processor that has to wait tells the log's other readers that it is still there."""

TRIM_BATCHES_MAX: Final = 10
"""Batches of the log's retention in one round: the collector waits for none longer than for one."""


class Clocks(NamedTuple):
    """The wall clock (ms since the epoch), for ticks, and a steady one (s), for intervals."""

    now_ms: Callable[[], int]
    steady_s: Callable[[], float]


class Retention(Protocol):
    """Deletes old records of a log that does not do so itself."""

    def trim(self, next_offset: int) -> int:
        """Deletes one batch below `next_offset`, says how many. Errors: `LogAwayError`."""
        ...


RunnerState = Literal["starting", "running", "retrying", "standing_by", "stopped", "failed"]


class RunnerStatus(NamedTuple):
    """What the loop is doing; `reason` says why it is not running."""

    state: RunnerState
    reason: str


class _Asked(NamedTuple):
    """The wall clock, and where a partition ended when it was asked just after."""

    now_ms: int
    end_offset: int


class Runner:
    """One processor. `run` blocks; `status` may be read from any thread.

    `projection`, `source` and `relay` are used by the thread that calls `run`, and closed by
    whoever made them.
    """

    def __init__(
        self,
        source: Source,
        projection: Projection,
        relay: ClosesRelay,
        metrics: ProcessorMetrics,
        clocks: Clocks,
        settings: RunnerSettings,
        retention: Retention | None = None,
    ) -> None:
        self.status = RunnerStatus("starting", "")
        self._source = source
        self._projection = projection
        self._relay = relay
        self._metrics = metrics
        self._clocks = clocks
        self._settings = settings
        self._pace = Pace(settings)
        self._retention = retention
        self._memories: dict[int, PartitionMemory] = {}
        self._stood_still: set[int] = set()
        self._last_received_at: dict[int, int] = {}
        self._asked: dict[int, _Asked] = {}
        self._changed_hands_at = 0.0
        self._failures = 0
        self._round_at = 0.0
        self._trim_at = 0.0
        self._closes_waiting = True
        self._troubles: dict[str, str] = {}

    @property
    def is_ready(self) -> bool:
        """Whether it reads the log and writes SQL."""
        return self.status.state == "running"

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set, then writes a last checkpoint and returns.

        What can pass (log or database away, claim lost) is retried for ever with bounded backoff;
        a projection of other rules is waited for. Everything else is raised, with `status` failed.
        """
        try:
            while not stop.is_set():
                self._wait(stop, self._attempt(stop))
        except Exception as error:
            self._enter("failed", str(error))
            raise
        self._enter("stopped", "")

    def _attempt(self, stop: threading.Event) -> float:
        """Works until something is in the way; returns how long to wait before the next try."""
        try:
            self._work(stop)
        except (DatabaseAwayError, LogAwayError) as error:
            self._metrics.retries.inc()
            self._enter("retrying", str(error))
            self._failures += 1
            doubled_s = self._settings.backoff_first_s * float(2 ** min(self._failures - 1, 16))
            return min(doubled_s, self._settings.backoff_max_s)
        except NotLiveError as error:
            logger.info("processor_follows_live_projection", left=error.projection)
            self._projection.follow()
        except (RulesError, ProjectionMissingError) as error:
            self._enter("standing_by", str(error))
            return self._settings.standby_s
        finally:
            # Whether they are still ours is asked before they are claimed anew.
            for partition in self._memories:
                self._source.doubt(partition)
            self._memories.clear()
            self._stood_still.clear()
            self._asked.clear()
        return 0.0

    def _wait(self, stop: threading.Event, pause_s: float) -> None:
        """Waits, but stays one of the log's readers: one that says nothing loses its partitions."""
        while not stop.wait(min(pause_s, IDLE_INTERVAL_S)) and pause_s > IDLE_INTERVAL_S:
            pause_s -= IDLE_INTERVAL_S
            with contextlib.suppress(LogAwayError):  # told by the next attempt
                self._source.idle()

    def _enter(self, state: RunnerState, reason: str) -> None:
        """Remembers the state; a change of it is one line in the log."""
        before, self.status = self.status, RunnerStatus(state, reason)
        self._metrics.running.set(state == "running")
        if before != self.status:
            level = {"running": logger.info, "stopped": logger.info, "failed": logger.error}
            level.get(state, logger.warning)(f"processor_{state}", reason=reason)

    def _work(self, stop: threading.Event) -> None:
        self._claim_missing()
        self._ask()  # who cannot reach log and database is not running, if it reads nothing, too
        self._projection.must_be_current()
        self._enter("running", "")
        settings = self._settings
        while not stop.is_set():
            now_s = self._clocks.steady_s()
            left_s = self._round_at - now_s
            timeout_s = max(0.0, min(left_s, settings.poll_timeout_s))
            records = self._source.poll(timeout_s, settings.poll_records_max)
            self._forget_gone()
            self._take(records)
            self._claim_missing()
            is_due = self._pace.is_due(self._memories.values(), has_read=bool(records))
            if left_s <= 0 or is_due or self._is_awaited():
                self._round(began_s=now_s)
        self._checkpoint()
        self._relay_closes()

    def _is_awaited(self) -> bool:
        """Whether there is something to write of a partition that stood still until it was claimed:
        readers have waited for long enough."""
        return any(
            partition in self._stood_still and memory.is_dirty
            for partition, memory in self._memories.items()
        )

    # --- claim ----------------------------------------------------------------------------------

    def _forget_gone(self) -> None:
        """A partition that was taken away is forgotten without writing: its next owner folds again
        what the last checkpoint does not have."""
        for partition in self._source.gone():
            if self._memories.pop(partition, None) is not None:
                self._asked.pop(partition, None)
                self._changed_hands_at = self._clocks.steady_s()
                logger.info("processor_released_partition", partition=partition)

    def _claim_missing(self) -> None:
        missing = [p for p in self._source.partitions() if p not in self._memories]
        if missing:
            self._open(missing)
            self._changed_hands_at = self._clocks.steady_s()
            self._stood_still.update(missing)
            self._closes_waiting = True

    def _open(self, partitions: Sequence[int]) -> None:
        """Claims the partitions, then reads what their last owners left, then seeks there."""
        source = self._source
        start_offsets = source.start_offsets(partitions)
        claims = self._projection.claim_all((source.name(), source.log_id()), start_offsets)
        left = self._projection.restore_all(claims)
        end_offsets = source.end_offsets(partitions)
        for claim, restored in zip(claims, left, strict=True):
            partition = claim.partition
            bounds = start_offsets[partition], end_offsets[partition]
            self._memories[partition] = memory = self._remember(claim, restored, bounds)
            source.seek(partition, memory.next_offset)
            logger.info(
                "processor_claimed_partition",
                partition=partition,
                owner=claim.owner,
                next_offset=memory.next_offset,
                live_sessions=len(restored.live),
            )

    def _remember(
        self, claim: Claim, restored: Restored, bounds: tuple[int, int]
    ) -> PartitionMemory:
        """`bounds`: where the log begins and ends."""
        start_offset, end_offset = bounds
        if restored.next_offset > end_offset:
            name = self._source.name()
            raise BeyondLogError(name, claim.partition, restored.next_offset, end_offset)
        accepts_bad_records = self._settings.accepts_bad_records
        memory = PartitionMemory(claim, restored, accepts_bad_records=accepts_bad_records)
        if restored.next_offset < start_offset:
            self._cross_gap(memory, start_offset)
        return memory

    def _cross_gap(self, memory: PartitionMemory, start_offset: int) -> None:
        """Errors: `LogGapError`, unless gaps are accepted."""
        partition = memory.claim.partition
        if not self._settings.accepts_gaps:
            name = self._source.name()
            raise LogGapError(name, partition, memory.next_offset, start_offset)
        gap = memory.accept_gap(start_offset, self._clocks.now_ms())
        logger.warning(
            "processor_accepted_gap",
            partition=partition,
            first_offset=gap.first_offset,
            last_offset=gap.last_offset,
            live_sessions=gap.session_count,
        )

    # --- fold -----------------------------------------------------------------------------------

    def _take(self, log_records: Sequence[LogRecord]) -> None:
        if not log_records:
            return
        with self._metrics.fold_seconds.time():
            arrived = take_in(self._memories, self._projection, self._metrics, log_records)
        self._metrics.records.inc(len(log_records))
        self._last_received_at.update(arrived)

    # --- checkpoint and what follows it ---------------------------------------------------------

    def _round(self, began_s: float) -> None:
        """Rounds begin an interval apart, however long one takes: what came just after a checkpoint
        was begun waits for the whole of the next. Where one takes most of the interval, half of it
        is left for the log."""
        self._move_on()
        self._checkpoint()
        self._metrics.checkpoint_timestamp_seconds.set(self._clocks.now_ms() / 1000)
        self._projection.must_be_current()
        is_done = self._tick()
        self._relay_closes()
        self._trim()
        self._ask()
        interval_s = self._pace.interval_s if is_done else 0.0
        self._round_at = max(began_s + interval_s, self._clocks.steady_s() + interval_s / 2)

    def _move_on(self) -> None:
        """Past what the log gives to no reader."""
        for partition, next_offset in self._source.next_offsets().items():
            memory = self._memories.get(partition)
            if memory is not None:
                memory.move_on(next_offset)

    def _checkpoint(self) -> None:
        """Writes what changed. A partition that another owner claimed is forgotten, the others
        are written without it."""
        # In the order in which claims lock their rows.
        dirty = [self._memories[p] for p in sorted(self._memories) if self._memories[p].is_dirty]
        if not dirty:
            return
        with self._metrics.checkpoint_seconds.time():
            batches = {memory.claim.partition: memory.batch() for memory in dirty}
            while batches:
                try:
                    claims = self._projection.checkpoint(self._source.topic(), [*batches.values()])
                except StaleOwnerError as error:
                    self._lose(error.partition)
                    del batches[error.partition]
                    continue
                for claim, batch in zip(claims, batches.values(), strict=True):
                    self._memories[claim.partition].written(claim, batch)
                    self._count(batch)
                break
            written = [memory.claim.partition for memory in dirty]
            self._stood_still.difference_update(written)
            self._source.checkpointed(
                {p: self._memories[p].next_offset for p in written if p in self._memories}
            )
        self._failures = 0

    def _lose(self, partition: int) -> None:
        del self._memories[partition]
        self._asked.pop(partition, None)
        self._source.doubt(partition)
        self._metrics.claims_lost.inc()
        logger.warning("processor_lost_claim", partition=partition)

    def _count(self, batch: PartitionBatch) -> None:
        if batch.gap is not None:
            self._metrics.lost_offsets.inc(batch.gap.last_offset + 1 - batch.gap.first_offset)
        self._closes_waiting = self._closes_waiting or bool(batch.closes)
        for write in batch.sessions:
            if write.summary.final:
                self._metrics.sessions_closed.labels(write.summary.figures.close_reason).inc()

    def _ask(self) -> None:
        """First the clock, then the log: what arrived before that time then lies below that end."""
        now_ms = self._clocks.now_ms()
        # Without any partition too: who cannot reach the log is not running. 0 is always there.
        end_offsets = self._source.end_offsets(self._memories.keys() or (0,))
        for partition in self._memories:
            self._asked.setdefault(partition, _Asked(now_ms, end_offsets[partition]))
        self._observe(end_offsets)

    def _tick(self) -> bool:
        """Ticks each partition that has been read up to where it ended when the clock was asked;
        False if more is due than one go takes. Follows a checkpoint, so that nothing is changed
        and unwritten."""
        is_done = True
        for partition, memory in self._memories.items():
            asked = self._asked.get(partition)
            if asked is None or memory.next_offset < asked.end_offset:
                continue
            until = asked.now_ms - self._settings.tick_delay_ms
            if memory.tick_to(until, self._settings.tick_sessions_max):
                del self._asked[partition]
            else:
                is_done = False
        return is_done

    def _relay_closes(self) -> None:
        if not self._closes_waiting:
            return
        try:
            for partition in self._memories:
                while (count := self._relay.relay(self._projection.projection, partition)) > 0:
                    self._metrics.closes_published.inc(count)
                    if count < CLOSES_MAX:
                        break
        except LogAwayError as error:
            self._note("closes", str(error))
            return
        self._note("closes", "")
        self._closes_waiting = False

    def _trim(self) -> None:
        """Some batches now and then; more in the next round while there is more."""
        if self._retention is None or self._clocks.steady_s() < self._trim_at:
            return
        has_more = False
        try:
            for partition in self._memories:
                next_offset = self._projection.read_by_all(partition)
                batches = (self._retention.trim(next_offset) for _ in range(TRIM_BATCHES_MAX))
                has_more = all(batches) or has_more
            self._note("retention", "")
        except LogAwayError as error:
            self._note("retention", str(error))
        pause_s = 0.0 if has_more else self._settings.trim_interval_s
        self._trim_at = self._clocks.steady_s() + pause_s

    def _note(self, work: str, trouble: str) -> None:
        """A trouble that stops nothing else is told once, when it comes."""
        if trouble and trouble != self._troubles.get(work):
            logger.warning("processor_cannot_write_log", work=work, reason=trouble)
        self._troubles[work] = trouble

    def _observe(self, end_offsets: Mapping[int, int]) -> None:
        now_ms = self._clocks.now_ms()
        lag_records = oldest_ms = live_sessions = 0
        for partition, memory in self._memories.items():
            lag = max(0, end_offsets[partition] - memory.next_offset)
            arrived_at = self._last_received_at.get(partition, now_ms)
            age_ms = max(0, now_ms - arrived_at) if lag else 0
            figures = PartitionFigures(lag, age_ms / 1000, memory.next_offset, memory.live_count)
            self._metrics.show(partition, figures)
            lag_records += lag
            oldest_ms = max(oldest_ms, age_ms)
            live_sessions += memory.live_count
        self._metrics.hide_all_but(self._memories)
        unchanged_s = self._clocks.steady_s() - self._changed_hands_at
        self._pace.look(lag_records, oldest_ms, live_sessions, unchanged_s)
