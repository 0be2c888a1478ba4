"""What the collector's benchmark sets against each other, each served in a process of its own.

`empty`: the least that uvicorn can do, an app that reads the body and answers 204. `stubbed`: the
real collector over a log that acknowledges at once. `embedded`: the real collector over the
embedded log, on a disk. A name of a client: the real collector over Kafka by that client.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import psutil
import uvicorn
from prometheus_client import CollectorRegistry

from commands.interpreter import look_seldom_for_garbage
from commands.kafka_clients import closes_reader, kafka_publisher
from commands.logs import configure
from ingest.app import AppConfig
from ingest.closes import Close
from ingest.collector import Collector, embedded_collector
from ingest.server import CollectorServer, ServerConfig, bound_socket
from ingest.sids import Sids
from models.kafka_log import KafkaLog
from models.placement import Placement, parse_partition_counts
from tests.bench.workers import questions, stay_on

KEY: Final = bytes(range(32))
EMPTY, STUBBED, EMBEDDED = "empty ASGI app", "collector, log stubbed out", "collector, embedded log"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def empty_app(scope: Any, receive: Any, send: Any) -> None:
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 204, "headers": ()})
    await send({"type": "http.response.body", "body": b""})


class AcknowledgingPublisher:
    """A log that has every record at once."""

    records_in_flight = 0
    bytes_in_flight = 0

    async def start(self) -> None:
        """There is nothing to open."""

    async def publish(self, session_id: str, value: bytes) -> None:
        """There is nothing to wait for."""

    def is_ready(self) -> bool:
        return True

    def reason_not_ready(self) -> str:
        return ""

    async def stop(self) -> None:
        """There is nothing in flight."""


class NoCloses:
    """No session is closed."""

    def read(self, closes_max: int) -> Sequence[Close]:
        return ()

    def close(self) -> None:
        """There is nothing open."""


def serve(
    connection: Connection, name: str, place: Path | KafkaLog | None, core: int | None
) -> None:
    """A worker that serves one contender over the log at `place`. Any question is answered with its
    port, the seconds of the core that it has used, and the most memory that it had, in bytes."""
    stay_on(core)
    configure("error", "json")
    socket = bound_socket("127.0.0.1", 0)
    port = socket.getsockname()[1]
    if name == EMPTY:
        config = uvicorn.Config(
            empty_app,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
        uvicorn_server = uvicorn.Server(config)
        _answer(connection, port, lambda: uvicorn_server.started)
        uvicorn_server.run([socket])
    else:
        socket.close()
        look_seldom_for_garbage()  # as `collect` does
        server = CollectorServer(_collector(name, place), ServerConfig(port=port))
        server.bind()
        _answer(connection, port, server.started.is_set)
        server.run(handle_signals=True)


def _collector(name: str, place: Path | KafkaLog | None) -> Collector:
    registry = CollectorRegistry()
    sids = Sids((KEY,), now_ms)
    if isinstance(place, KafkaLog):
        publisher = kafka_publisher(place, Placement(parse_partition_counts("4")))
        return Collector(AppConfig(), publisher, closes_reader(place), sids, registry)
    if name == EMBEDDED:
        assert place is not None
        return embedded_collector(AppConfig(), place / "log.db", (KEY,), now_ms, registry)
    return Collector(AppConfig(), AcknowledgingPublisher(), NoCloses(), sids, registry)


def _answer(connection: Connection, port: int, is_started: Callable[[], bool]) -> None:
    def answer() -> None:
        while not is_started():
            time.sleep(0.01)
        for _ in questions(connection):
            connection.send((port, time.process_time(), _peak_bytes()))
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=answer, daemon=True).start()


def _peak_bytes() -> int:
    """The most memory so far; what there is now, on systems that do not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return int(psutil.Process().memory_info().rss)
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
