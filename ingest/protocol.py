"""uvicorn's HTTP protocol, with the bounds it lacks: time and size of a request, connections.

On the record's way: between the socket and `app`. A request must arrive completely within its time
or it is answered 408 here, because the app is not asked before the headers are complete. What is
answered here has the same headers and form as all else. Imports its neighbours only.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from ingest.problems import HeadTooLarge, NotHttp, Overloaded, TooSlow, problem, reason_of
from ingest.responses import NO_CONTENT, on_the_wire

_NO_CONTENT_LINE: Final = STATUS_LINE[NO_CONTENT.status]
_NO_CONTENT_HEADERS: Final = (
    b"".join([b"%b: %b\r\n" % header for header in NO_CONTENT.headers]) + b"\r\n"
)


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """What one connection may take, and how many there may be.

    `silence_s`: longest pause within a request. `request_s`: longest time from a request's first
    byte to its last. `idle_s`: longest pause between requests.
    """

    connections_max: int = 10_000
    head_bytes_max: int = 64 * 1024
    silence_s: float = 10.0
    request_s: float = 120.0
    idle_s: int = 75


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        *,
        bounds: ConnectionBounds,
        refused: Callable[[str], None],
        **of_uvicorn: Any,
    ) -> None:
        super().__init__(**of_uvicorn)
        self._bounds = bounds
        self._refused = refused
        # The last request that came completely; the bytes that came after it, -1 until then.
        self._done: Any = None
        self._head_bytes = 0
        # What `end_if_slow` saw: which request was coming in, since when, when it last grew.
        self._begun: tuple[Any, bool] | None = None
        self._begun_at = 0.0
        self._heard_at = 0.0
        self._is_heard = True

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections_max:
            self._end_with(Overloaded("too many connections are open"))

    def data_received(self, data: bytes) -> None:
        HttpToolsProtocol.data_received(self, data)
        self._is_heard = True
        if self.cycle is not self._done:
            return  # a body is coming
        if self._head_bytes < 0:
            self._head_bytes = 0
            return  # this was the end of a request
        self._head_bytes += len(data)
        if self._head_bytes > self._bounds.head_bytes_max:
            self._end_with(HeadTooLarge(self._bounds.head_bytes_max))

    def on_message_complete(self) -> None:
        self._done = self.cycle
        self._head_bytes = -1
        HttpToolsProtocol.on_message_complete(self)

    def send_400_response(self, msg: str) -> None:
        del msg
        self._end_with(NotHttp())

    def end_if_slow(self, now: float) -> None:
        """Called from time to time: ends the connection when its request takes too long."""
        begun = self._coming_in()
        if begun != self._begun:
            self._begun = begun
            self._begun_at = now
            self._is_heard = True
        if self._is_heard:
            self._is_heard = False
            self._heard_at = now
        if begun is not None and (
            now - self._heard_at > self._bounds.silence_s
            or now - self._begun_at > self._bounds.request_s
        ):
            self._end_with(TooSlow())

    def _coming_in(self) -> tuple[Any, bool] | None:
        """The request that is coming in: what went before it or is it, and whether in its head."""
        cycle: Any = self.cycle  # uvicorn's type hides that there may be none
        if cycle is not self._done:
            return cycle, False
        is_in_head = cycle is None or self._head_bytes > 0
        return (cycle, True) if is_in_head else None

    def _end_with(self, error: Exception) -> None:
        if self.transport.is_closing():
            return
        self._refused(reason_of(error))
        if self._may_answer():
            self.transport.write(on_the_wire(problem(error)))
        self.transport.close()

    def _may_answer(self) -> bool:
        """Whether no other answer is given, under way or due first: one answer to one request."""
        cycle: Any = self.cycle
        if cycle is self._done:
            return cycle is None or cycle.response_complete
        return not (cycle.response_started or self.pipeline)


def protocol_class(
    bounds: ConnectionBounds, refused: Callable[[str], None]
) -> Callable[..., asyncio.Protocol]:
    """What uvicorn calls for each connection. `refused` counts, by reason, what is ended here."""
    return partial(BoundedProtocol, bounds=bounds, refused=refused)


def sends_no_content(send: object) -> bool:
    """Sends `NO_CONTENT`, the answer to nearly every request, by the connection that the ASGI
    `send` belongs to. uvicorn would put each header together anew, which takes a tenth of a
    request's time (`tests/bench`). False where only uvicorn can: the bytes are the same."""
    cycle = getattr(send, "__self__", None)
    if (
        not isinstance(cycle, RequestResponseCycle)
        or cycle.response_started
        or cycle.disconnected
        or not cycle.keep_alive
        or cycle.flow.write_paused
    ):
        return False
    cycle.response_started = cycle.response_complete = True
    own = [b"%b: %b\r\n" % header for header in cycle.default_headers]
    cycle.transport.write(b"".join((_NO_CONTENT_LINE, *own, _NO_CONTENT_HEADERS)))
    cycle.message_event.set()
    cycle.on_response()
    return True
