"""When a checkpoint is due: how the live loop paces itself.

Beside the record's way: `runner` asks. Imports `models` and `memory` only.
"""

from collections.abc import Collection
from dataclasses import dataclass

from models.limits import TICK_DELAY_MS
from processor.memory import PartitionMemory


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """How the loop paces itself. The two `checkpoint_…` ones are a user's to choose.

    `behind_…`: of a processor that reads what arrived so long ago, and has more than a checkpoint's
    events before it. Readers see old figures in any case, and a checkpoint writes every session
    that changed: so it comes after that interval, so many times the events, or so many more
    sessions in memory. Not while partitions change hands: what is not written then is folded twice.
    """

    checkpoint_interval_s: float = 1.0
    checkpoint_events_max: int = 50_000
    behind_ms: int = 10_000
    behind_interval_s: float = 5.0
    behind_events_factor: int = 4
    behind_sessions_max: int = 5_000
    settled_after_s: float = 2.0  # a heartbeat, by which a change is told, and what follows it
    poll_records_max: int = 500  # a slice of about 3 ms: requests in this process wait no longer
    poll_timeout_s: float = 0.1
    tick_delay_ms: int = TICK_DELAY_MS
    tick_sessions_max: int = 5_000
    dead_letter_bytes_max: int = 64 * 1024 * 1024
    accepts_bad_records: bool = False
    backoff_first_s: float = 0.1
    backoff_max_s: float = 5.0
    standby_s: float = 5.0
    trim_interval_s: float = 10.0
    accepts_gaps: bool = False


class Pace:
    """Says when a checkpoint is due, by what the last look at log and memories found."""

    def __init__(self, settings: RunnerSettings) -> None:
        self._settings = settings
        self._is_behind = False
        self._sessions_left = 0

    def look(
        self, lag_records: int, oldest_ms: int, live_sessions: int, unchanged_s: float
    ) -> None:
        """After a checkpoint: the records that the log has beyond it, how long ago the last one
        arrived that was read, the sessions in memory, and for how long it has had the same
        partitions."""
        settings = self._settings
        self._is_behind = (
            lag_records > settings.checkpoint_events_max
            and oldest_ms > settings.behind_ms
            and unchanged_s >= settings.settled_after_s
        )
        self._sessions_left = live_sessions

    @property
    def interval_s(self) -> float:
        """Between two checkpoints."""
        usual_s = self._settings.checkpoint_interval_s
        return max(usual_s, self._settings.behind_interval_s) if self._is_behind else usual_s

    def is_due(self, memories: Collection[PartitionMemory], *, has_read: bool) -> bool:
        """Whether a checkpoint must not wait for its time: there is too much to write, or who was
        far behind has read nothing more."""
        settings = self._settings
        if sum(m.dead_letter_bytes for m in memories) >= settings.dead_letter_bytes_max:
            return True
        events = sum(m.events_since_checkpoint for m in memories)
        if not self._is_behind:
            return events >= settings.checkpoint_events_max
        if not has_read:
            return True
        grown_by = sum(m.live_count for m in memories) - self._sessions_left
        return events >= settings.behind_events_factor * settings.checkpoint_events_max or (
            events >= settings.checkpoint_events_max and grown_by >= settings.behind_sessions_max
        )
