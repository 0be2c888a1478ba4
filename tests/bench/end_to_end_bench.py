"""End to end on the embedded default: from a request sent to its figures in SQL, and how long a
POST takes meanwhile, at rest and while the processor catches up with a backlog.

`bookended run` is a process of its own, so are the players; this one looks into SQL. All times are
of the system's one steady clock. A request's time runs from the moment it was due.
"""

import asyncio
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic, sleep, time_ns
from typing import Any, Final, NamedTuple

from commands.http_client import CollectorClient, client
from ingest.log_file import prepare_log
from processor.pace import RunnerSettings
from tests.bench.figures import Effort, Figure, at_most
from tests.bench.mix import Stored, whole_log
from tests.bench.workers import Ask, questions, worker
from tests.commands.processes import Server

RATE: Final = 200.0
_SESSIONS: Final = 400
_CONNECTIONS: Final = 64
_LOOK_S: Final = 0.005
_PATIENCE_S: Final = 60.0
_SEEN: Final = "SELECT session_id, event_count FROM sessions"
_NEXT_OFFSET: Final = "SELECT coalesce(max(next_offset), 0) FROM progress"
_APPEND: Final = 'INSERT INTO log_records (received_at, "key", value) VALUES (?, ?, ?)'
_START: Final = {
    "media.id": "movie-42",
    "media.name": "Night Train",
    "media.length": 1500,
    "media.contentType": "VOD",
    "media.playerName": "bookended sample player",
    "media.channel": "web",
}


class Play(NamedTuple):
    """What the players do: so many sessions, pinged in turn for so long."""

    url: str
    sessions: int
    duration_s: float


class Posted(NamedTuple):
    """One accepted event: its place in its session, when it was due, when it was answered."""

    session_id: str
    number: int
    due_at: float
    answered_at: float


class NotAcceptedError(Exception):
    """The server did not take an event."""


# --- the players --------------------------------------------------------------------------------


def play(connection: Connection) -> None:
    """A worker that plays: answers `Play` with all that was posted."""
    for order in questions(connection):
        connection.send(asyncio.run(_play(order)))


async def _play(order: Play) -> list[Posted]:
    loop = asyncio.get_running_loop()
    posted: list[Posted] = []
    locations = [loop.create_future() for _ in range(order.sessions)]
    begin = monotonic()
    async with client(order.url, _CONNECTIONS) as http, asyncio.TaskGroup() as posts:
        for place in range(order.sessions + int(order.duration_s * RATE)):
            due_at = begin + place / RATE
            await asyncio.sleep(max(0.0, due_at - monotonic()))
            turn, session = divmod(place, order.sessions)
            posts.create_task(_post(http, locations[session], turn, due_at, posted))
    return posted


