"""The processor's own port: what clients do to it stays without trace, and within bounds."""

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from prometheus_client import CollectorRegistry

from commands import health
from commands.values import Address
from tests.commands.processes import PATIENCE_S

Connect = Callable[[], socket.socket]


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(health, "_CONNECTIONS_MAX", 3)
    monkeypatch.setattr(health, "_TAKEN_S_MAX", 1.0)
    monkeypatch.setattr(health._Handler, "timeout", None)  # as if it sent a byte now and then
    address = Address("127.0.0.1", 0)
    with health.serving(address, CollectorRegistry(), lambda: "") as port:
        yield port


@pytest.fixture
def connect(port: int) -> Iterator[Connect]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_S))


def is_alive(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:  # closed without an answer
        return False
    finally:
        connection.close()


def test_a_client_that_goes_leaves_no_line(
    port: int, connect: Connect, capfd: pytest.CaptureFixture[str]
) -> None:
    gone = connect()
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone.close()  # with a reset, as probes of a port do
    assert is_alive(port), "connections are taken in turn, so it is at the first one"
    for thread in threading.enumerate():
        if "process_request" in thread.name:
            thread.join(PATIENCE_S)
    assert capfd.readouterr().err == ""


def test_a_client_that_drips_is_ended_and_keeps_nobody_out(port: int, connect: Connect) -> None:
    slow = [connect() for _ in range(3)]
    for one in slow:
        one.sendall(b"GET /hea")
    one_too_many = connect()
    assert one_too_many.recv(1) == b"", "closed at once"
    for one in slow:
        assert one.recv(1) == b"", "ended in time, whatever it still sends"
    deadline = time.monotonic() + PATIENCE_S
    while not is_alive(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert is_alive(port)
