"""The collector: requests a second of one process on one core, against an empty ASGI app there.

Server and load have a core each, where the system lets one choose; contenders take turns. Requests
a second say what a client gets, and are only worth as much as the server's core is busy: a machine
that does other things too starves the load first. The core's time a request does not depend on
that, but leaves out waiting for the disk. So both are shown.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final, NamedTuple

from ingest.sids import Sids
from tests.bench.contenders import EMBEDDED, EMPTY, KEY, STUBBED, now_ms, serve
from tests.bench.figures import Effort, Figure, alternate, at_least, ratios
from tests.bench.load import Load, Order, drive
from tests.bench.workers import Ask, cores, worker

_SESSIONS: Final = 1_024
_FSYNCS: Final = 50


class Turn(NamedTuple):
    """One contender's turn: what the load saw, and the core's time that the server used."""

    load: Load
    cpu_s: float
    memory_bytes: int

    @property
    def cost_us(self) -> float:
        return self.cpu_s / self.load.requests * 1e6


def bench(effort: Effort) -> list[Figure]:
    server_core, load_core = cores() or (None, None)
    sids = Sids((KEY,), now_ms)
    session_ids = tuple(sids.make() for _ in range(_SESSIONS))
    duration_s = 0.2 if effort.quick else 2.0
    turns: dict[str, list[Turn]] = {}
    with TemporaryDirectory(prefix="bookended-bench-") as directory, ExitStack() as stack:
        pinger = stack.enter_context(worker(drive, load_core))

        def contender(name: str) -> Callable[[], float]:
            server = stack.enter_context(worker(serve, name, Path(directory), server_core))
            take_turn(server, pinger, Order(0, session_ids, duration_s / 2))  # warms up
            turns[name] = []

            def run() -> float:
                turns[name].append(take_turn(server, pinger, Order(0, session_ids, duration_s)))
                return turns[name][-1].load.rate

            return run

        names = (EMPTY, STUBBED, EMBEDDED)
        rates = alternate(effort, {name: contender(name) for name in names})
        fsync_ms = _fsync_ms(Path(directory))
    costs = {name: [turn.cost_us for turn in turns[name]] for name in names}
    return [
        *(Figure(name, "requests/s", rates[name]) for name in names),
        *_to_empty("requests/s", {name: ratios(rates[name], rates[EMPTY]) for name in names}),
        *_to_empty("a core's time", {name: ratios(costs[EMPTY], costs[name]) for name in names}),
        *(figure for name in names for figure in details(name, turns[name])),
        Figure("fsync of 4 KiB on this disk", "ms", fsync_ms),
    ]


def _to_empty(what: str, samples: dict[str, list[float]]) -> list[Figure]:
    return [
        Figure(f"{STUBBED}, to empty by {what}", "", samples[STUBBED], at_least(0.5)),
        Figure(f"{EMBEDDED}, to empty by {what}", "", samples[EMBEDDED], at_least(0.25)),
    ]


def details(name: str, turns: list[Turn]) -> list[Figure]:
    """What else is told of a contender."""
    busy = [100 * turn.cpu_s / turn.load.elapsed_s for turn in turns]
    return [
        Figure(f"{name}, a request", "µs of a core", [turn.cost_us for turn in turns]),
        Figure(f"{name}, its core is busy", "%", busy),
        Figure(f"{name}, p99 of an answer", "ms", [turn.load.p99_ms for turn in turns]),
    ]


def take_turn(server: Ask, pinger: Ask, order: Order) -> Turn:
    """One turn of the load against a contender; the order's port is the server's to say."""
    port, before_s, _ = server("before")
    load = pinger(order._replace(port=port))
    _, after_s, memory_bytes = server("after")
    return Turn(load, after_s - before_s, memory_bytes)


def _fsync_ms(directory: Path) -> list[float]:
    """What the embedded log waits for: without it, its figures say little about another machine."""
    path = directory / "fsync"
    spent = []
    with path.open("wb", buffering=0) as file:
        for _ in range(_FSYNCS):
            file.write(bytes(4096))
            begin = perf_counter()
            os.fsync(file.fileno())
            spent.append((perf_counter() - begin) * 1000)
    return spent
