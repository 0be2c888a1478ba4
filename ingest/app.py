"""The collector's ASGI app: one request in, one answer out.

On the record's way: `server` -> here -> `models.requests` -> `models.avro` -> `publisher`. 2xx is
answered only after the publisher has returned. Holds no state but what is in flight; what it knows
of closed sessions comes from `closes`. Imports `models` and its neighbours only.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import structlog

from ingest.bodies import (
    EVENT_LIMITS,
    SESSION_LIMITS,
    BodyReader,
    ClientGone,
    Receive,
    is_array,
)
from ingest.closes import ClosesFollower
from ingest.documents import Documents
from ingest.metrics import BODY_BYTES, CLOSES, READY, RECORD_BYTES, RECORDS, REQUESTS
from ingest.metrics import CollectorMetrics as Metrics
from ingest.problems import (
    REFUSALS,
    BodyTooLarge,
    ClosedSession,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    Stopping,
    defect,
    problem,
    reason_of,
)
from ingest.protocol import sends_no_content
from ingest.publisher import Publisher
from ingest.responses import (
    CORS_GET,
    CORS_POST,
    NO_CONTENT,
    Headers,
    Response,
    created,
    preflight,
)
from ingest.routes import Name, Route, Router
from ingest.sids import Sids
from models.avro import encode
from models.limits import RECORD_BYTES_MAX
from models.records import EventType
from models.requests import Profile, RequestReader

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_OFFLINE_MAX: Final = 16
"""Offline lists in hand at once; each may be 8 MiB, and they are read one after the other."""

DRAINING: Final = "draining"
LEARNING: Final = "learning which sessions are closed"
PASSING: Final = frozenset((DRAINING, LEARNING))
"""Reasons not to be ready that are part of every start and stop."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AppConfig:
    """`requests_max`, `body_bytes_max` bound what is in flight; `version` is shown in OpenAPI."""

    profile: Profile = "standard"
    path_prefix: str = ""
    requests_max: int = 1_000
    body_bytes_max: int = 64 * 1024 * 1024
    version: str = "0"


