"""docs/http.md "Headers" and "Errors": CORS on every response, problems in one form."""

import re

import pytest

from ingest.publisher import PublishError
from ingest.routes import ROUTES
from tests.ingest.bodies import downloaded, dumps, event, start
from tests.ingest.servers import NO_SESSION, Answer, Running, read_response, received

LONG = b"x" * 70_000


def has_cors(answer: Answer, *, is_get: bool = False) -> None:
    headers = answer.headers
    methods = "OPTIONS,POST,PUT,GET" if is_get else "OPTIONS,POST,PUT"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["access-control-allow-methods"] == methods
    assert headers["access-control-allow-headers"].startswith("Content-Type")
    assert headers["access-control-expose-headers"] == "Location"
    assert "access-control-allow-credentials" not in headers
    assert "server" not in headers


def is_problem(answer: Answer, status: int) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.document
    assert document["status"] == status
    assert set(document) - {"request_id"} == {"type", "title", "status", "message", "errors"}
    assert document["type"].startswith("urn:bookended:problem:")
    assert document["title"]
    assert "\n" not in document["message"]
    assert all(set(error) == {"path", "message"} for error in document["errors"])


def test_successes_have_them(shared: Running) -> None:
    has_cors(shared.post("/api/v1/sessions", start()))
    has_cors(shared.post("/api/v1/downloaded", downloaded()))
    has_cors(shared.send(shared.open()))


def test_an_accepted_event_has_the_same_answer_however_it_is_sent(shared: Running) -> None:
    """Where a connection goes on, past uvicorn; where it ends, by uvicorn. Requests may come before
    the answers to others."""
    kept, last = (ping_request(shared.open(), connection) for connection in (b"", b"close"))
    answers = received(shared.raw(kept + kept + last))
    first, second, by_uvicorn, rest = without_date(answers).split(b"\r\n\r\n")
    assert first == second
    assert first + b"\r\nconnection: close" == by_uvicorn
    assert first.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert rest == b""


def ping_request(location: str, connection: bytes) -> bytes:
    body = dumps(event())
    lines = [b"POST %s/events HTTP/1.1" % location.encode(), b"Host: x"]
    lines += [b"Content-Length: %d" % len(body)]
    lines += [b"Connection: " + connection] if connection else []
    return b"\r\n".join([*lines, b"", body])


def without_date(answers: bytes) -> bytes:
    return re.sub(rb"date: [^\r]+", b"date: now", answers)


@pytest.mark.parametrize("route", [r for r in ROUTES if r.method == "GET"], ids=lambda r: r.name)
def test_get_routes_allow_get(shared: Running, route: object) -> None:
    path = route.path.replace("{eventType}", "ping")  # type: ignore[attr-defined]
    has_cors(shared.ask("GET", path), is_get=True)
    has_cors(shared.ask("OPTIONS", path), is_get=True)
    refused = shared.ask("DELETE", path)
    is_problem(refused, 405)
    has_cors(refused, is_get=True)


@pytest.mark.parametrize(
    ("status", "method", "path", "body"),
    [
        (400, "POST", "/api/v1/sessions", b"{"),
        (400, "POST", "/api/v1/sessions", dumps(start(**{"media.length": "60"}))),
        (400, "POST", "/api/v1/downloaded", b"[]"),
        (404, "GET", "/nowhere", None),
        (404, "POST", f"/api/v1/sessions/{NO_SESSION}/events", dumps(event())),
        (405, "PUT", "/api/v1/sessions", b"{}"),
        (405, "GET", "/api/v1/sessions", None),
        (413, "POST", "/api/v1/sessions", LONG),
    ],
)
def test_errors_have_them_and_are_problems(
    shared: Running, status: int, method: str, path: str, body: bytes | None
) -> None:
    answer = shared.ask(method, path, body)
    is_problem(answer, status)
    has_cors(answer)


