"""A log file, a database and a processor over them, with clocks that a test sets.

Only for tests. `World.process` runs the real loop in the test's own thread until it has caught up;
`World.clean` is what a single fold of the whole log gives, in a database of its own.
"""

import shutil
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine
from sqlalchemy.event import listen

from ingest.log_file import prepare_log
from models.avro import encode
from models.policy import DEFAULT_POLICY, Policy
from models.records import Event, LogRecord, Record
from processor.closes import ClosesRelay
from processor.database import open_database
from processor.embedded_source import EmbeddedCloses, EmbeddedSource
from processor.pace import RunnerSettings
from processor.processor_metrics import ProcessorMetrics
from processor.projection import Projection, ensure_live_projection
from processor.quiet import offset_of
from processor.runner import Clocks, Retention, Runner
from processor.source import Close, ClosesSink, Source
from processor.sql_rows import PartitionBatch, SessionWrite
from processor.step import decode_records, fold_records, tick
from processor.summarize import summarize
from tests.contract.tables import Content, content, place
from tests.reference.arrivals import Arrival, Step
from tests.reference.plans import T0
from tests.sqlite import new_sqlite_file

IDLE_POLLS_MAX = 12
"""Polls without a record before a processor is stopped: some rounds, so that ticks come."""
SMALL = RunnerSettings(  # many small polls and checkpoints, and no waiting
    checkpoint_interval_s=1.0,
    checkpoint_events_max=40,
    behind_ms=10**15,  # however old a test's events are
    poll_records_max=7,
    poll_timeout_s=0,
    backoff_first_s=0,
    backoff_max_s=0,
    standby_s=0,
)

Hook = Callable[[int], None]


def session_id(number: int) -> str:
    return f"{number:064x}"


def event(kind: str, at_s: float, **more: object) -> Event:
    """An event that is played, sent and received at `at_s`."""
    ms = round(at_s * 1_000)
    fields: dict[str, object] = {"ts": T0 + ms, "playhead_ms": ms, "received_at": T0 + ms, **more}
    return Event(type=kind, **fields)  # type: ignore[arg-type]  # the fields are the test's


def records_of(number: int, steps: Iterable[Step]) -> list[Record]:
    """The records of a session that a generator made, under an id of its own. Ticks are left out:
    the processor has its own."""
    return [
        step.record._replace(session_id=session_id(number))
        for step in steps
        if isinstance(step, Arrival)
    ]


def _without_fsync(connection: sqlite3.Connection, _record: object) -> None:
    """No test here cuts the power, and many make hundreds of commits."""
    connection.execute("PRAGMA synchronous = OFF")


class StoppingSource:
    """A source that stops its processor when nothing more comes. `hook` sees the count of polls,
    before each: it may raise, or meddle."""

    def __init__(self, inner: Source, stop: threading.Event, hook: Hook) -> None:
        self._inner = inner
        self._stop = stop
        self._hook = hook
        self._idle = 0
        self._polls = 0
        self.name = inner.name
        self.topic = inner.topic
        self.log_id = inner.log_id
        self.partitions = inner.partitions
        self.start_offset = inner.start_offset
        self.start_offsets = inner.start_offsets
        self.end_offset = inner.end_offset
        self.gone = inner.gone
        self.doubt = inner.doubt
        self.checkpointed = inner.checkpointed
        self.seek = inner.seek
        self.next_offsets = inner.next_offsets
        self.idle = inner.idle
        self.close = inner.close

    def end_offsets(self, partitions: Collection[int]) -> dict[int, int]:
        return {partition: self.end_offset(partition) for partition in partitions}

    def poll(self, timeout_s: float, records_max: int) -> list[LogRecord]:
        self._polls += 1
        self._hook(self._polls)
        records = self._inner.poll(timeout_s, records_max)
        self._idle = 0 if records else self._idle + 1
        if self._idle > IDLE_POLLS_MAX:
            self._stop.set()
        return records


