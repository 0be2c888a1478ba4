"""Errors and their answers: one table from the class of an error to status, reason and title.

At the turn of the record's way: `app` catches what is in the table, and nothing else becomes a 4xx
or 503. Bodies are `application/problem+json` (RFC 9457) with the public contract's own `message`.
Imports `models` and its neighbours only.
"""

from typing import Any, Final, NamedTuple

from ingest.publisher import PublishError
from ingest.responses import CORS_POST, Headers, Response, to_json, with_body
from ingest.sids import ExpiredSid, UnknownSid
from models.requests import InvalidBody

_TYPE_PREFIX: Final = "urn:bookended:problem:"
_CONTENT_TYPE: Final = b"application/problem+json"


class NotFound(Exception):
    """No such path."""


class UnknownSchema(Exception):
    """No such event type. `known` lists those that are."""

    def __init__(self, known: tuple[str, ...]) -> None:
        super().__init__(known)
        self.known = known


class MethodNotAllowed(Exception):
    """The path has no such method. `allow` are those it has."""

    def __init__(self, allow: tuple[str, ...]) -> None:
        super().__init__(allow)
        self.allow = allow


class BodyTooLarge(Exception):
    """More than `bytes_max`."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(bytes_max)
        self.bytes_max = bytes_max


class ClosedSession(Exception):
    """The event is later than the session's close."""


class Overloaded(Exception):
    """Too much is in flight in this collector. `what` says of what there is too much."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class NotReady(Exception):
    """The collector should get no traffic now. `why` is one line."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Stopping(Exception):
    """The collector stops and could not finish the request in time."""


class HeadTooLarge(Exception):
    """Request line and headers have more than `bytes_max`."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(bytes_max)
        self.bytes_max = bytes_max


class TooSlow(Exception):
    """The request did not come in time."""


class NotHttp(Exception):
    """What came is not HTTP/1.1."""


class _Answer(NamedTuple):
    status: int
    reason: str
    title: str
    message: str = ""


# The one table. `reason` is the label in metrics and the end of the problem's `type`.
_ANSWERS: Final[dict[type[Exception], _Answer]] = {
    InvalidBody: _Answer(400, "invalid_body", "The body is not valid"),
    NotHttp: _Answer(400, "not_http", "Not HTTP", "this is not a valid HTTP/1.1 request"),
    UnknownSid: _Answer(
        404, "unknown_session", "Unknown session", "no session has this id; open one first"
    ),
    NotFound: _Answer(404, "not_found", "Not found", "there is no such path"),
    UnknownSchema: _Answer(404, "unknown_schema", "Unknown event type"),
    MethodNotAllowed: _Answer(405, "method_not_allowed", "Method not allowed"),
    TooSlow: _Answer(
        408, "too_slow", "Request too slow", "the request did not come completely in time"
    ),
    ClosedSession: _Answer(
        410,
        "closed_session",
        "The session is closed",
        "the session was closed before this event; open a new one",
    ),
    ExpiredSid: _Answer(
        410,
        "expired_session",
        "The session is too old",
        "the session was opened more than 48 hours ago; open a new one",
    ),
    BodyTooLarge: _Answer(413, "too_large", "The body is too large"),
    HeadTooLarge: _Answer(431, "head_too_large", "The headers are too large"),
    Overloaded: _Answer(503, "overloaded", "Too much at once"),
    NotReady: _Answer(503, "not_ready", "Not ready"),
    Stopping: _Answer(503, "stopping", "Stopping", "the server is stopping; try again"),
    PublishError: _Answer(503, "log", "The log did not take the event"),
}
REFUSALS: Final = tuple(_ANSWERS)
"""The errors that are answers, not defects."""

REASONS: Final = tuple(
    dict.fromkeys(
        [answer.reason for error, answer in _ANSWERS.items() if error is not PublishError]
        + ["log_busy", "log_timeout", "log_away", "client_gone", "defect"]
    )
)
"""All values of the label `reason` in metrics."""

_RETRY_AFTER_S: Final = 2


def reason_of(error: Exception) -> str:
    """The word for an error in metrics."""
    return error.cause if isinstance(error, PublishError) else _ANSWERS[type(error)].reason


def problem(error: Exception, cors: Headers = CORS_POST) -> Response:
    """The answer to an error of the table."""
    answer = _ANSWERS[type(error)]
    message = answer.message or _message(error)
    errors = [found._asdict() for found in error.errors] if isinstance(error, InvalidBody) else []
    body = _document(reason_of(error), answer.title, answer.status, message, errors)
    return with_body(answer.status, (*cors, *_further(error)), to_json(body), _CONTENT_TYPE)


def defect(request_id: str, cors: Headers = CORS_POST) -> Response:
    """The answer to a defect of ours: only the id that leads to the log line."""
    message = f"a defect of the server; its log has more under request id {request_id}"
    body = _document("defect", "Internal error", 500, message, [])
    body["request_id"] = request_id
    headers = (*cors, (b"x-request-id", request_id.encode()))
    return with_body(500, headers, to_json(body), _CONTENT_TYPE)


def _document(
    reason: str, title: str, status: int, message: str, errors: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "type": _TYPE_PREFIX + reason.replace("_", "-"),
        "title": title,
        "status": status,
        "message": message,
        "errors": errors,
    }


def _message(error: Exception) -> str:
    match error:
        case InvalidBody():
            return error.summary()
        case UnknownSchema(known=known):
            return f"there is no such event type; known are: {', '.join(known)}"
        case MethodNotAllowed(allow=allow):
            return f"this path takes {', '.join(allow)}"
        case BodyTooLarge(bytes_max=bytes_max) | HeadTooLarge(bytes_max=bytes_max):
            return f"at most {bytes_max} bytes are accepted"
        case Overloaded(what=what):
            return f"{what}; try again in {_RETRY_AFTER_S} seconds"
        case NotReady(why=why):
            return why
        case PublishError(reason=reason):
            return f"the event is not stored ({reason}); send it again"
        case _:
            return ""


def _further(error: Exception) -> Headers:
    match error:
        case MethodNotAllowed(allow=allow):
            return ((b"allow", ", ".join(allow).encode()),)
        case PublishError(retry_after_s=seconds):
            return ((b"retry-after", b"%d" % seconds),)
        case Overloaded() | NotReady() | Stopping():
            return ((b"retry-after", b"%d" % _RETRY_AFTER_S),)
        case _:
            return ()
