"""The live shape in production: every event another session's, over a real Kafka into a real
PostgreSQL, both on the same cores as the processor and what feeds the topic.

What an event costs the processor does not depend on other work on the machine; how old the oldest
event is that SQL does not have does. Sessions ping as often as the rate makes it.
"""

import contextlib
import tempfile
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, process_time, sleep, time_ns
from typing import Final, NamedTuple

import psutil
import psycopg
from confluent_kafka import Producer

from deploy.local import LocalKafka, LocalPostgres
from models.avro import encode
from models.placement import Placement, parse_partition_counts
from models.records import Event, EventType
from tests.bench.figures import Effort, Figure, at_least, at_most
from tests.bench.topic import broker_for
from tests.bench.workers import Ask, questions, worker
from tests.commands.processes import Cli, Server
from tests.postgres import plain

COUNTS: Final = (1_000, 10_000, 100_000)
RATE: Final = 5_200
_FED_MORE: Final = 1.04
"""Than the goal asks: from the first event sent to the last one in SQL it takes longer."""
PARTITIONS: Final = 8
Sent = tuple[int, bytes, bytes]
"""Partition, key and value of a record."""

Places = dict[int, int]
"""`next_offset` by partition."""

_BOUNDS: Final = {"queue.buffering.max.messages": 500_000, "queue.buffering.max.kbytes": 512_000}
_LOOK_S: Final = 0.05
_SLICE_S: Final = 0.02
_PATIENCE_S: Final = 300.0
_PROGRESS: Final = "SELECT log_partition, next_offset FROM progress"
_ROWS: Final = (
    "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables "
    "WHERE schemaname NOT LIKE 'pg\\_temp%'"  # where rows wait on their way
)


class Feed(NamedTuple):
    """What is to be sent next: so long, at this rate; or each session's opening, when 0 s."""

    rate: int
    duration_s: float


class Fed(NamedTuple):
    """When each record was sent, by partition, in the order of its offsets; all since the start.
    `cpu_s`: what the sending of this order took of the CPU."""

    sent_at: list["array[float]"]
    cpu_s: float

    @property
    def total(self) -> int:
        return sum(map(len, self.sent_at))


class Window(NamedTuple):
    """One window of the load: events a second, rows an event, µs of CPU time an event of processor,
    PostgreSQL, Kafka and what feeds, and at each look the age of the oldest event that SQL did not
    have."""

    rate: float
    rows: float
    cpu_us: list[float]
    lags_s: list[float]


# --- what feeds the topic -----------------------------------------------------------------------


def feed(connection: Connection, servers: str, topic: str, sessions: int) -> None:
    """A worker that sends: answers each `Feed` with all that was sent until then. It shares the
    cores with what is measured: so by librdkafka, and with records made beforehand."""
    producer = Producer({"bootstrap.servers": servers, "acks": "all", "linger.ms": 5, **_BOUNDS})
    feeder = _Feeder(producer, topic, sessions)
    for order in questions(connection):
        cpu_s = feeder.obey(order)
        producer.flush(60)
        connection.send(Fed(feeder.sent_at, cpu_s))


class _Feeder:
    def __init__(self, producer: Producer, topic: str, sessions: int) -> None:
        self.sent_at = [array("d") for _ in range(PARTITIONS)]
        self._producer = producer
        self._topic = topic
        placement = Placement(parse_partition_counts(str(PARTITIONS)))
        ids = [f"{number:064x}" for number in range(sessions)]
        self._sessions = [(i, i.encode(), placement.of(i)) for i in ids]
        self._start_ts = time_ns() // 1_000_000
        self._pings = 0

    def obey(self, order: Feed) -> float:
        """The CPU time that the sending took, s."""
        if not order.duration_s:
            return sum(self._open(kind) for kind in ("sessionStart", "play"))
        return self._send([self._ping() for _ in range(int(order.rate * order.duration_s))], order)

    def _open(self, kind: EventType) -> float:
        return self._send([self._record(n, kind, 0) for n in range(len(self._sessions))])

    def _ping(self) -> Sent:
        turn, place = divmod(self._pings, len(self._sessions))
        self._pings += 1
        return self._record(place, "ping", (turn + 1) * 10_000)

    def _record(self, place: int, kind: EventType, at_ms: int) -> Sent:
        session_id, key, partition = self._sessions[place]
        params = {"media.id": "film", "media.length": 36_000} if kind == "sessionStart" else None
        value = encode(session_id, (Event(kind, self._start_ts + at_ms, at_ms, params),))
        return partition, key, value

    def _send(self, records: list[Sent], pace: Feed | None = None) -> float:
        produce, topic = self._producer.produce, self._topic
        begin, cpu_s, sent = monotonic(), process_time(), 0
        while sent < len(records):
            due = len(records)
            if pace is not None:
                due = min(due, int((monotonic() - begin) * pace.rate))
            for partition, key, value in records[sent:due]:
                produce(topic, value, key, partition)
                self.sent_at[partition].append(monotonic())
            sent = due
            self._producer.poll(0)
            if pace is not None:
                sleep(_SLICE_S)
        return process_time() - cpu_s


# --- what is measured ---------------------------------------------------------------------------


def bench(effort: Effort) -> list[Figure]:
    counts = (50, 200) if effort.quick else COUNTS
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.chmod(0o755)  # as root PostgreSQL runs as another account, which must get in
        effort.tell("starting Kafka and PostgreSQL")
        kafka = stack.enter_context(broker_for(effort, directory))
        postgres = stack.enter_context(LocalPostgres(directory / "postgres"))
        return [
            figure
            for count in counts
            for figure in _Shape(directory, kafka, postgres, count).figures(
                effort, is_judged=count == counts[-1]
            )
        ]