class CollectorApp:
    """The app. Runs on one event loop, the publisher's."""

    def __init__(
        self,
        config: AppConfig,
        publisher: Publisher,
        sids: Sids,
        closes: ClosesFollower,
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._publisher = publisher
        self._sids = sids
        self._closes = closes
        self._metrics = metrics
        self._reader = RequestReader(config.profile)
        self._router = Router(config.path_prefix)
        self._bodies = BodyReader(config.body_bytes_max)
        self._offline = ThreadPoolExecutor(1, thread_name_prefix="offline-lists")
        self._offline_count = 0
        self._requests = 0
        self._takers = {
            "events": self._take_event,
            "sessions": self._open_session,
            "downloaded": self._take_downloaded,
        }
        documents = Documents(
            config.profile, config.version, metrics.registry, self.reason_not_ready
        )
        self._documents: dict[Name, Callable[[str], Response]] = {
            "schema": documents.schema,
            "openapi": documents.openapi,
            "healthz": documents.health,
            "readyz": documents.readiness,
            "metrics": documents.metrics,
        }
        self.is_draining = False
        self._show_state()

    def _show_state(self) -> None:
        watch = self._metrics.watch
        watch(REQUESTS, lambda: self._requests)
        watch(BODY_BYTES, lambda: self._bodies.bytes_held)
        watch(RECORDS, lambda: self._publisher.records_in_flight)
        watch(RECORD_BYTES, lambda: self._publisher.bytes_in_flight)
        watch(CLOSES, lambda: len(self._closes.known))
        watch(READY, lambda: not self.reason_not_ready())

    def reason_not_ready(self) -> str:
        """Why this collector should get no traffic; empty when it should."""
        if self.is_draining:
            return DRAINING
        if not self._closes.is_ready:
            return LEARNING
        return self._publisher.reason_not_ready()

    def close(self) -> None:
        """Lets go of the thread that reads offline lists."""
        self._offline.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._requests += 1
        try:
            response = await self._answer(scope, receive)
        except REFUSALS as error:
            self._metrics.reject(reason_of(error))
            response = problem(error, self._cors(scope))
        except ClientGone:
            self._metrics.reject("client_gone")
            return
        except asyncio.CancelledError:
            # Stopping took too long. The record may or may not reach the log: no 2xx.
            response = problem(Stopping())
        except Exception:  # noqa: BLE001  # the main loop: a defect still gets its answer
            response = self._failed(scope)
        finally:
            self._requests -= 1
        if response is NO_CONTENT and sends_no_content(send):
            return
        status, headers, body = response
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        found = self._router.find(scope["path"])
        if found is None:
            raise NotFound
        route, argument = found
        if scope["method"] != route.method:
            return _other_method(route, scope)
        take = self._takers.get(route.name)
        if take is None:
            # Outside the limits: who asks whether it is overloaded wants an answer.
            return self._documents[route.name](argument)
        if self._requests > self._config.requests_max:
            raise Overloaded("too many requests are in flight")
        return await take(argument, scope, receive)

    def _cors(self, scope: Scope) -> Headers:
        found = self._router.find(scope["path"])
        return CORS_GET if found is not None and found[0].method == "GET" else CORS_POST

    def _failed(self, scope: Scope) -> Response:
        request_id = secrets.token_hex(8)
        _log.exception("request_failed", request_id=request_id, path=scope["path"])
        self._metrics.reject("defect")
        return defect(request_id, self._cors(scope))

    async def _take_event(self, sid: str, scope: Scope, receive: Receive) -> Response:
        self._sids.verify(sid)
        body, held = await self._bodies.read(receive, scope["headers"], EVENT_LIMITS)
        try:
            event = self._reader.read_event(body)
            if self._closes.known.is_closed_before(sid, event.ts):
                raise ClosedSession
            await self._publish(sid, encode(sid, (event,)))
        finally:
            self._bodies.release(held)
        self._metrics.accepted[event.type] += 1
        return NO_CONTENT

    async def _open_session(self, _: str, scope: Scope, receive: Receive) -> Response:
        body, held = await self._bodies.read(receive, scope["headers"], SESSION_LIMITS)
        try:
            if is_array(body):
                return await self._take_list(body)
            event = self._reader.read_session_start(body)
            sid = self._sids.make()
            await self._publish(sid, encode(sid, (event,)))
        finally:
            self._bodies.release(held)
        self._metrics.accepted[event.type] += 1
        return created(sid)

    async def _take_downloaded(self, _: str, scope: Scope, receive: Receive) -> Response:
        body, held = await self._bodies.read(receive, scope["headers"], SESSION_LIMITS)
        try:
            return await self._take_list(body)
        finally:
            self._bodies.release(held)

    async def _take_list(self, body: bytes) -> Response:
        """A finished offline session. Its id follows from the body: a retry is the same session."""
        if self._offline_count >= _OFFLINE_MAX:
            raise Overloaded("too many offline sessions are being read")
        self._offline_count += 1
        try:
            # In a thread: 8 MiB take a second to read, and other requests must go on meanwhile.
            loop = asyncio.get_running_loop()
            sid, value, counts = await loop.run_in_executor(self._offline, self._read_list, body)
            await self._publish(sid, value)
        finally:
            self._offline_count -= 1
        for event_type, count in counts.items():
            self._metrics.accepted[event_type] += count
        return created(sid)

    def _read_list(self, body: bytes) -> tuple[str, bytes, Counter[EventType]]:
        events = self._reader.read_offline(body)
        sid = self._sids.derive(body, events[0].ts)
        value = encode(sid, events, offline=True)
        return sid, value, Counter(event.type for event in events)

    async def _publish(self, sid: str, value: bytes) -> None:
        if len(value) > RECORD_BYTES_MAX:
            raise BodyTooLarge(RECORD_BYTES_MAX)
        begin = time.perf_counter()
        await self._publisher.publish(sid, value)
        self._metrics.observe_publish(time.perf_counter() - begin)


def _other_method(route: Route, scope: Scope) -> Response:
    if scope["method"] != "OPTIONS":
        raise MethodNotAllowed(route.allow)
    asked = [value for name, value in scope["headers"] if name == b"access-control-request-headers"]
    return preflight(route.method == "GET", b",".join(asked))