def test_an_unavailable_log_has_them_and_says_when_to_retry(own: Running) -> None:
    location = own.open()
    own.log.fault = PublishError("log_away", "the disk is full", 7)
    for answer in (
        own.send(location),
        own.post("/api/v1/sessions", start()),
        own.post("/api/v1/downloaded", downloaded()),
    ):
        is_problem(answer, 503)
        has_cors(answer)
        assert answer.headers["retry-after"] == "7"
        assert "the disk is full" in answer.document["message"]


def test_a_defect_has_them_and_a_request_id(
    own: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    location = own.open()
    own.log.defect = ZeroDivisionError("a defect of the test")
    answer = own.send(location)
    is_problem(answer, 500)
    has_cors(answer)
    request_id = answer.document["request_id"]
    assert answer.headers["x-request-id"] == request_id
    assert "ZeroDivisionError" not in answer.body.decode()
    logged = capsys.readouterr().out
    assert request_id in logged
    assert "ZeroDivisionError: a defect of the test" in logged
    assert own.metric("bookended_collector_requests_rejected_total", reason="defect") == 1


def test_the_message_sums_up_and_errors_list_all(shared: Running) -> None:
    body = start()
    body["params"]["media.length"] = "60"
    del body["params"]["media.id"]
    document = shared.post("/api/v1/sessions", body).document
    assert document["message"] == '2 errors, the first: params["media.id"] is required'
    assert document["errors"] == [
        {"path": 'params["media.id"]', "message": "is required"},
        {
            "path": 'params["media.length"]',
            "message": 'must be a number, but is the string "60"',
        },
    ]


def test_odd_text_in_an_error_can_be_sent(shared: Running) -> None:
    body = dumps(event()).replace(b"ping", b"\\ud800\\u0000\\n\xc3\xa4")
    is_problem(shared.post("/api/v1/sessions", body), 400)


PREFLIGHTS = [
    (
        route.path.replace("{sid}", NO_SESSION).replace("{eventType}", "ping"),
        route.method == "GET",
    )
    for route in ROUTES
]


@pytest.mark.parametrize(("path", "is_get"), PREFLIGHTS)
def test_a_preflight_is_answered_on_every_route(shared: Running, path: str, is_get: bool) -> None:
    answer = shared.ask(
        "OPTIONS",
        path,
        Origin="https://player.example.com",
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="content-type, X-Debug,x-other",
    )
    assert (answer.status, answer.body) == (204, b"")
    has_cors(answer, is_get=is_get)
    assert answer.headers["access-control-allow-headers"] == "Content-Type, X-Debug, x-other"
    assert answer.headers["access-control-max-age"] == "86400"


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ("", "Content-Type"),
        ("CONTENT-TYPE", "Content-Type"),
        ("x-a,x-a, X-A", "Content-Type, x-a"),
        ("a b, x-ok, \u00fc, c;d, ,", "Content-Type, x-ok"),
        ("x" * 200, "Content-Type"),
    ],
)
def test_only_names_are_echoed(shared: Running, asked: str, allowed: str) -> None:
    answer = shared.ask("OPTIONS", "/api/v1/sessions", Access_Control_Request_Headers=asked)
    assert answer.headers["access-control-allow-headers"] == allowed


def test_what_a_preflight_asks_is_bounded(shared: Running) -> None:
    asked = ",".join(f"x-{number}" for number in range(5_000))
    answer = shared.ask("OPTIONS", "/api/v1/sessions", Access_Control_Request_Headers=asked)
    assert answer.status == 204
    assert len(answer.headers["access-control-allow-headers"]) < 2_000


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (400, b"this is no HTTP\r\n\r\n"),
        (400, b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nx: " + b"y" * 66_000),
    ],
)
def test_what_the_app_never_sees_has_them_too(shared: Running, status: int, sent: bytes) -> None:
    answer = read_response(shared.raw(sent))
    is_problem(answer, status)
    has_cors(answer)
    assert answer.headers["connection"] == "close"
