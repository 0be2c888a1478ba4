"""The explorer's pages, each for a day among a million sessions, and what reading costs a writer.

`bookended explore` runs as a process of its own over PostgreSQL; a page counts until its last byte
is here. Every ask is for another day, so none is answered from an earlier one. Then checkpoints
are written at the live rate, by turns while nobody reads, while somebody opens a page every second
or so, as a person does, and while a program opens page after page: all of them share the machine's
cores with the server and the database.
"""

import gzip
import re
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from http.client import HTTPConnection
from itertools import cycle
from math import ceil
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter, sleep
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from sqlalchemy import Engine, text

from processor.database import open_database
from tests.bench.checkpoints import LiveCrowd
from tests.bench.figures import Effort, Figure, alternate, at_most, ratios
from tests.bench.month import DAYS, million
from tests.bench.workers import Ask, questions, worker
from tests.commands.processes import Server

ASKS: Final = 100
CHANGED: Final = 5_000
"""Sessions a checkpoint, one a second: players that ping every 10 s, 50,000 of them."""
_FIRST_DAY: Final = date(2026, 3, 2)
_PATIENCE_S: Final = 60
_MS: Final = 1_000
_KILOBYTE: Final = 1_000
_GOALS_MS: Final = {"session": 100}
_GOAL_MS: Final = 300
_GOAL_P99_MS: Final = 1_000
_FIRST_PAGE_KB_MAX: Final = 200
_SLOWER_MAX: Final = 1.1
_CHECKPOINTS_A_TURN: Final = 6
_NOBODY: Final = "nobody reads"
_READERS: Final = {"a page a second": 1.0, "page after page": 0.0}
"""Who reads meanwhile, with the seconds from one page to the next; a goal is for people alone."""
_GZIP: Final = b"\x1f\x8b"
_LOADED: Final = re.compile(r'(?:src|href)="(/explore/static/[^"]+)"')
_PAGES: Final = {
    "overview": "overview?{day}",
    "overview, a player": "overview?{day}&player=tv+app",
    "sessions": "sessions?{day}",
    "sessions, most unbookended": "sessions?{day}&sort=unbookended",
    "sessions, deep in the list": "sessions?{day}&after={noon_ms}~0",
    "sessions, searched": "sessions?{day}&q=night",
    "sessions, with a finding": "sessions?{day}&finding=ad_without_break",
    "findings": "findings?{day}",
    "contents": "retention?{day}",
    "retention": "retention?{day}&content={content}",
    "session": "session?id={session}",
}


class Day(NamedTuple):
    """What the addresses of a day are made of."""

    day: str
    noon_ms: int
    content: str
    session: str


def bench(effort: Effort) -> list[Figure]:
    url = million(effort)
    engine = open_database(url)
    try:
        days = list(_days(engine, effort.size(DAYS - 3, 2)))
        crowd = LiveCrowd(engine, effort.size(CHANGED, 50), partition=1)
        crowd.checkpoint("play")
        with _explorer(url) as (host, port):
            reader = _Reader(host, port)
            figures = _pages(effort, reader, days)
            size = at_most(_FIRST_PAGE_KB_MAX)
            figures.append(Figure("first page", "kB", [reader.first_page_kb()], size))
            with worker(_read_on, host, port, days) as read:
                return [*figures, *_checkpoints(effort, crowd, read)]
    finally:
        engine.dispose()


@contextmanager
def _explorer(url: str) -> Iterator[tuple[str, int]]:
    with tempfile.TemporaryDirectory() as directory:
        args = ("explore", "--explore-listen", "127.0.0.1:0")
        server = Server(Path(directory), args, {"BOOKENDED_DATABASE": url})
        try:
            place = urlsplit(server.wait_for("explorer_listening")["url"])
            yield place.hostname or "", place.port or 0
        finally:
            server.end()


def _days(engine: Engine, count: int) -> Iterator[Day]:
    with engine.connect() as connection:
        for number in range(count):
            first = _FIRST_DAY + timedelta(days=number)
            noon_ms = (first - date(1970, 1, 1)) // timedelta(milliseconds=1) + 43_200_000
            query = text(  # the key alone first: it needs no join
                "SELECT session_id, content_id FROM sessions WHERE session_id ="
                " (SELECT session_id FROM sessions WHERE ad_count > 0"
                " AND started_at >= :first AND started_at < CAST(:first AS date) + 1 LIMIT 1)"
            )
            row = connection.execute(query, {"first": first}).one()
            day = f"from={first}&to={first + timedelta(days=1)}"
            yield Day(day, noon_ms, quote(row.content_id), quote(row.session_id))


