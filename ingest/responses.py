"""What goes back to a client: a status, headers with CORS on every one, a body.

At the turn of the record's way: `app` answers with these, `problems` makes those for errors. The
rules are docs/http.md "Headers". Imports nothing of the project.
"""

import json
import re
from http import HTTPStatus
from typing import Any, Final, NamedTuple

Headers = tuple[tuple[bytes, bytes], ...]

_ASKED_LENGTH_MAX: Final = 1024
_TOKEN: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
# Each player asks before its first event; without this a browser would ask before every ping.
_PREFLIGHT_AGE: Final = (b"access-control-max-age", b"86400")


class Response(NamedTuple):
    """One answer. `headers` include those of CORS."""

    status: int
    headers: Headers
    body: bytes = b""


def _cors(methods: bytes, allow_headers: bytes = b"Content-Type") -> Headers:
    return (
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-methods", methods),
        (b"access-control-allow-headers", allow_headers),
        (b"access-control-expose-headers", b"Location"),
    )


_METHODS_POST: Final = b"OPTIONS,POST,PUT"
_METHODS_GET: Final = b"OPTIONS,POST,PUT,GET"
CORS_POST: Final = _cors(_METHODS_POST)
CORS_GET: Final = _cors(_METHODS_GET)

NO_CONTENT: Final = Response(204, CORS_POST)


def created(sid: str) -> Response:
    """A session was opened. Clients match `Location`, so it is relative and nothing but the id."""
    return Response(
        201,
        (
            *CORS_POST,
            (b"location", b"/api/v1/sessions/" + sid.encode()),
            (b"content-type", b"application/octet-stream"),
            (b"content-length", b"0"),
        ),
    )


def ok(body: bytes, content_type: bytes) -> Response:
    """An answer to GET."""
    return Response(200, (*CORS_GET, *_content(body, content_type)), body)


def ok_json(document: Any, content_type: bytes = b"application/json") -> Response:
    """The same with a JSON document."""
    return ok(to_json(document), content_type)


def to_json(document: Any) -> bytes:
    """Compact JSON. Text that is no valid Unicode is escaped, so that it can always be sent."""
    return json.dumps(document, separators=(",", ":")).encode()


def _content(body: bytes, content_type: bytes) -> Headers:
    return ((b"content-type", content_type), (b"content-length", b"%d" % len(body)))


def with_body(status: int, cors: Headers, body: bytes, content_type: bytes) -> Response:
    """An answer of any status with a body."""
    return Response(status, (*cors, *_content(body, content_type)), body)


def preflight(is_get: bool, asked: bytes) -> Response:
    """The answer to OPTIONS: what is allowed is what was asked for. `asked` lists header names."""
    methods = _METHODS_GET if is_get else _METHODS_POST
    return Response(204, (*_cors(methods, _allowed(asked)), _PREFLIGHT_AGE))


def _allowed(asked: bytes) -> bytes:
    names = [b"Content-Type"]
    known = {b"content-type"}
    for part in asked[:_ASKED_LENGTH_MAX].split(b","):
        name = part.strip()
        if _TOKEN.fullmatch(name) and name.lower() not in known:
            known.add(name.lower())
            names.append(name)
    return b", ".join(names)


def on_the_wire(response: Response) -> bytes:
    """The answer as HTTP/1.1, for what is said outside the app; the connection then closes."""
    phrase = HTTPStatus(response.status).phrase.encode()
    lines = [b"HTTP/1.1 %d %s" % (response.status, phrase)]
    lines += [name + b": " + value for name, value in response.headers]
    return b"\r\n".join([*lines, b"connection: close", b"", response.body])
