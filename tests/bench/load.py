"""The load of the collector's benchmark: pings over many kept connections, each at its own pace.

Closed loop: a connection sends its next ping when the last is answered. It reads answers no more
closely than it must, so that the server is what is measured; it is the same for all contenders.
Imports nothing of the project but workers.
"""

import asyncio
import json
import random
from array import array
from functools import partial
from itertools import cycle
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Final, NamedTuple, cast

import uvloop

from tests.bench.workers import questions, stay_on

CONNECTIONS: Final = 64
_PATIENCE_S: Final = 10.0
_END: Final = b"\r\n\r\n"
_HEAD: Final = (
    "POST /api/v1/sessions/{sid}/events HTTP/1.1\r\n"
    "Host: 127.0.0.1:8080\r\n"
    "Connection: keep-alive\r\n"
    "Content-Length: {length}\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/128.0.0.0 Safari/537.36\r\n"
    "Content-Type: application/json\r\n"
    "Accept: */*\r\n"
    "Origin: https://player.example.com\r\n"
    "Referer: https://player.example.com/\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-US,en;q=0.9\r\n\r\n"
)


class Order(NamedTuple):
    """What to do: ping these sessions at this port for so long, over so many connections."""

    port: int
    session_ids: tuple[str, ...]
    duration_s: float
    connections: int = CONNECTIONS


class Load(NamedTuple):
    """What came of it."""

    requests: int
    elapsed_s: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        return self.requests / self.elapsed_s


class RefusedError(Exception):
    """The server answered something else than 204."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer[:2_000].decode("utf-8", "replace"))


def drive(connection: Connection, core: int | None) -> None:
    """A worker that takes orders."""
    stay_on(core)
    for order in questions(connection):
        connection.send(uvloop.run(_drive(order)))


def requests(session_ids: tuple[str, ...]) -> list[bytes]:
    """One ping a session, as a browser sends it."""
    chance = random.Random(5)
    made = []
    for sid in session_ids:
        playhead = chance.randrange(3_600_000) / 1000
        ts = 1_760_000_000_000 + chance.randrange(10_000_000)
        time = {"playhead": playhead, "ts": ts}
        body = json.dumps({"playerTime": time, "eventType": "ping", "qoeData": {}})
        made.append((_HEAD.format(sid=sid, length=len(body)) + body).encode())
    return made


class _Pinger(asyncio.Protocol):
    """One connection. `ended` is done once its last ping is answered."""

    def __init__(self, pings: list[bytes], until: float, latencies: "array[float]") -> None:
        self._pings = cycle(pings)
        self._until = until
        self._latencies = latencies
        self._answer = b""
        self._sent_at = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        self._sent_at = perf_counter()
        self._transport.write(next(self._pings))

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not self._answer.endswith(_END):
            return
        now = perf_counter()
        self._latencies.append(now - self._sent_at)
        if not self._answer.startswith(b"HTTP/1.1 204 "):
            self._end(RefusedError(self._answer))
        elif now < self._until:
            self._answer = b""
            self._send()
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self._end(exc or ConnectionResetError("the server closed a connection"))

    def _end(self, error: Exception | None) -> None:
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)
        self._transport.close()


async def _drive(order: Order) -> Load:
    loop = asyncio.get_running_loop()
    latencies = array("d")
    made = requests(order.session_ids)
    begin = perf_counter()
    pingers = []
    for number in range(order.connections):
        own = made[number :: order.connections]
        make = partial(_Pinger, own, begin + order.duration_s, latencies)
        _, pinger = await loop.create_connection(make, "127.0.0.1", order.port)
        pingers.append(pinger)
    async with asyncio.timeout(order.duration_s + _PATIENCE_S):
        await asyncio.gather(*(pinger.ended for pinger in pingers))
    elapsed_s = perf_counter() - begin
    ordered = sorted(latencies)
    return Load(len(ordered), elapsed_s, _at(ordered, 0.5) * 1000, _at(ordered, 0.99) * 1000)


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