async def _post(
    http: CollectorClient,
    location: "asyncio.Future[str]",
    turn: int,
    due_at: float,
    posted: list[Posted],
) -> None:
    """The first event of a session opens it, the second plays, all others are pings."""
    kind = ("sessionStart", "play")[turn] if turn < 2 else "ping"
    time = {"ts": time_ns() // 1_000_000, "playhead": max(0, turn - 1)}
    body: dict[str, Any] = {"eventType": kind, "playerTime": time}
    if turn == 0:
        answer = await http.open(body | {"params": _START})
        location.set_result(answer.location)
    else:
        answer = await http.event(await location, body)
    if not answer.is_accepted:
        raise NotAcceptedError(f"{answer.status} {answer.message}")
    session_id = location.result().rpartition("/")[2]
    posted.append(Posted(session_id, turn + 1, due_at, monotonic()))


# --- the reader ---------------------------------------------------------------------------------


class Reader:
    """Watches the sessions in SQL, like a dashboard that looks after every commit."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._seen: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        self._stop = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def seen_at(self, posted: Posted) -> float | None:
        """When its session's row first counted the event."""
        seen = self._seen[posted.session_id]
        return next((at for count, at in seen if count >= posted.number), None)

    def _watch(self) -> None:
        known: dict[str, int] = {}
        version = None
        with closing(open_read_only(self._database)) as connection:
            while not self._stop.wait(_LOOK_S):
                now = connection.execute("PRAGMA data_version").fetchone()
                if now == version:
                    continue
                version = now
                rows = connection.execute(_SEEN).fetchall()
                at = monotonic()
                for session_id, count in rows:
                    if known.get(session_id) != count:
                        known[session_id] = count
                        self._seen[session_id].append((count, at))


def open_read_only(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, isolation_level=None)


# --- what is measured ---------------------------------------------------------------------------


def bench(effort: Effort) -> list[Figure]:
    with worker(play) as players:
        return [*_at_rest(effort, players), *_catching_up(effort, players)]


def _at_rest(effort: Effort, players: Ask) -> list[Figure]:
    effort.tell(f"{RATE:.0f} events a second")
    sessions = effort.size(_SESSIONS, 20)
    with _running() as (url, data):
        reader = Reader(data / "analytics.db")
        with reader.watching():
            posted: list[Posted] = players(Play(url, sessions, 0.5 if effort.quick else 20.0))
            _wait_for(lambda: all(reader.seen_at(one) for one in posted))
    to_row = [at - one.due_at for one in posted if (at := reader.seen_at(one))]
    goal = at_most(RunnerSettings().checkpoint_interval_s + 0.5)
    return [
        Figure("request to SQL row, median", "s", [_share(to_row, 0.5)]),
        Figure("request to SQL row, p99", "s", [_share(to_row, 0.99)], goal),
        *_answers("at rest", [posted]),
    ]


def _catching_up(effort: Effort, players: Ask) -> list[Figure]:
    effort.tell("making a backlog")
    log = whole_log(Random(4), effort.size(1_500, 20), content_ms=1_800_000)
    rates: list[float] = []
    rounds: list[list[Posted]] = []
    for number in range(1 if effort.quick else 3):
        effort.tell(f"catching up, round {number + 1}")
        duration_s = 0.5 if effort.quick else 6.0
        with _running(log) as (url, data), ThreadPoolExecutor(1) as aside:
            begin = monotonic()
            playing = aside.submit(players, Play(url, effort.size(200, 20), duration_s))
            with closing(open_read_only(data / "analytics.db")) as connection:
                _wait_for(lambda: connection.execute(_NEXT_OFFSET).fetchone()[0] > len(log))
            end = monotonic()
            rates.append(len(log) / (end - begin))
            rounds.append([one for one in playing.result() if one.due_at < end])
    return [
        Figure("catching up", "events/s", rates),
        *_answers("while it catches up", rounds),
    ]


def _answers(when: str, rounds: list[list[Posted]]) -> list[Figure]:
    waits = [[(one.answered_at - one.due_at) * 1000 for one in posted] for posted in rounds]
    return [
        Figure(f"POST {when}, median", "ms", [_share(wait, 0.5) for wait in waits]),
        Figure(f"POST {when}, p99", "ms", [_share(wait, 0.99) for wait in waits]),
    ]


def _share(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _wait_for(holds: Callable[[], bool]) -> None:
    until = monotonic() + _PATIENCE_S
    while not holds():
        if monotonic() > until:
            raise TimeoutError(f"nothing came of it within {_PATIENCE_S:.0f} s")
        sleep(_LOOK_S)


@contextmanager
def _running(log: list[Stored] | None = None) -> Iterator[tuple[str, Path]]:
    """`bookended run` on a fresh data directory, with a log to catch up with; its URL and data."""
    with TemporaryDirectory(prefix="bookended-bench-") as name:
        data = Path(name) / "data"
        if log:
            _fill(data / "log.db", log)
        server = Server(
            Path(name), ("run", "--data", str(data), "--listen", "127.0.0.1:0"), {}, is_warm=False
        )
        try:
            port = server.wait_for("collector_listening")["port"]
            yield f"http://127.0.0.1:{port}", data
        finally:
            server.stop()
            server.end()


def _fill(path: Path, log: list[Stored]) -> None:
    prepare_log(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(_APPEND, [(at, key.decode(), value) for at, key, value in log])