@dataclass
class World:
    """One data directory. `now_ms` is the wall clock; the steady one moves with every look."""

    folder: Path
    policy: Policy = DEFAULT_POLICY
    settings: RunnerSettings = SMALL
    now_ms: int = T0
    steady_s: float = 0.0
    follows_live: bool = True
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _open: list[EmbeddedSource | EmbeddedCloses] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log_path = self.folder / "log.db"
        self.database_path = self.folder / "analytics.db"
        log_id = prepare_log(self.log_path)
        self.log_id = log_id
        self.log = self._open_log()
        self.engine = self.open_main()
        self.projection = ensure_live_projection(self.engine, self.policy, T0)

    def open_main(self) -> Engine:
        """The engine of the database that processors write to."""
        return self.open_engine(self.database_path)

    def open_engine(self, path: Path) -> Engine:
        """`path`: a database with the newest schema, or none yet."""
        if not path.exists():
            new_sqlite_file(path)
        engine = open_database(f"sqlite:///{path}", busy_timeout_ms=0)
        listen(engine, "connect", _without_fsync)
        return engine

    def append(self, *records: Record) -> None:
        """Appends records in the order of their arrival."""
        in_order = sorted(records, key=lambda r: r.events[0].received_at)
        for session, offline, events in in_order:
            value = encode(session, events, offline=offline)
            self.append_bytes(session, value, events[0].received_at)

    def append_events(self, number: int, *events: Event) -> None:
        """One record an event."""
        self.append(*(Record(session_id(number), False, (event,)) for event in events))

    def append_bytes(self, key: str, value: bytes, received_at: int) -> None:
        self.log.execute(
            "INSERT INTO log_records (received_at, key, value) VALUES (?, ?, ?)",
            (received_at, key, value),
        )

    def runner(
        self,
        source: Source,
        sink: ClosesSink,
        retention: Retention | None = None,
    ) -> Runner:
        return Runner(
            source,
            Projection(self.engine, self.projection, follows_live=self.follows_live),
            ClosesRelay(self.engine, sink),
            ProcessorMetrics(self.registry),
            Clocks(lambda: self.now_ms, self.steady),
            self.settings,
            retention,
        )

    def steady(self) -> float:
        self.steady_s += 0.4
        return self.steady_s

    def runner_of_its_own(
        self,
        stop: threading.Event,
        hook: Hook = lambda _: None,
        sink: ClosesSink | None = None,
        retention: Retention | None = None,
    ) -> Runner:
        """A processor over this world's files that stops when it has nothing more to do."""
        embedded = EmbeddedSource(self.log_path)
        closes = EmbeddedCloses(self.log_path, lambda: T0)  # keeps them all
        _without_fsync(closes._file.connection, None)
        self._open += [embedded, closes]
        self.registry = CollectorRegistry()
        return self.runner(StoppingSource(embedded, stop, hook), sink or closes, retention)

    def process(
        self,
        hook: Hook = lambda _: None,
        sink: ClosesSink | None = None,
        retention: Retention | None = None,
    ) -> Runner:
        """Runs a processor until it has nothing more to do; returns it, stopped."""
        stop = threading.Event()
        before = len(self._open)
        runner = self.runner_of_its_own(stop, hook, sink, retention)
        try:
            runner.run(stop)
        finally:
            self._close_opened(before)
        return runner

    def sample(self, name: str, **labels: str) -> float | None:
        """The metric of the processor that ran last."""
        return self.registry.get_sample_value(f"bookended_processor_{name}", labels or None)

    def content(self) -> Content:
        return content(self.engine)

    def closes(self) -> dict[str, int]:
        """What a collector that has read all closes knows."""
        known: dict[str, int | None] = {}
        rows = self.log.execute("SELECT session_id, closed_at FROM closes ORDER BY position")
        known.update(rows.fetchall())
        return {session: at for session, at in known.items() if at is not None}

    def log_records(self) -> list[LogRecord]:
        rows = self.log.execute(
            'SELECT "offset", received_at, key, value FROM log_records ORDER BY "offset"'
        )
        return [LogRecord(0, o, at, key.encode(), value) for o, at, key, value in rows]

    def clean(self) -> tuple[Content, dict[str, int]]:
        """Rows and closes of one fold of the whole log and one tick, at the place where the
        processor stands now."""
        next_offset, until = place(self.engine)
        log_records = [r for r in self.log_records() if r.offset < next_offset]
        batch, closes = clean_batch(log_records, until, self.policy)
        path = self.folder / "clean.db"
        path.unlink(missing_ok=True)
        engine = self.open_engine(path)
        projection = Projection(engine, ensure_live_projection(engine, self.policy, T0))
        source = EmbeddedSource(self.log_path)
        claim = projection.claim(0, (source.name(), source.log_id()), 1)
        batch = batch._replace(claim=claim, next_offset=next_offset, tick=until)
        projection.checkpoint(source.topic(), [batch])
        rows = content(engine)
        source.close()
        engine.dispose()
        return rows, closes

    def start_anew(self) -> None:
        """An empty database for the same log."""
        self.close()
        for path in self.folder.glob(f"{self.database_path.name}*"):
            path.unlink()
        self.log = self._open_log()
        new_sqlite_file(self.database_path)
        self.projection = ensure_live_projection(self.engine, self.policy, T0)
        self.registry = CollectorRegistry()

    def go_back_to(self, original: "World") -> None:
        """Makes this copy again what it was; the engine stays, with what it has compiled."""
        self.close()
        for path in self.folder.glob("*.db*"):
            path.unlink()
        for path in (original.log_path, original.database_path):
            shutil.copy(path, self.folder / path.name)
        self.log = self._open_log()

    def _open_log(self) -> sqlite3.Connection:
        return sqlite3.connect(self.log_path, isolation_level=None)

    def _close_opened(self, but: int = 0) -> None:
        while len(self._open) > but:
            self._open.pop().close()

    def close(self) -> None:
        """Closes both files, so that they hold all there is. The engine opens its again."""
        self._close_opened()
        self.log.close()
        self.engine.dispose()


def clean_batch(
    log_records: Sequence[LogRecord], until: int | None, policy: Policy
) -> tuple[PartitionBatch, dict[str, int]]:
    """Everything in one go: no checkpoint on the way, no state that went through bytes."""
    states = {}  # type: ignore[var-annotated]  # of the core's own type
    decoded = decode_records(log_records)
    fold_records(states, decoded.records, policy)
    if until is not None:
        tick(states, list(states), until, policy)
    sessions = []
    closes = {}
    for session, state in states.items():
        summary = summarize(state, policy)
        place_of = (state.partition, state.first_offset, offset_of(state))
        sessions.append(SessionWrite(summary, *place_of, 0, b""))
        if summary.figures.closed_at is not None:
            closes[session] = summary.figures.closed_at
    nothing: tuple[Close, ...] = ()
    batch = PartitionBatch(
        None,  # type: ignore[arg-type]  # the claim comes later
        0,
        None,
        sessions,
        (),
        decoded.dead_letters,
        nothing,
    )
    return batch, closes


def copy_of(world: World, folder: Path) -> World:
    """Another directory with the same log and the same database, which is a file."""
    folder.mkdir()
    world.close()
    for path in (world.log_path, world.database_path):
        shutil.copy(path, folder / path.name)
    world.log = world._open_log()
    return World(folder, world.policy, world.settings, world.now_ms)
