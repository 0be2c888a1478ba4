"""Reading a request's body within its bounds.

On the record's way: between the connection and the models. One message holds the whole of nearly
every body; what comes in parts is counted while it comes, and held against a budget that all such
requests share. How long a body may take is the matter of `protocol`. Imports `models` only.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, NamedTuple

from ingest.problems import BodyTooLarge, Overloaded
from models.limits import BODY_BYTES_MAX, OFFLINE_BODY_BYTES_MAX

Receive = Callable[[], Awaitable[Any]]

_WHITESPACE: Final = b" \t\r\n"
# White space in front of an array longer than this makes it no array for the limits.
_START_BYTES: Final = 1024


class ClientGone(Exception):
    """The client closed the connection before the body was complete."""


class BodyLimits(NamedTuple):
    """Most bytes of a body, and of one that is an array."""

    bytes_max: int = BODY_BYTES_MAX
    array_bytes_max: int = BODY_BYTES_MAX

    def of(self, start: bytes | bytearray) -> int:
        """The limit for a body that begins so, as far as one can tell."""
        return self.array_bytes_max if is_array(start) else self.bytes_max


EVENT_LIMITS: Final = BodyLimits()
SESSION_LIMITS: Final = BodyLimits(array_bytes_max=OFFLINE_BODY_BYTES_MAX)


def is_array(body: bytes | bytearray) -> bool:
    """Whether a JSON body is an array, by its first character."""
    return body[:1] == b"[" or (
        body[:1] in (b" ", b"\t", b"\r", b"\n") and body.lstrip(_WHITESPACE)[:1] == b"["
    )


def announced_bytes(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """What `Content-Length` says; 0 if there is none."""
    value = next((value for name, value in headers if name == b"content-length"), b"")
    return int(value) if value.isdigit() else 0


class BodyReader:
    """Reads bodies. `bytes_max` bounds what all bodies that come in parts hold together."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self.bytes_held = 0

    async def read(
        self, receive: Receive, headers: Iterable[tuple[bytes, bytes]], limits: BodyLimits
    ) -> tuple[bytes, int]:
        """The whole body, and the bytes to `release` when the request is done.

        Raises `BodyTooLarge`, `Overloaded`, `ClientGone`.
        """
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        body: bytes = message["body"]
        if message["more_body"]:
            return await self._read_on(receive, announced_bytes(headers), limits, body)
        if len(body) > limits.bytes_max and len(body) > limits.of(body):
            raise BodyTooLarge(limits.of(body))
        return body, 0

    def release(self, held: int) -> None:
        """Gives back what a body took of the budget."""
        self.bytes_held -= held

    async def _read_on(
        self, receive: Receive, announced: int, limits: BodyLimits, first: bytes
    ) -> tuple[bytes, int]:
        held = 0
        body = bytearray()
        part, more = first, True
        try:
            while True:
                held += self._hold(len(part))
                body += part
                limit = limits.of(body[:_START_BYTES]) if body else limits.array_bytes_max
                if max(announced, len(body)) > limit:
                    raise BodyTooLarge(limit)
                if not more:
                    return bytes(body), held
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientGone
                part, more = message["body"], message["more_body"]
        except BaseException:
            self.release(held)
            raise

    def _hold(self, count: int) -> int:
        if self.bytes_held + count > self._bytes_max:
            raise Overloaded("too many bytes of bodies are on their way")
        self.bytes_held += count
        return count
