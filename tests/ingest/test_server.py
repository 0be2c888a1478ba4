"""The server: readiness, draining, TLS, signals, and what is said when it cannot start."""

import http.client
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from prometheus_client import CollectorRegistry

from ingest.app import AppConfig
from ingest.collector import Collector, embedded_collector
from ingest.log_file import LogUnusable
from ingest.server import (
    CertificateError,
    CollectorServer,
    ListenError,
    ServerConfig,
    bound_socket,
    check_certificate,
)
from ingest.sids import Sids
from tests.certificates import self_signed
from tests.documents import ROOT
from tests.ingest.bodies import dumps, event, start
from tests.ingest.servers import (
    KEY,
    TIMEOUT_S,
    Clock,
    FakeCloses,
    FakeLog,
    Running,
    answer_of,
    read_response,
    received,
    running,
)
from tests.ingest.test_limits import head, held


def test_not_ready_when_the_log_is_not(own: Running) -> None:
    own.closes.learned()
    own.log.not_ready = "log log.db: the disk is full"
    answer = own.ask("GET", "/readyz")
    assert answer.status == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.document["message"] == "log log.db: the disk is full"
    assert own.ask("GET", "/healthz").status == 200
    own.log.not_ready = ""
    assert own.ask("GET", "/readyz").status == 200


def test_each_change_of_state_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with running() as own:
        own.closes.learned()
        for _ in range(20):
            own.send(own.open())
        threading.Event().wait(1.0)
        own.log.not_ready = "the disk is full"
        threading.Event().wait(1.0)
        own.log.not_ready = ""
        threading.Event().wait(1.0)
    lines = [line for line in capsys.readouterr().out.splitlines() if "collector_" in line]
    told = [line.split("] ")[1].split()[0] for line in lines]
    # Whether the first look is before or after the closes are read is a matter of luck.
    started = [name for name in told[1:] if name != "collector_not_ready"]
    assert told[0] == "collector_listening"
    assert started == [
        "collector_ready",
        "collector_ready",
        "collector_draining",
        "collector_stopped",
    ]
    assert sum("the disk is full" in line for line in lines) == 1


