"""What is in flight is bounded: bytes of bodies, time, connections, requests; what is said then."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ingest.app import AppConfig
from ingest.protocol import ConnectionBounds
from ingest.publisher import PublishError
from ingest.server import ServerConfig
from models.limits import BODY_BYTES_MAX, OFFLINE_BODY_BYTES_MAX
from tests.ingest.bodies import downloaded, dumps, event, start
from tests.ingest.servers import (
    TIMEOUT_S,
    Answer,
    Running,
    read_response,
    received,
    running,
)

QUICK = ServerConfig(port=0, bounds=ConnectionBounds(silence_s=0.2, request_s=600))
TRICKLED = ServerConfig(port=0, bounds=ConnectionBounds(silence_s=600, request_s=1.0))


def padded(body: bytes, length: int) -> bytes:
    return body + b" " * (length - len(body))


def head(path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: test", *headers, "", ""]
    return "\r\n".join(lines).encode()


def chunk(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize(
    ("path", "body", "length_max", "status"),
    [
        ("/api/v1/sessions", dumps(start()), BODY_BYTES_MAX, 201),
        ("/events", dumps(event()), BODY_BYTES_MAX, 204),
        ("/api/v1/sessions", dumps(downloaded()), OFFLINE_BODY_BYTES_MAX, 201),
        ("/api/v1/downloaded", b" \r\n\t" + dumps(downloaded()), OFFLINE_BODY_BYTES_MAX, 201),
    ],
)
def test_the_largest_body_is_taken_and_one_byte_more_is_413(
    shared: Running, path: str, body: bytes, length_max: int, status: int, is_chunked: bool
) -> None:
    path = shared.open() + path if path == "/events" else path
    for length, expected in ((length_max, status), (length_max + 1, 413)):
        sent = padded(body, length)
        if is_chunked:
            parts = [chunk(sent[i : i + 65_536]) for i in range(0, len(sent), 65_536)]
            request = head(path, "transfer-encoding: chunked") + b"".join(parts) + b"0\r\n\r\n"
        else:
            request = head(path, f"content-length: {len(sent)}") + sent
        sock = shared.raw()
        sender = threading.Thread(target=sock.sendall, args=(request,))
        sender.start()
        answer = read_response(sock)
        sender.join(TIMEOUT_S)
        assert answer.status == expected
    assert str(length_max) in answer.document["message"]


def test_an_array_is_no_larger_event(shared: Running) -> None:
    sent = padded(dumps([event()]), BODY_BYTES_MAX + 1)
    assert shared.ask("POST", shared.open() + "/events", sent).status == 413


@pytest.mark.parametrize("path", ["/api/v1/sessions", "/api/v1/downloaded"])
def test_an_announced_length_is_refused_at_the_first_byte(shared: Running, path: str) -> None:
    for length, first in ((OFFLINE_BODY_BYTES_MAX + 1, b"["), (BODY_BYTES_MAX + 1, b"{")):
        sock = shared.raw(head(path, f"content-length: {length}") + first)
        assert read_response(sock).status == 413


def test_the_connection_goes_on_after_a_413(shared: Running) -> None:
    location = shared.open()
    big = padded(dumps(event()), 200_000)
    sock = shared.raw(head(f"{location}/events", f"content-length: {len(big)}") + big)
    assert read_response(sock).status == 413
    small = dumps(event())
    sock.sendall(head(f"{location}/events", f"content-length: {len(small)}") + small)
    assert read_response(sock).status == 204


def test_endless_bodies_are_refused(shared: Running) -> None:
    sock = shared.raw(head("/api/v1/sessions", "transfer-encoding: chunked"))
    part = chunk(b" " * 60_000)
    for _ in range(2):
        sock.sendall(part)
    assert read_response(sock).status == 413


def test_deep_nesting_in_a_large_list_is_refused(shared: Running) -> None:
    for body in (b"[" * OFFLINE_BODY_BYTES_MAX, b'[{"a":' * 1_000_000):
        assert shared.ask("POST", "/api/v1/downloaded", body).status == 400


def test_a_body_in_many_parts_is_put_together(shared: Running) -> None:
    location = shared.open()
    body = dumps(event(params={"mine": "x" * 1_000}))
    sock = shared.raw(head(f"{location}/events", f"content-length: {len(body)}"))
    for begin in range(0, len(body), 100):
        sock.sendall(body[begin : begin + 100])
    assert read_response(sock).status == 204
    assert shared.log.records[-1].events[0].params == {"mine": "x" * 1_000}
    assert shared.metric("bookended_collector_body_bytes_in_flight") == 0


@pytest.fixture
def quick() -> Iterator[Running]:
    with running(server_config=QUICK) as made:
        yield made


def test_a_silent_body_is_408(quick: Running) -> None:
    location = quick.open()
    sock = quick.raw(head(f"{location}/events", "content-length: 100") + b'{"playerTime":')
    answer = read_response(sock)
    assert answer.status == 408
    assert received(sock) == b""
    assert quick.metric("bookended_collector_requests_rejected_total", reason="too_slow") == 1
    assert quick.send(location).status == 204


def trickle(sock: socket.socket, part: bytes, stopped: threading.Event) -> None:
    while not stopped.wait(0.05):
        try:
            sock.sendall(part)
        except OSError:
            return


@pytest.mark.parametrize(
    "begin",
    [
        head("/api/v1/sessions", "transfer-encoding: chunked"),
        b"POST /api/v1/sessions HTTP/1.1\r\n",
    ],
)
def test_a_trickling_request_is_408(begin: bytes) -> None:
    part = chunk(b" ") if begin.endswith(b"\r\n\r\n") else b"x: y\r\n"
    stopped = threading.Event()
    with running(server_config=TRICKLED) as own:
        sock = own.raw(begin)
        thread = threading.Thread(target=trickle, args=(sock, part, stopped))
        thread.start()
        try:
            assert read_response(sock).status == 408
        finally:
            stopped.set()
            thread.join(TIMEOUT_S)


@pytest.mark.parametrize("sent", [b"", b"POST /api/v1/sess"])
def test_a_silent_connection_is_ended(quick: Running, sent: bytes) -> None:
    assert received(quick.raw(sent)).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_a_head_that_stops_after_a_request_is_ended(quick: Running) -> None:
    sock = quick.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    assert read_response(sock).status == 200
    sock.sendall(b"GET /hea")
    assert received(sock).startswith(b"HTTP/1.1 408")


def test_the_rest_of_a_refused_body_must_come_too(quick: Running) -> None:
    sock = quick.raw(head("/nowhere", "content-length: 100"))
    assert read_response(sock).status == 404
    assert received(sock) == b""


def test_an_idle_connection_is_kept(quick: Running) -> None:
    location = quick.open()
    threading.Event().wait(1.5)  # longer than any bound on requests here
    assert quick.send(location).status == 204


def test_endless_heads_are_refused(shared: Running) -> None:
    sock = shared.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    assert read_response(sock).status == 200
    sock.sendall(b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 5_500)
    sock.sendall(b"a: b\r\n" * 5_500)
    assert read_response(sock).status == 431


def test_connections_are_bounded() -> None:
    bounds = ServerConfig(port=0, bounds=ConnectionBounds(connections_max=3))
    with running(server_config=bounds) as own:
        kept = [own.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n") for _ in range(3)]
        assert [read_response(sock).status for sock in kept] == [200] * 3
        answer = read_response(own.raw())
        assert answer.status == 503
        assert answer.headers["retry-after"] == "2"
        for sock in kept:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
            answer = read_response(sock)
        assert b"bookended_collector_connections 3.0\n" in answer.body
        assert b'requests_rejected_total{reason="overloaded"} 1.0\n' in answer.body


def test_a_client_that_goes_away_is_counted(own: Running) -> None:
    sock = own.raw(head("/api/v1/sessions", "content-length: 100") + b"{")
    sock.close()
    assert own.ask("GET", "/healthz").status == 200
    for _ in range(100):
        if own.metric("bookended_collector_requests_rejected_total", reason="client_gone"):
            break
        threading.Event().wait(0.05)
    assert own.metric("bookended_collector_requests_rejected_total", reason="client_gone") == 1
    assert own.metric("bookended_collector_requests_in_flight") == 0


def held(own: Running, location: str, count: int) -> list[socket.socket]:
    """Requests that wait for the log."""
    own.log.hold()
    body = dumps(event())
    request = head(f"{location}/events", f"content-length: {len(body)}") + body
    waiting = [own.raw(request) for _ in range(count)]
    for _ in range(200):
        if own.metric("bookended_collector_requests_in_flight") >= count:
            return waiting
        threading.Event().wait(0.05)
    raise AssertionError("the requests did not arrive")


def test_requests_in_flight_are_bounded() -> None:
    with running(AppConfig(requests_max=3)) as own:
        location = own.open()
        waiting = held(own, location, 3)
        answer = own.send(location)
        assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        # Whoever asks whether it is overloaded gets an answer.
        for path in ("/healthz", "/readyz", "/metrics"):
            assert own.ask("GET", path).status == 200
        own.log.release()
        assert [read_response(sock).status for sock in waiting] == [204] * 3
        assert own.send(location).status == 204


def test_bytes_of_bodies_in_flight_are_bounded() -> None:
    with running(AppConfig(body_bytes_max=100_000)) as own:
        first = own.raw(head("/api/v1/downloaded", "content-length: 200000"), b"[" + b" " * 59_999)
        for _ in range(200):
            if own.metric("bookended_collector_body_bytes_in_flight") == 60_000:
                break
            threading.Event().wait(0.05)
        second = own.raw(head("/api/v1/downloaded", "content-length: 200000"), b"[" + b" " * 59_999)
        answer = read_response(second)
        assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        first.close()
        for _ in range(200):
            if own.metric("bookended_collector_body_bytes_in_flight") == 0:
                break
            threading.Event().wait(0.05)
        assert own.metric("bookended_collector_body_bytes_in_flight") == 0


@pytest.mark.parametrize("cause", ["log_busy", "log_timeout", "log_away"])
def test_no_2xx_for_what_the_log_did_not_take(own: Running, cause: str) -> None:
    location = own.open()
    own.log.fault = PublishError(cause, "the reason", 2)
    with ThreadPoolExecutor(4) as pool:
        answers: list[Answer] = list(pool.map(lambda _: on_its_own(own, location), range(8)))
    assert {answer.status for answer in answers} == {503}
    assert len(own.log.records) == 1
    name = "bookended_collector_requests_rejected_total"
    assert own.metric(name, reason=cause) == 8
    own.log.fault = None
    assert own.send(location).status == 204


def on_its_own(own: Running, location: str) -> Answer:
    body = dumps(event())
    return read_response(own.raw(head(f"{location}/events", f"content-length: {len(body)}") + body))


def test_2xx_comes_only_after_the_log_has_answered(own: Running) -> None:
    location = own.open()
    (waiting,) = held(own, location, 1)
    waiting.settimeout(0.3)
    with pytest.raises(TimeoutError):
        waiting.recv(1)
    waiting.settimeout(TIMEOUT_S)
    assert len(own.log.records) == 1
    own.log.release()
    assert read_response(waiting).status == 204
    assert len(own.log.records) == 2


def test_keep_alive_and_pipelining(shared: Running) -> None:
    location = shared.open()
    body = dumps(event())
    one = head(f"{location}/events", f"content-length: {len(body)}") + body
    sock = shared.raw(one * 50)
    answers = b""
    while answers.count(b"\r\n\r\n") < 50:
        answers += sock.recv(65_536)
    assert answers.count(b"HTTP/1.1 204 No Content\r\n") == 50
    sock.sendall(one)
    assert read_response(sock).status == 204


def test_http_1_0_is_answered(shared: Running) -> None:
    sock = shared.raw(b"GET /healthz HTTP/1.0\r\n\r\n")
    answer = received(sock)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close" in answer


def test_expect_100_continue(shared: Running) -> None:
    body = dumps(start())
    sock = shared.raw(
        head("/api/v1/sessions", f"content-length: {len(body)}", "expect: 100-continue")
    )
    assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    sock.sendall(body)
    assert read_response(sock).status == 201
