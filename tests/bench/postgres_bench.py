"""A checkpoint's cost a session, on a real PostgreSQL beside a SQLite file.

Every session has changed by one ping since the last checkpoint, as in the live loop. The server is
one of `deploy.local`, on the same cores.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter, process_time
from typing import Final, NamedTuple

from sqlalchemy import Engine, text

import migrations
from deploy.local import LocalPostgres
from models.avro import encode
from models.policy import DEFAULT_POLICY
from models.records import Event, LogRecord
from processor.database import open_database
from processor.memory import PartitionMemory
from processor.projection import Projection, ensure_live_projection
from processor.step import decode_records
from tests.bench.figures import Effort, Figure, alternate
from tests.bench.mix import T0_MS

SESSIONS: Final = 5_000
_LOG: Final = ("bench", "bench")
_PING_MS: Final = 10_000


class Cost(NamedTuple):
    """µs a session: making the batch, writing it (by the clock), and writing it (own CPU time)."""

    batch: float
    write: float
    write_cpu: float


def bench(effort: Effort) -> list[Figure]:
    count = effort.size(SESSIONS, 200)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.chmod(0o755)  # as root PostgreSQL runs as another account, which must get in
        effort.tell("starting PostgreSQL")
        server = stack.enter_context(LocalPostgres(directory / "postgres"))
        urls = {"PostgreSQL": server.url, "SQLite": f"sqlite:///{directory}/bench.db"}
        crowds = {name: _Crowd(url, count) for name, url in urls.items()}
        for crowd in crowds.values():
            stack.callback(crowd.engine.dispose)
        found: dict[str, list[Cost]] = {name: [] for name in urls}
        opened = {name: crowd.checkpoint("play") for name, crowd in crowds.items()}

        def round_of(name: str) -> Callable[[], float]:
            def one_round() -> float:
                found[name].append(crowds[name].checkpoint("ping"))
                return found[name][-1].write

            return one_round

        alternate(effort, {name: round_of(name) for name in urls})
        figures = [f for name in urls for f in _figures(name, opened[name], found[name])]
        restored = {name: [crowd.restore()] for name, crowd in crowds.items()}
        figures += [Figure(f"restored after a claim, {n}", "µs", s) for n, s in restored.items()]
        return [*figures, Figure("HOT updates of live sessions", "%", [crowds["PostgreSQL"].hot()])]


def _figures(name: str, opened: Cost, costs: list[Cost]) -> list[Figure]:
    each = "a session"
    return [
        Figure(f"new session written, {name}", "µs", [opened.write]),
        Figure(f"changed session written, {name}", "µs", [cost.write for cost in costs]),
        Figure(f"of it this process's time, {name}", "µs", [cost.write_cpu for cost in costs]),
        Figure(f"figures and state of {each} made, {name}", "µs", [cost.batch for cost in costs]),
    ]


class _Crowd:
    """Live sessions of one partition, and the database that they are written to."""

    def __init__(self, url: str, count: int) -> None:
        self.engine: Engine = open_database(url)
        migrations.upgrade(self.engine)
        projection = ensure_live_projection(self.engine, DEFAULT_POLICY, T0_MS)
        self._projection = Projection(self.engine, projection)
        claim = self._projection.claim(0, _LOG, 1)
        self._memory = PartitionMemory(claim, self._projection.restore(claim))
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
        live = self._projection.restore(self._projection.claim(0, _LOG, 1)).live
        assert len(live) == len(self._ids)
        return (perf_counter() - begin) * 1e6 / len(live)

    def hot(self) -> float:
        """The share of updates that touched no index, of all since the start."""
        updates = text(
            "SELECT 100.0 * sum(n_tup_hot_upd) / greatest(sum(n_tup_upd), 1) "
            "FROM pg_stat_user_tables WHERE relname LIKE 'sessions_live%'"
        )
        with self.engine.connect() as connection:
            connection.execute(text("SELECT pg_stat_force_next_flush()"))
            connection.commit()
            return float(connection.execute(updates).scalar_one() or 0)

    def _read(self, kind: str, params: dict[str, object] | None = None) -> None:
        at_ms = self._turn * _PING_MS
        self._turn += 1
        records = [self._record(session_id, kind, at_ms, params) for session_id in self._ids]
        decoded = decode_records(records)
        self._memory.fold(decoded.records)
        self._memory.moved(decoded.next_offsets[0], len(records), ())

    def _record(
        self, session_id: str, kind: str, at_ms: int, params: dict[str, object] | None
    ) -> LogRecord:
        event = Event(kind, T0_MS + at_ms, at_ms, params)  # type: ignore[arg-type]  # a known one
        self._offset += 1
        value = encode(session_id, (event,))
        return LogRecord(0, self._offset, T0_MS + at_ms + 50, session_id.encode(), value)
