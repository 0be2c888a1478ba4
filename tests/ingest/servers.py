"""A collector under real HTTP for the tests: in a thread, over a log that a test can stop.

Only for tests. `running` gives a server on a free port with clocks and keys of the test's own.
"""

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client import CollectorRegistry

from ingest.app import AppConfig
from ingest.closes import Close
from ingest.collector import Collector
from ingest.publisher import Publisher, PublishError
from ingest.server import CollectorServer, ServerConfig
from ingest.sids import Sids
from models.avro import decode
from models.records import LogRecord, Record
from tests.ingest.bodies import TS, dumps, event, start

KEY: Final = b"k" * 32
TIMEOUT_S: Final = 60
NO_SESSION: Final = "0" * 64


class FakeLog:
    """A `Publisher` that keeps records in a list, fails or waits when the test says so."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.fault: PublishError | None = None
        self.defect: Exception | None = None
        self.not_ready = ""
        self.records_in_flight = 0
        self.bytes_in_flight = 0
        self.is_stopped = False
        self.reached = threading.Event()
        """Set when a record waits because of `hold`."""
        self._loop: asyncio.AbstractEventLoop
        self._open: asyncio.Event

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open = asyncio.Event()
        self._open.set()

    async def publish(self, session_id: str, value: bytes) -> None:
        if self.defect is not None:
            raise self.defect
        if self.fault is not None:
            raise self.fault
        if not self._open.is_set():
            self.reached.set()
        await self._open.wait()
        self.records.append(decode(LogRecord(0, 0, 0, session_id.encode(), value)))

    def hold(self) -> None:
        """From now on records wait, until `release`."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def release(self) -> None:
        self._loop.call_soon_threadsafe(self._open.set)

    def is_ready(self) -> bool:
        return not self.not_ready

    def reason_not_ready(self) -> str:
        return self.not_ready

    async def stop(self) -> None:
        self.is_stopped = True


class FakeCloses:
    """A `ClosesSource` that a test fills; `learned` waits until the collector knows."""

    def __init__(self) -> None:
        self.waiting: list[Close] = []
        self.read_all = threading.Event()
        self.may_read = threading.Event()
        self.may_read.set()

    def read(self, closes_max: int) -> Sequence[Close]:
        self.may_read.wait(TIMEOUT_S)
        closes, self.waiting = self.waiting[:closes_max], self.waiting[closes_max:]
        if not closes:
            self.read_all.set()
        return closes

    def learned(self, *closes: Close) -> None:
        self.waiting = [*self.waiting, *closes]
        for _ in range(2):  # the first empty read may have begun before
            self.read_all.clear()
            assert self.read_all.wait(TIMEOUT_S)

    def close(self) -> None:
        pass


class Clock:
    """The wall clock of the test."""

    def __init__(self) -> None:
        self.now_ms = TS

    def __call__(self) -> int:
        return self.now_ms


@dataclass
class Answer:
    """A response: status, headers by lower-case name, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Running:
    """A collector that serves."""

    host: str
    port: int
    server: CollectorServer
    collector: Collector
    log: FakeLog
    closes: FakeCloses
    clock: Clock
    registry: CollectorRegistry
    connection: http.client.HTTPConnection
    opened: list[socket.socket] = field(default_factory=list)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request on the kept connection. `headers`: `_` stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, named)
        return read_answer(self.connection)

    def post(self, path: str, document: Any) -> Answer:
        body = document if isinstance(document, bytes) else dumps(document)
        return self.ask("POST", path, body)

    def open(self, **params: Any) -> str:
        """Opens a session; its `Location`."""
        answer = self.post("/api/v1/sessions", start(**params))
        assert answer.status == 201, answer.body
        return answer.headers["location"]

    def send(self, location: str, document: Any = None) -> Answer:
        """Sends an event to the session (a ping)."""
        return self.post(f"{location}/events", event() if document is None else document)

    def raw(self, *parts: bytes) -> socket.socket:
        """A connection of its own, with some bytes sent."""
        made = socket.create_connection((self.host, self.port), timeout=TIMEOUT_S)
        self.opened.append(made)
        for part in parts:
            made.sendall(part)
        return made

    def metric(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(name, labels)
        assert value is not None, name
        return value


def read_answer(connection: http.client.HTTPConnection) -> Answer:
    return answer_of(connection.getresponse())


def answer_of(response: http.client.HTTPResponse) -> Answer:
    body = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, body)


def read_response(sock: socket.socket) -> Answer:
    """The next response on a connection of the test's own."""
    response = http.client.HTTPResponse(sock, method="POST")
    response.begin()
    return answer_of(response)


def received(sock: socket.socket) -> bytes:
    """All that comes until the server closes."""
    found = b""
    while part := sock.recv(65_536):
        found += part
    return found


@contextmanager
def running(
    config: AppConfig | None = None,
    server_config: ServerConfig | None = None,
    *,
    log: Publisher | None = None,
    closes: FakeCloses | None = None,
    keys: Sequence[bytes] = (KEY,),
    clock: Clock | None = None,
) -> Iterator[Running]:
    """Serves until the end of the block, then drains."""
    fake_log, fake_closes, used_clock = FakeLog(), closes or FakeCloses(), clock or Clock()
    registry = CollectorRegistry()
    collector = Collector(
        config or AppConfig(),
        log or fake_log,
        fake_closes,
        Sids(keys, used_clock),
        registry,
    )
    server = CollectorServer(collector, server_config or ServerConfig(port=0))
    host, port = server.bind()
    thread = threading.Thread(target=lambda: server.run(handle_signals=False))
    thread.start()
    assert server.started.wait(TIMEOUT_S)
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    made = Running(
        host,
        port,
        server,
        collector,
        fake_log,
        fake_closes,
        used_clock,
        registry,
        connection,
    )
    try:
        yield made
    finally:
        connection.close()
        for sock in made.opened:
            sock.close()
        fake_closes.may_read.set()
        server.drain()
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()
