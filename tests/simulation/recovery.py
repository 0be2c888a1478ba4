"""How long SQL stands still after a processor has gone: the second part of `make chaos`.

On the servers of a chaos run of its own, with many live sessions that ping on. Printed, not judged
by a test: times are the machine's. The program's own CPU time is told too, since other work on the
machine does not move that.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final, NamedTuple

import psutil
import psycopg

from models.avro import encode
from models.placement import Placement
from models.records import Event, EventType
from tests.kafka.broker import producer
from tests.postgres import plain
from tests.simulation.cluster import PARTITIONS, SESSION_TIMEOUT_S, Cluster, Program
from tests.simulation.journal import Journal

SESSIONS: Final = 10_000
PINGS_A_SECOND: Final = 500
RESTARTS: Final = 7
_ROUNDS: Final = 3
_LOOKED_EVERY_S: Final = 0.01
_PATIENCE_S: Final = 300.0


class Times(NamedTuple):
    """How long something took each time, s, and what is wanted at the median, if anything is."""

    what: str
    took_s: list[float]
    goal_s: float | None = None

    def __str__(self) -> str:
        middle = median(self.took_s)
        told = f"{self.what}: median {middle:.2f} s of {', '.join(f'{s:.2f}' for s in self.took_s)}"
        if self.goal_s is None:
            return told
        return f"{told}; goal {self.goal_s:g} s, {'met' if middle <= self.goal_s else 'MISSED'}"


def recovery(directory: Path, seed: int, client: str, journal: Journal) -> list[Times]:
    with (
        Cluster(directory, Random(seed), journal, client) as cluster,
        _pinging(cluster) as opened,
        closing(psycopg.connect(plain(cluster.postgres.url), autocommit=True)) as connection,
    ):
        watch = _Watch(connection)
        first = cluster.add_processor(is_static=True, checkpoint_interval="1s")
        opened.wait(_PATIENCE_S)
        watch.until(lambda: watch.live_sessions() >= SESSIONS)
        return [
            *_restarts_in_place(watch, first),
            _take_over(cluster, watch),
            _scale_down(cluster, watch, is_static=True),
            _scale_down(cluster, watch, is_static=False),
        ]


def _restarts_in_place(watch: "_Watch", program: Program) -> list[Times]:
    took, used = [], []
    for _ in range(RESTARTS):
        watch.until_all_move()
        program.kill()
        moved = watch.moved()
        begin = time.monotonic()
        program.start()
        watch.until(moved.any)
        took.append(time.monotonic() - begin)
        spent = psutil.Process(program.pid).cpu_times()
        used.append(spent.user + spent.system)
    what = f"SIGKILL, restart in place to the first new row, {SESSIONS:,} live sessions"
    return [Times(what, took, 2.0), Times("of it the processor's own CPU time", used)]


def _take_over(cluster: Cluster, watch: "_Watch") -> Times:
    took = []
    for _ in range(_ROUNDS):
        second = _second(cluster, watch, is_static=True)
        owned = cluster.owned(second)
        second.kill()
        begin, moved = time.monotonic(), watch.moved()
        watch.until(lambda: moved.all(owned))  # noqa: B023 - used in this round alone
        took.append(time.monotonic() - begin)
    return Times("SIGKILL, taken over by another processor", took, SESSION_TIMEOUT_S + 2)


def _scale_down(cluster: Cluster, watch: "_Watch", *, is_static: bool) -> Times:
    """A member without a name leaves by itself; a static one is taken out by `bookended leave`, and
    the start of that command counts."""
    took = []
    for _ in range(_ROUNDS):
        second = _second(cluster, watch, is_static=is_static)
        owned, moved = cluster.owned(second), watch.moved()
        begin = time.monotonic()
        second.stop()
        if is_static:
            cluster.leave(second)
        watch.until(lambda: moved.all_by_another(owned))  # noqa: B023
        took.append(time.monotonic() - begin)
    how = "SIGTERM, then `bookended leave`" if is_static else "SIGTERM, without an instance id"
    return Times(f"{how}: taken over by another processor", took, 2.0)


def _second(cluster: Cluster, watch: "_Watch", *, is_static: bool) -> Program:
    second = cluster.add_processor(is_static=is_static, checkpoint_interval="1s")
    watch.until(lambda: len(cluster.owned(second)) >= PARTITIONS // 2)
    watch.until_all_move()
    return second


class _Moved:
    """Which partitions were written on since it was made."""

    def __init__(self, watch: "_Watch") -> None:
        self._watch = watch
        self._before = watch.places()

    def any(self) -> bool:
        return any(self._is_moved(place) for place in self._watch.places().items())

    def all(self, partitions: list[int]) -> bool:
        now = self._watch.places()
        return all(self._is_moved((number, now[number])) for number in partitions)

    def all_by_another(self, partitions: list[int]) -> bool:
        now = self._watch.places()
        return self.all(partitions) and all(
            now[number][0] != self._before[number][0] for number in partitions
        )

    def _is_moved(self, place: tuple[int, tuple[str, int]]) -> bool:
        number, (_, next_offset) = place
        return next_offset > self._before[number][1]


class _Watch:
    """Looks into SQL over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def places(self) -> dict[int, tuple[str, int]]:
        """Owner and `next_offset`, by partition."""
        query = "SELECT log_partition, owner, next_offset FROM progress"
        return {row[0]: (row[1], row[2]) for row in self._connection.execute(query)}

    def live_sessions(self) -> int:
        row = self._connection.execute("SELECT count(*) FROM sessions_live").fetchone()
        return int(row[0]) if row else 0

    def moved(self) -> _Moved:
        return _Moved(self)

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, self.places()
            time.sleep(_LOOKED_EVERY_S)

    def until_all_move(self) -> None:
        """Twice, so that nothing of a start is left."""
        for _ in range(2):
            moved = self.moved()
            self.until(lambda: moved.all([*range(PARTITIONS)]))  # noqa: B023


@contextmanager
def _pinging(cluster: Cluster) -> Iterator[threading.Event]:
    """Sessions open, then ping in turn; the event is set once all are open."""
    opened, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=_ping, args=(cluster, opened, stop), daemon=True)
    thread.start()
    try:
        yield opened
    finally:
        stop.set()
        thread.join()


def _ping(cluster: Cluster, opened: threading.Event, stop: threading.Event) -> None:
    ids = [f"{number:064x}" for number in range(SESSIONS)]
    with closing(producer(cluster.log)) as client:
        send = _Sender(client, cluster.log.topic, cluster.placement)
        for kind in ("sessionStart", "play"):
            for session_id in ids:
                send.event(session_id, kind, 0)
        client.flush(_PATIENCE_S)
        opened.set()
        begin = time.monotonic()
        for number in count():
            due_s = number / PINGS_A_SECOND
            if stop.wait(max(0.0, begin + due_s - time.monotonic())):
                return
            send.event(ids[number % SESSIONS], "ping", number // SESSIONS * 10_000)


class _Sender:
    """Writes to the topic as a producer of its own does."""

    def __init__(self, client: Any, topic: str, placement: Placement) -> None:
        self._client = client
        self._topic = topic
        self._placement = placement
        self._start_ts = time.time_ns() // 1_000_000

    def event(self, session_id: str, kind: EventType, playhead_ms: int) -> None:
        params = {"media.id": "film", "media.length": 3_600} if kind == "sessionStart" else None
        event = Event(kind, self._start_ts + playhead_ms, playhead_ms, params)
        value = encode(session_id, (event,))
        key, partition = session_id.encode(), self._placement.of(session_id)
        self._client.send(self._topic, value, key, partition=partition)