class _Reader:
    """Somebody who asks for one page after the other, over one connection."""

    def __init__(self, host: str, port: int) -> None:
        self._connection = HTTPConnection(host, port, timeout=_PATIENCE_S)

    def ask(self, path: str) -> bytes:
        self._connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (path, answer.status, body[:500])
        return body

    def page(self, name: str, day: Day) -> float:
        """ms until all of the page is here."""
        path = "/explore/" + _PAGES[name].format(**day._asdict())
        begin = perf_counter()
        self.ask(path)
        return (perf_counter() - begin) * _MS

    def first_page_kb(self) -> float:
        """The page that one sees first, with all that it loads."""
        page = self.ask("/explore/overview")
        text = gzip.decompress(page) if page.startswith(_GZIP) else page
        rest = sorted(set(_LOADED.findall(text.decode())))
        return sum(map(len, [page, *map(self.ask, rest)])) / _KILOBYTE


def _pages(effort: Effort, reader: _Reader, days: list[Day]) -> list[Figure]:
    samples: dict[str, list[float]] = {name: [] for name in _PAGES}
    turns = cycle(days)
    asks = effort.size(ASKS, 2)
    for number in range(asks):
        effort.tell(f"ask {number + 1} of {asks} for each page")
        day = next(turns)
        for name in _PAGES:
            samples[name].append(reader.page(name, day))
    return [figure for name in _PAGES for figure in _figures(name, samples[name])]


def _figures(name: str, samples: list[float]) -> Iterator[Figure]:
    yield Figure(name, "ms", samples, at_most(_GOALS_MS.get(name, _GOAL_MS)))
    slow = sorted(samples)[ceil(0.99 * len(samples)) - 1]
    yield Figure(f"{name}, p99", "ms", [slow], at_most(_GOAL_P99_MS))


def _checkpoints(effort: Effort, crowd: LiveCrowd, read: Ask) -> list[Figure]:
    turn_s = effort.size(_CHECKPOINTS_A_TURN, 1)
    pages: dict[str, list[float]] = {name: [] for name in _READERS}

    def beside(name: str) -> Callable[[], float]:
        def turn() -> float:
            with ThreadPoolExecutor(1) as waiting:
                reading = waiting.submit(read, (turn_s, _READERS[name]))
                took_ms = _turn(crowd, turn_s)
                pages[name].append(reading.result() / turn_s)
            return took_ms

        return turn

    alone = {_NOBODY: lambda: _turn(crowd, turn_s)}
    took = alternate(effort, {**alone, **{name: beside(name) for name in _READERS}})
    figures = [Figure(f"checkpoint, {name}", "ms", samples) for name, samples in took.items()]
    figures += [Figure(f"pages a second, {name}", "", count) for name, count in pages.items()]
    return figures + [
        Figure(
            f"checkpoint, {name}, to {_NOBODY}", "", ratios(took[name], took[_NOBODY]),
            at_most(_SLOWER_MAX) if _READERS[name] else None,
        )
        for name in _READERS
    ]  # fmt: skip


def _turn(crowd: LiveCrowd, seconds: int) -> float:
    """The median time of a checkpoint in ms, one begun a second."""
    took: list[float] = []
    for _ in range(seconds):
        begin = perf_counter()
        cost = crowd.checkpoint("ping")
        took.append((cost.batch + cost.write) * crowd.count / _MS)
        sleep(max(0.0, 1.0 - (perf_counter() - begin)))
    return median(took)


def _read_on(connection: Connection, host: str, port: int, days: list[Day]) -> None:
    """A process that opens pages for as many seconds as it is asked to, each so many seconds, more
    or less, after the one before began; answers with how many."""
    pages = cycle((name, day) for day in days for name in _PAGES)
    chance = Random(1)
    for seconds, each_s in questions(connection):
        reader = _Reader(host, port)  # the server closes what was idle through another's turn
        end = perf_counter() + seconds
        count = 0
        while (begin := perf_counter()) < end:
            reader.page(*next(pages))
            count += 1
            pause_s = each_s * chance.uniform(0.5, 1.5) - (perf_counter() - begin)
            sleep(max(0.0, min(pause_s, end - perf_counter())))
        connection.send(count)
