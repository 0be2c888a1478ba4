"""What both servers have in common: found again by another object, ended for certain, one a place.

PostgreSQL stands for both: it starts in a moment.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local.kafka import LocalKafka
from deploy.local.ports import HOST, PortTaken, free_port, is_free
from deploy.local.postgres import LocalPostgres
from deploy.local.process import end, environment, find, is_alive, kill, last_lines, spawn, told
from deploy.local.server import AlreadyRunning, AlreadyStarting, NeverStarted
from tests.local.clients import execute

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""


PARENT = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def listening() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as other:
        yield other.getsockname()[1]


def test_another_object_finds_and_stops_it(local_postgres: LocalPostgres) -> None:
    other = LocalPostgres(local_postgres.directory)
    assert other.url == local_postgres.url
    assert other.answers()
    other.stop()
    assert local_postgres.process() is None


def test_a_directory_has_one_server(local_postgres: LocalPostgres) -> None:
    with pytest.raises(AlreadyRunning, match=str(local_postgres.directory)):
        LocalPostgres(local_postgres.directory).start()
    assert execute(local_postgres.url, "SELECT 1") == [(1,)]


def test_two_do_not_start_in_one_directory_at_once(tmp_path: Path) -> None:
    first, second = LocalPostgres(tmp_path), LocalPostgres(tmp_path)
    with first._sole_starter(), pytest.raises(AlreadyStarting, match=str(tmp_path)):
        second.start()


def test_the_number_of_another_process_is_not_taken_for_the_server(tmp_path: Path) -> None:
    server = LocalPostgres(tmp_path)
    server._state.write_text(json.dumps({"pid": os.getpid(), "ports": [free_port()]}))
    assert server.process() is None
    server.kill()
    server.stop()
    assert server._known().pid == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "ports": 3}'])
def test_a_state_file_that_was_cut_off_is_none(tmp_path: Path, text: str) -> None:
    server = LocalPostgres(tmp_path)
    server._state.write_text(text)
    assert server.process() is None
    with pytest.raises(NeverStarted, match=str(tmp_path)):
        _ = server.url


def test_a_start_that_is_broken_off_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: LocalPostgres) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalPostgres, "answers", interrupted)
    server = LocalPostgres(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        server.start()
    named = [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(p.info)]
    assert named == []


def test_a_port_that_is_asked_for_must_be_free(tmp_path: Path) -> None:
    with listening() as port, pytest.raises(PortTaken, match=str(port)):
        LocalPostgres(tmp_path, port=port).start()


def test_a_port_of_last_time_that_is_taken_is_changed(tmp_path: Path) -> None:
    with listening() as port:
        server = LocalKafka(tmp_path)
        server._state.write_text(json.dumps({"pid": 0, "ports": [port, port]}))
        chosen = server._choose_ports()
        assert port not in chosen
        assert len(set(chosen)) == 2


def test_an_object_keeps_its_port_or_says_that_it_cannot(local_postgres: LocalPostgres) -> None:
    local_postgres.stop()
    with socket.create_server((HOST, local_postgres.ports[0])), pytest.raises(PortTaken):
        local_postgres.start()


def test_what_remains_of_closed_connections_does_not_take_a_port() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((HOST, port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # the server's side ends first, and the system remembers it
            assert client.recv(1) == b""
        assert not is_free(port)
    assert is_free(port)


def test_a_process_that_does_not_listen_is_killed_in_the_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = spawn([sys.executable, "-c", DEAF, str(tmp_path)], tmp_path, log, {})
    while last_lines(log, 0) != ["deaf"]:
        assert is_alive(process)
    assert find(process.pid, tmp_path) == process
    end(process, [(signal.SIGTERM, 0.3)])
    assert find(process.pid, tmp_path) is None
    assert not psutil.pid_exists(process.pid)


def test_a_kill_ends_the_whole_family_before_it_returns(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = spawn([sys.executable, "-c", PARENT], tmp_path, log, {})
    while not (said := last_lines(log, 0)):
        assert is_alive(process)
    child = psutil.Process(int(said[0]))
    kill(process)
    assert not psutil.pid_exists(process.pid)
    assert not is_alive(child)


def test_a_server_outlives_its_starter_and_ctrl_c(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from deploy.local.postgres import LocalPostgres\n"
        "LocalPostgres(Path(sys.argv[1])).start()"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    server = LocalPostgres(tmp_path)
    process = server.process()
    try:
        assert server.answers()
        assert process is not None
        assert os.getpgid(process.pid) != os.getpgid(0)
    finally:
        server.stop()


def test_what_a_server_said_is_told_in_one_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"ERROR of the last time\n")
    since = log.stat().st_size
    with log.open("ab") as more:
        more.write(b"INFO x\n  FATAL: no  room\n\tat a.b.C(D.java:1)\nan.IOException: z\nbye\n")
    assert told(last_lines(log, since)) == "FATAL: no room | an.IOException: z"
    assert told(["a", "", "b"]) == "a | b"
    assert told([]) == "nothing"
    assert len(told(["x" * 10_000])) < 300


def test_settings_of_other_servers_do_not_get_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGDATA", "PGPORT", "KAFKA_HEAP_OPTS", "JAVA_TOOL_OPTIONS", "CLASSPATH"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("KEPT", "x")
    found = environment(ADDED="y")
    assert found.keys() & {"PGDATA", "PGPORT", "KAFKA_HEAP_OPTS", "JAVA_TOOL_OPTIONS"} == set()
    assert "CLASSPATH" not in found
    assert (found["KEPT"], found["ADDED"]) == ("x", "y")
