"""deploy/probe.py: what health checks in the image ask, against the real program."""

import socket
import subprocess
import sys
from pathlib import Path

from deploy import probe
from tests.commands.processes import Server
from tests.commands.test_http_to_sql import listening
from tests.documents import ROOT


def asked(path: str, port: int, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "deploy" / "probe.py", path, str(port)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_says_how_the_collector_is(tmp_path: Path) -> None:
    server = Server(tmp_path, ("run", "--listen", "127.0.0.1:0"), {})
    try:
        port = int(listening(server).rpartition(":")[2])
        server.wait_for("collector_ready")
        done = asked("/readyz", port, http_proxy="http://127.0.0.1:1")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"GET /readyz on port {port}: 200")
        done = asked("/nothing", port)
        assert done.returncode == 1
        assert f"GET /nothing on port {port}: 404" in done.stdout
    finally:
        server.stop()
        server.end()


def test_nobody_there_is_not_healthy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = asked("/healthz", taken.getsockname()[1])
    assert done.returncode == 1
    assert "Connection refused" in done.stdout
    assert done.stderr == ""


def test_an_answer_that_is_not_http_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        process = subprocess.Popen(
            [sys.executable, probe.__file__, "/healthz", str(server.getsockname()[1])],
            stdout=subprocess.PIPE,
            text=True,
        )
        connection, _ = server.accept()
        with connection:
            connection.recv(1_000)
            connection.sendall(b"no\r\n\r\n")
        out, _ = process.communicate(timeout=10)
    assert process.returncode == 1
    assert out.startswith("GET /healthz")