class _Shape:
    """So many live sessions in a topic and a database of their own."""

    def __init__(
        self, directory: Path, kafka: LocalKafka, postgres: LocalPostgres, count: int
    ) -> None:
        self._directory = directory
        self._kafka = kafka
        self._postgres = postgres
        self._count = count
        self._topic = f"live-{count}"
        self._url = postgres.database(f"live_{count}")
        self._settings = {
            "BOOKENDED_LOG": kafka.log_url(self._topic),
            "BOOKENDED_DATABASE": self._url,
            "BOOKENDED_PARTITIONS": str(PARTITIONS),
        }

    def figures(self, effort: Effort, *, is_judged: bool) -> list[Figure]:
        effort.tell(f"opening {self._count:,} sessions")
        done = Cli(self._directory)("migrate", **self._settings)
        assert done.returncode == 0, done.stderr
        with (
            self._processor() as process,
            worker(feed, self._kafka.bootstrap, self._topic, self._count) as ask,
            closing(psycopg.connect(plain(self._url), autocommit=True)) as connection,
        ):
            looker = _Looker(connection)
            looker.wait_for(ask(Feed(0, 0)))
            order = Feed(effort.size(RATE, 300), effort.size(10, 3))
            windows = []
            for number in range(1 if effort.quick else 3):
                effort.tell(f"{self._count:,} sessions, window {number + 1}")
                windows.append(self._window(ask, order, looker, process))
        return _figures(self._count, windows, order.rate, is_judged=is_judged)

    @contextmanager
    def _processor(self) -> Iterator[psutil.Process]:
        server = Server(
            self._directory, ("process", "--data", "data"), self._settings, is_warm=False
        )
        try:
            server.wait_for("processor_running")
            yield psutil.Process(server.process.pid)
            server.stop()
        finally:
            server.end()

    def _window(self, ask: Ask, order: Feed, looker: "_Looker", process: psutil.Process) -> Window:
        kafka, postgres = self._kafka.process(), self._postgres.process()
        assert kafka is not None
        assert postgres is not None
        programs = (process, postgres, kafka)
        rows, *cpu_s = looker.rows(), *map(_cpu_s, programs)
        begin, already = monotonic(), sum(looker.places().values())
        with ThreadPoolExecutor(1) as aside:
            feeding = aside.submit(ask, order)
            looks = [*looker.looks(lambda: not feeding.done())]
        fed: Fed = feeding.result()
        elapsed_s = monotonic() - begin
        looker.wait_for(fed)
        events = fed.total - already
        spent_s = [_cpu_s(program) - s for program, s in zip(programs, cpu_s, strict=True)]
        return Window(
            rate=events / elapsed_s,
            rows=(looker.rows() - rows) / events,
            cpu_us=[s * 1e6 / events for s in (*spent_s, fed.cpu_s)],
            lags_s=[_lag_s(fed, *look) for look in looks],
        )


class _Looker:
    """Looks into SQL."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def places(self) -> Places:
        return dict(self._connection.execute(_PROGRESS).fetchall())

    def rows(self) -> int:
        """Rows inserted, updated and deleted since the start."""
        self._connection.execute("SELECT pg_stat_force_next_flush()")
        row = self._connection.execute(_ROWS).fetchone()
        return int(row[0]) if row else 0

    def looks(self, goes_on: Callable[[], bool]) -> Iterator[tuple[float, Places]]:
        while goes_on():
            yield monotonic(), self.places()
            sleep(_LOOK_S)

    def wait_for(self, fed: Fed) -> None:
        until = monotonic() + _PATIENCE_S
        while sum(self.places().values()) < fed.total:
            if monotonic() > until:
                raise TimeoutError(f"not all was in SQL within {_PATIENCE_S:.0f} s")
            sleep(_LOOK_S)


def _lag_s(fed: Fed, at: float, places: Places) -> float:
    """How old the oldest event was that SQL did not have at this moment."""
    oldest = [
        sent_at[places.get(partition, 0)]
        for partition, sent_at in enumerate(fed.sent_at)
        if places.get(partition, 0) < len(sent_at)
    ]
    return max(0.0, at - min(oldest, default=at))


def _cpu_s(process: psutil.Process) -> float:
    """CPU time of a process and of all that it has started, those that have ended among them."""
    own = process.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for each in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # ended since: the parent has its time
            times = each.cpu_times()
            total += times.user + times.system
    return total


def _figures(count: int, windows: list[Window], rate: float, *, is_judged: bool) -> list[Figure]:
    each = f"{count:,} sessions"
    processor, postgres, kafka, feeder = (
        [window.cpu_us[place] for window in windows] for place in range(4)
    )
    ages = [_share(window.lags_s, 0.99) for window in windows]
    rates = [window.rate for window in windows]
    return [
        Figure(f"processor, CPU time an event, {each}", "µs", processor),
        Figure(f"PostgreSQL, CPU time an event, {each}", "µs", postgres),
        Figure(f"Kafka, CPU time an event, {each}", "µs", kafka),
        Figure(f"what feeds, CPU time an event, {each}", "µs", feeder),
        Figure(f"rows written an event, {each}", "", [window.rows for window in windows]),
        Figure(
            f"sustained, {each}",
            "events/s",
            rates,
            at_least(rate / _FED_MORE) if is_judged else None,
        ),
        Figure(
            f"oldest event not in SQL, p99, {each}", "s", ages, at_most(2) if is_judged else None
        ),
    ]


def _share(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
