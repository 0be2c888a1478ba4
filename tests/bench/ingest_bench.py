"""Acked ingest over Kafka: requests a second by each client, against an empty ASGI app.

As the collector's benchmark, with the same load, bodies and sessions for all: closed loop, so that
what a connection gets is decided by how long an acknowledgement takes. The broker shares both cores
with server and load, and the empty app has them for itself: requests a second are what one machine
gives in the end, the time of the server's core is what of it is the collector's. The client's
threads run on the server's core and count; its buffers count in the memory, told at its highest.
The broker is warmed up first: for its first minute of load, Java's compilers take more of the cores
than the broker itself, and one in production runs for weeks.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from commands.kafka_topics import migrate_topics
from ingest.sids import Sids
from models.kafka_log import KafkaLog
from models.placement import Placement, parse_partition_counts
from tests.bench.collector_bench import Turn, details, take_turn
from tests.bench.contenders import EMPTY, KEY, now_ms, serve
from tests.bench.figures import Effort, Figure, alternate, at_least, at_most, ratios
from tests.bench.load import Order, drive
from tests.bench.topic import broker_for
from tests.bench.workers import cores, worker

_SESSIONS: Final = 1_024
_CONNECTIONS: Final = (64, 512)
_WARM_UP_S: Final = 20.0
_KAFKA_PYTHON: Final = "collector, Kafka by kafka-python"
_LIBRDKAFKA: Final = "collector, Kafka by librdkafka"


def bench(effort: Effort) -> list[Figure]:
    server_core, load_core = cores() or (None, None)
    sids = Sids((KEY,), now_ms)
    session_ids = tuple(sids.make() for _ in range(_SESSIONS))
    duration_s = 0.2 if effort.quick else 2.0
    turns: dict[str, list[Turn]] = {}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        effort.tell("starting Kafka")
        broker = stack.enter_context(broker_for(effort, directory))
        log = KafkaLog((broker.bootstrap,))
        migrate_topics(log, Placement(parse_partition_counts("4")), None)
        places = {
            EMPTY: None,
            _KAFKA_PYTHON: log,
            _LIBRDKAFKA: log._replace(client="librdkafka"),
        }
        pinger = stack.enter_context(worker(drive, load_core))
        servers = {
            name: stack.enter_context(worker(serve, name, place, server_core))
            for name, place in places.items()
        }
        for name in (_KAFKA_PYTHON, _LIBRDKAFKA):
            effort.tell(f"warming up: {name}")
            warm_up_s = duration_s if effort.quick else _WARM_UP_S
            take_turn(servers[name], pinger, Order(0, session_ids, warm_up_s))

        def contender(name: str, connections: int) -> Callable[[], float]:
            order = Order(0, session_ids, duration_s, connections)
            take_turn(servers[name], pinger, order._replace(duration_s=duration_s / 2))  # warms up
            mine = turns.setdefault(_named(name, connections), [])

            def run() -> float:
                mine.append(take_turn(servers[name], pinger, order))
                return mine[-1].load.rate

            return run

        rates = alternate(
            effort,
            {
                _named(name, connections): contender(name, connections)
                for connections in _CONNECTIONS
                for name in places
            },
        )
    return [*_compared(rates, turns), *_memory(turns)]


def _named(name: str, connections: int) -> str:
    return f"{name}, {connections} connections"


def _compared(rates: dict[str, list[float]], turns: dict[str, list[Turn]]) -> list[Figure]:
    figures = [Figure(name, "requests/s", rate) for name, rate in rates.items()]
    for connections in _CONNECTIONS:
        empty = _named(EMPTY, connections)
        for client, goal in ((_KAFKA_PYTHON, None), (_LIBRDKAFKA, at_least(0.4))):
            name = _named(client, connections)
            by_rate = ratios(rates[name], rates[empty])
            by_time = ratios(_costs(turns[empty]), _costs(turns[name]))
            figures += [
                Figure(f"{name}, to empty by requests/s", "", by_rate, goal),
                Figure(f"{name}, to empty by a core's time", "", by_time, goal),
            ]
    return [*figures, *(figure for name, mine in turns.items() for figure in details(name, mine))]


def _costs(turns: list[Turn]) -> list[float]:
    return [turn.cost_us for turn in turns]


def _memory(turns: dict[str, list[Turn]]) -> list[Figure]:
    return [
        Figure(f"{name}, memory", "MB", [turn.memory_bytes / 1e6 for turn in mine], at_most(120))
        for name, mine in turns.items()
        if not name.startswith(EMPTY)
    ]
