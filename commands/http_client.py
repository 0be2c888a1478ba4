"""A player's side of the HTTP contract (docs/http.md): opens sessions, sends events, times answers.

Before the record's way: used by `demo` and `simulate`. Never raises for what a server answers or
fails to answer. Imports `values` only.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp

SESSIONS_PATH: Final = "/api/v1/sessions"
DOWNLOADED_PATH: Final = "/api/v1/downloaded"
ANSWER_BYTES_MAX: Final = 64 * 1024
NO_ANSWER: Final = 0
_HEADERS: Final = MappingProxyType({"Content-Type": "application/json"})


class Answer(NamedTuple):
    """What came back; `latency_s` to its end. `status` 0: nothing did, and `message` says why.

    `location`: its path, whatever host a proxy put in front of it.
    """

    status: int
    location: str
    message: str
    retry_after_s: float
    latency_s: float

    @property
    def is_accepted(self) -> bool:
        return 200 <= self.status < 300


class CollectorClient:
    """Sends to one collector, at most `connections` requests at a time.

    `url`: scheme, host, port and, where a proxy adds one, a path prefix.
    """

    def __init__(self, http: aiohttp.ClientSession, url: str, connections: int) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._places = asyncio.Semaphore(connections)

    async def open(self, body: dict[str, Any]) -> Answer:
        return await self.post(SESSIONS_PATH, body)

    async def event(self, location: str, body: dict[str, Any]) -> Answer:
        return await self.post(f"{location}/events", body)

    async def downloaded(self, events: list[dict[str, Any]]) -> Answer:
        return await self.post(DOWNLOADED_PATH, events)

    async def post(self, path: str, body: Any) -> Answer:
        data = json.dumps(body, separators=(",", ":")).encode()
        return await self.request("POST", path, data)

    async def request(self, method: str, path: str, data: bytes | None = None) -> Answer:
        """One request, at any path below the URL."""
        async with self._places:
            began = time.perf_counter()
            try:
                answer = await self._exchange(method, path, data)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                answer = Answer(NO_ANSWER, "", str(error) or type(error).__name__, 0.0, 0.0)
            return answer._replace(latency_s=time.perf_counter() - began)

    async def _exchange(self, method: str, path: str, data: bytes | None) -> Answer:
        async with self._http.request(
            method, self._url + path, data=data, headers=_HEADERS, allow_redirects=False
        ) as response:
            content = await response.content.read(ANSWER_BYTES_MAX)
            return Answer(
                response.status,
                urlsplit(response.headers.get("Location", "")).path,
                _message(content) if response.status >= 400 else "",
                _seconds(response.headers.get("Retry-After", "")),
                0.0,
            )


def _message(content: bytes) -> str:
    try:
        problem = json.loads(content)
    except ValueError:
        return ""
    return str(problem.get("message", "")) if isinstance(problem, dict) else ""


def _seconds(text: str) -> float:
    return min(float(text), 60.0) if text.isascii() and text.isdigit() else 0.0


@asynccontextmanager
async def client(
    url: str, connections: int, *, timeout_s: float = 15.0, verify_tls: bool = True
) -> AsyncIterator[CollectorClient]:
    """A client that closes its connections at the end of the block."""
    connector = aiohttp.TCPConnector(limit=connections, ssl=verify_tls)
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        yield CollectorClient(http, url, connections)
