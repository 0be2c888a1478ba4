"""Live sessions of one partition that all change before every checkpoint, as in the live loop.

For benchmarks of what a checkpoint costs. Each session gets one event, then all are written.
"""

from time import perf_counter, process_time
from typing import Final, NamedTuple

from sqlalchemy import Engine, text

from models.avro import encode
from models.policy import DEFAULT_POLICY
from models.records import Event, LogRecord
from processor.memory import PartitionMemory
from processor.projection import Projection, ensure_live_projection
from processor.step import decode_records
from tests.bench.mix import T0_MS

_LOG: Final = ("bench", "bench")
_PING_MS: Final = 10_000


class Cost(NamedTuple):
    """µs a session: making the batch, writing it (by the clock), and writing it (own CPU time)."""

    batch: float
    write: float
    write_cpu: float


class LiveCrowd:
    """Live sessions of one partition, and the database that they are written to."""

    def __init__(self, engine: Engine, count: int, partition: int = 0) -> None:
        self._engine = engine
        self._partition = partition
        projection = ensure_live_projection(engine, DEFAULT_POLICY, T0_MS)
        self._projection = Projection(engine, projection)
        claim = self._projection.claim(partition, _LOG, 1)
        self._memory = PartitionMemory(claim, self._projection.restore(claim))
        self.count = count
        self._ids = [f"{number:064x}" for number in range(count)]
        self._offset = 0
        self._turn = 0
        self._read("sessionStart", {"media.id": "film", "media.length": 3_600})

    def checkpoint(self, kind: str) -> Cost:
        """Every session gets one event; then all of them are written."""
        self._read(kind)
        begin = perf_counter()
        batch = self._memory.batch()
        middle, cpu = perf_counter(), process_time()
        (claim,) = self._projection.checkpoint("bench", [batch])
        end, cpu_end = perf_counter(), process_time()
        self._memory.written(claim, batch)
        per_session = 1e6 / len(self._ids)
        return Cost(
            (middle - begin) * per_session,
            (end - middle) * per_session,
            (cpu_end - cpu) * per_session,
        )

    def restore(self) -> float:
        begin = perf_counter()
        live = self._projection.restore(self._projection.claim(self._partition, _LOG, 1)).live
        assert len(live) == len(self._ids)
        return (perf_counter() - begin) * 1e6 / len(live)

    def hot(self) -> float:
        """The share of updates that touched no index, of all since the start."""
        updates = text(
            "SELECT 100.0 * sum(n_tup_hot_upd) / greatest(sum(n_tup_upd), 1) "
            "FROM pg_stat_user_tables WHERE relname LIKE 'sessions_live%'"
        )
        with self._engine.connect() as connection:
            connection.execute(text("SELECT pg_stat_force_next_flush()"))
            connection.commit()
            return float(connection.execute(updates).scalar_one() or 0)

    def _read(self, kind: str, params: dict[str, object] | None = None) -> None:
        at_ms = self._turn * _PING_MS
        self._turn += 1
        records = [self._record(session_id, kind, at_ms, params) for session_id in self._ids]
        decoded = decode_records(records)
        self._memory.fold(decoded.records)
        self._memory.moved(decoded.next_offsets[self._partition], len(records), ())

    def _record(
        self, session_id: str, kind: str, at_ms: int, params: dict[str, object] | None
    ) -> LogRecord:
        event = Event(kind, T0_MS + at_ms, at_ms, params)  # type: ignore[arg-type]  # a known one
        self._offset += 1
        value = encode(session_id, (event,))
        return LogRecord(
            self._partition, self._offset, T0_MS + at_ms + 50, session_id.encode(), value
        )