def test_draining_finishes_what_is_in_flight() -> None:
    with running() as own:
        location = own.open()
        waiting = held(own, location, 5)
        idle = own.raw(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert read_response(idle).status in (200, 503)
        own.server.drain()
        assert received(idle) == b""
        for _ in range(200):
            try:
                own.raw().close()
            except ConnectionRefusedError:
                break
            threading.Event().wait(0.05)
        else:
            raise AssertionError("it goes on accepting")
        assert not own.log.is_stopped
        own.log.release()
        answers = [read_response(sock) for sock in waiting]
        assert [answer.status for answer in answers] == [204] * 5
        assert {answer.headers["connection"] for answer in answers} == {"close"}
        assert len(own.log.records) == 6
    assert own.log.is_stopped


def test_while_draining_it_is_alive_and_not_ready() -> None:
    with running(server_config=ServerConfig(port=0, drain_grace_s=2.0)) as own:
        own.closes.learned()
        location = own.open()
        assert own.ask("GET", "/readyz").status == 200
        own.server.drain()
        while own.ask("GET", "/readyz").status == 200:
            pass
        assert own.ask("GET", "/readyz").document["message"] == "draining"
        assert own.ask("GET", "/healthz").status == 200
        # Until the load balancer has noticed, events are taken.
        assert own.send(location).status == 204
        assert read_response(own.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")).status == 200


def test_draining_does_not_wait_for_ever() -> None:
    with running(server_config=ServerConfig(port=0, drain_s_max=1)) as own:
        location = own.open()
        (waiting,) = held(own, location, 1)
        own.server.drain()
        answer = read_response(waiting)
        assert answer.status == 503
        assert answer.document["type"] == "urn:bookended:problem:stopping"
        assert answer.headers["retry-after"] == "2"
        own.log.release()


def test_drain_before_run_ends_run_at_once() -> None:
    log = FakeLog()
    sids = Sids((KEY,), Clock())
    collector = Collector(AppConfig(), log, FakeCloses(), sids, CollectorRegistry())
    server = CollectorServer(collector, ServerConfig(port=0))
    server.drain()
    server.run(handle_signals=False)
    assert log.is_stopped
    server.drain()


def test_a_log_that_cannot_be_opened_ends_run(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_text("not a log" * 200)
    collector = embedded_collector(AppConfig(), path, (KEY,), Clock(), CollectorRegistry())
    server = CollectorServer(collector, ServerConfig(port=0))
    host, port = server.bind()
    with pytest.raises(LogUnusable):
        server.run(handle_signals=False)
    assert server.started.is_set()
    bound_socket(host, port).close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert_path, key_path = self_signed(folder)
    key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    (folder / "locked.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    return cert_path, key_path


def test_https(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    with running(server_config=ServerConfig(port=0, tls_cert=cert, tls_key=key)) as own:
        context = ssl.create_default_context(cafile=str(cert))
        secure = context.wrap_socket(own.raw(), server_hostname="localhost")
        assert secure.version() in ("TLSv1.2", "TLSv1.3")
        connection = http.client.HTTPSConnection("localhost", own.port, context=context)
        connection.sock = secure
        connection.request("POST", "/api/v1/sessions", dumps(start()))
        answer = answer_of(connection.getresponse())
        assert answer.status == 201
        assert answer.headers["location"].startswith("/api/v1/sessions/")
        connection.request("POST", answer.headers["location"] + "/events", dumps(event()))
        assert answer_of(connection.getresponse()).status == 204
        connection.close()
        plain = own.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert not received(plain).startswith(b"HTTP")


def test_a_certificate_that_cannot_be_used_is_one_line(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    cert, key = certificate
    check_certificate(cert, key)
    other = tmp_path / "other.pem"
    other.write_text("no certificate")
    missing = tmp_path / "missing.pem"
    locked = key.with_name("locked.pem")
    for pair in ((other, key), (cert, other), (missing, key), (cert, missing), (cert, locked)):
        with pytest.raises(CertificateError) as caught:
            check_certificate(*pair)
        line = str(caught.value)
        assert all(str(path) in line for path in pair)
        assert "\n" not in line
        assert "; " in line


def test_a_port_in_use_is_one_line() -> None:
    with running() as own, pytest.raises(ListenError) as caught:
        bound_socket(own.host, own.port)
    assert str(caught.value) == (
        f"cannot listen on {own.host}:{own.port}: the port is in use; "
        "stop the other program, or listen on another port"
    )


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_one_line(host: str) -> None:
    with pytest.raises(ListenError) as caught:
        bound_socket(host, 0)
    assert str(caught.value).startswith(f"cannot listen on {host}:0: ")


def test_ipv6() -> None:
    made = bound_socket("::1", 0)
    assert made.family == socket.AF_INET6
    made.close()


PROGRAM = """
import sys, time
from pathlib import Path
from prometheus_client import CollectorRegistry
from ingest.app import AppConfig
from ingest.collector import embedded_collector
from ingest.server import CollectorServer, ServerConfig
clock = lambda: time.time_ns() // 1_000_000
log = Path(sys.argv[1])
collector = embedded_collector(AppConfig(), log, (b"k" * 32,), clock, CollectorRegistry())
server = CollectorServer(collector, ServerConfig(port=0))
print(server.bind()[1], flush=True)
server.run(handle_signals=True)
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_drain_and_all_that_got_2xx_is_in_the_log(
    tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "log.db"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection.request("POST", "/api/v1/sessions", dumps(start()))
    location = answer_of(connection.getresponse()).headers["location"]
    accepted = 1
    body = dumps(event())
    request = head(f"{location}/events", f"content-length: {len(body)}") + body
    sock = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
    sock.sendall(request * 200)
    process.send_signal(number)
    accepted += received(sock).count(b"HTTP/1.1 204 No Content\r\n")
    sock.close()
    connection.close()
    output = process.stdout.read()
    assert process.wait(TIMEOUT_S) == 0
    process.stdout.close()
    assert output.splitlines()[-1] == "ended"
    assert count_records(path) >= accepted


def test_connections_never_use_up_the_open_files(tmp_path: Path) -> None:
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (220, 230)){PROGRAM}"
    process = subprocess.Popen(
        [sys.executable, "-c", limited, str(tmp_path / "log.db")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    address = ("127.0.0.1", port)
    body = dumps(start())
    request = head("/api/v1/sessions", f"content-length: {len(body)}") + body
    with ExitStack() as stack:
        opened = [
            stack.enter_context(socket.create_connection(address, timeout=TIMEOUT_S))
            for _ in range(60)
        ]
        for sock in opened[:30]:
            sock.sendall(request)
            assert read_response(sock).status == 201
        assert {read_response(sock).status for sock in opened[30:]} == {503}
    process.terminate()
    assert process.wait(TIMEOUT_S) == 0
    process.stdout.close()


def count_records(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM log_records").fetchone()
    assert isinstance(count, int)
    return count
