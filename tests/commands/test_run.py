"""`run`, `collect` and `process` as processes: start, serve, end, and what stands in their way."""

import contextlib
import json
import os
import pty
import re
import resource
import signal
import socket
import sqlite3
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from commands.results import arrived, rows, viewing
from tests.certificates import self_signed
from tests.commands.http import Answer, event, request, start
from tests.commands.processes import PATIENCE_S, Cli, Server, arguments, environment

Serve = Callable[..., Server]
TS = 1_760_000_000_000


def url_of(server: Server) -> str:
    """Where it listens, once it does."""
    listening = server.wait_for("collector_listening")
    scheme = "https" if listening["tls"] else "http"
    return f"{scheme}://{listening['host']}:{listening['port']}"


def play(url: str, pings: int = 3) -> str:
    """A session of `pings` + 3 events; its id."""
    opened = request(f"{url}/api/v1/sessions", start(TS))
    assert opened.status == 201
    bodies = [event("play", TS, 0)]
    bodies += [event("ping", TS + 10_000 * n, 10 * n) for n in range(1, pings + 1)]
    bodies += [event("sessionEnd", TS + 10_000 * (pings + 1), 10 * (pings + 1))]
    for body in bodies:
        assert request(f"{url}{opened.location}/events", body).status == 204
    return opened.location.rsplit("/", 1)[-1]


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)


def wait_for_rows(database: Path, events: list[int]) -> None:
    """Until there are so many sessions, with so many events in each."""
    wait_until(lambda: [*arrived(database).values()] == events, f"rows of {events} events")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_the_last_checkpoint_has_all(
    serve: Serve, tmp_path: Path, number: signal.Signals
) -> None:
    server = serve("run", "--listen", "127.0.0.1:0", "--checkpoint-interval", "1m")
    url = url_of(server)
    session_id = play(url)
    assert server.stop(number) == 0
    assert arrived(tmp_path / "bookended-data" / "analytics.db") == {session_id: 6}
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 1)


def test_log_lines_are_json_one_a_change_of_state_and_none_an_event(serve: Serve) -> None:
    server = serve("run", "--listen", "127.0.0.1:0")
    url = url_of(server)
    for _ in range(3):
        play(url)
    assert server.stop() == 0
    events = [json.loads(line)["event"] for line in server.lines]
    assert len(events) == len(set(events))
    assert events[-1] == "stopped"
    assert {"collector_listening", "processor_running", "collector_draining"} <= set(events)


def test_rows_come_while_it_runs_and_a_restart_goes_on(serve: Serve, tmp_path: Path) -> None:
    database = tmp_path / "bookended-data" / "analytics.db"
    for sessions in (1, 2):
        server = serve("run", "--listen", "127.0.0.1:0")
        url = url_of(server)
        play(url)
        wait_for_rows(database, [6] * sessions)
        assert request(f"{url}/readyz").status == 200
        metrics = request(f"{url}/metrics").body
        assert b"bookended_collector_events_accepted_total" in metrics
        assert b"bookended_processor_lag_records" in metrics
        assert server.stop() == 0


def test_two_processes_over_the_same_files(serve: Serve, tmp_path: Path) -> None:
    """The processor may be started first, and shows metrics of its own."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        metrics = f"127.0.0.1:{free.getsockname()[1]}"
    processor = serve("process", "--metrics-listen", metrics)
    processor.wait_for("processor_running")
    collector = serve("collect", "--listen", "127.0.0.1:0")
    url = url_of(collector)
    session_id = play(url)
    database = tmp_path / "bookended-data" / "analytics.db"
    wait_until(lambda: arrived(database) == {session_id: 6}, "rows")
    assert b"bookended_processor_events_total 6.0" in request(f"http://{metrics}/metrics").body
    late = event("ping", TS + 999_000, 999)
    closed = f"{url}/api/v1/sessions/{session_id}/events"
    wait_until(lambda: request(closed, late).status == 410, "the close told to the collector")
    assert (processor.stop(), collector.stop(signal.SIGINT)) == (0, 0)
    assert json.loads(processor.lines[-1])["event"] == "stopped"


def test_a_processor_of_newer_rules_stands_by(serve: Serve, cli: Cli, tmp_path: Path) -> None:
    """Not ready, and it says what to run; which helps."""
    assert cli("demo", "--data", "bookended-data").returncode == 0
    database = tmp_path / "bookended-data" / "analytics.db"
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("UPDATE projections SET fold_version = fold_version - 1")
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        metrics = f"127.0.0.1:{free.getsockname()[1]}"
    processor = serve("process", "--metrics-listen", metrics)
    processor.wait_for("processor_standing_by")
    answer = request(f"http://{metrics}/readyz")
    assert answer.status == 503
    said = json.loads(answer.body)["message"]
    assert "standing_by: projection 1 is made by rules of version" in said
    assert "run `bookended rebuild`" in said
    assert "Projection 2 holds all sessions" in cli("rebuild").stdout
    assert cli("promote", "2").returncode == 0
    processor.wait_for("processor_running")
    assert request(f"http://{metrics}/readyz").status == 200
    assert processor.stop() == 0


def test_a_second_one_on_the_same_directory_is_refused(serve: Serve, cli: Cli) -> None:
    server = serve("run", "--listen", "127.0.0.1:0")
    url_of(server)
    for command, role in (("run", "collector"), ("collect", "collector"), ("process", "processor")):
        done = cli(command)
        assert done.returncode == 1
        assert f"another {role} (process {server.process.pid}) is already at work" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert cli("check").returncode == 0, "looking is no writing"
    assert server.stop() == 0


def test_a_port_in_use(cli: Cli) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for command in ("run", "collect"):
            done = cli(command, "--listen", address)
            assert done.returncode == 1
            assert done.stderr == (
                f"bookended: cannot listen on {address}: the port is in use. "
                "Stop the other program, or listen on another port.\n"
            )
        done = cli("process", "--metrics-listen", address)
        assert done.returncode == 1
        assert f"cannot serve health and metrics on {address}" in done.stderr


def test_https_with_a_certificate(serve: Serve, cli: Cli, tmp_path: Path) -> None:
    cert, key = self_signed(tmp_path)
    server = serve(
        "run", "--listen", "127.0.0.1:0", BOOKENDED_TLS_CERT=str(cert), BOOKENDED_TLS_KEY=str(key)
    )
    url = url_of(server)
    assert url.startswith("https://")
    context = ssl.create_default_context(cafile=str(cert))
    opened = request(f"{url}/api/v1/sessions", start(TS), context=context)
    assert (opened.status, opened.location[:17]) == (201, "/api/v1/sessions/")
    refused = cli("simulate", "--url", url, "--sessions", "1")
    assert refused.returncode == 1
    assert "certificate" in refused.stderr
    done = cli("simulate", "--url", url, "--sessions", "1", "--insecure", "--speed", "9999")
    assert done.returncode == 0
    assert server.stop() == 0


def test_a_key_that_is_not_the_certificates(cli: Cli, tmp_path: Path) -> None:
    cert, _ = self_signed(tmp_path)
    (tmp_path / "other").mkdir()
    _, key = self_signed(tmp_path / "other")
    done = cli("run", "--tls-cert", str(cert), "--tls-key", str(key))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"bookended: --tls-key {key}: {cert} with key {key}: the two are no")


def test_settings_reach_the_collector(serve: Serve) -> None:
    server = serve(
        "run", "--listen", "127.0.0.1:0", "--path-prefix", "/collect", BOOKENDED_PROFILE="strict"
    )
    url = url_of(server)
    refused = request(f"{url}/collect/api/v1/sessions", start(TS))
    assert refused.status == 400
    assert b"analytics.trackingServer" in refused.body
    assert server.stop() == 0


def test_a_projection_keeps_the_rules_it_was_made_with(serve: Serve, tmp_path: Path) -> None:
    ad = {"media.ad.id": "a", "media.ad.length": 15, "media.ad.podPosition": 1}
    unclosed = [
        event("adBreakStart", TS, 0, params={"media.ad.podIndex": 1, "media.ad.podSecond": 0}),
        event("adStart", TS, 0, params=ad),
        event("sessionEnd", TS + 15_000, 0),
    ]
    for rules in (("--unclosed-break", "ad"), ()):
        server = serve("run", "--listen", "127.0.0.1:0", *rules)
        url = url_of(server)
        opened = request(f"{url}/api/v1/sessions", start(TS))
        for body in unclosed:
            assert request(f"{url}{opened.location}/events", body).status == 204
        assert server.stop() == 0
        told = [json.loads(line)["event"] for line in server.lines]
        assert ("policy_not_used" in told) == (rules == ())
    with viewing(tmp_path / "bookended-data" / "analytics.db") as connection:
        times = rows(connection, "SELECT ad_ms, content_ms FROM sessions")
    assert times == [{"ad_ms": 15_000, "content_ms": 0}] * 2


def disk_limit(server: Server, size_bytes: int) -> None:
    """No file of the process may grow beyond this: for SQLite a disk that has no space left."""
    limits = (size_bytes, resource.RLIM_INFINITY)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_fills_up_while_it_runs(serve: Serve, tmp_path: Path) -> None:
    """503 while it is full, nothing acknowledged is lost, and it goes on by itself."""
    server = serve("run", "--listen", "127.0.0.1:0")
    url = url_of(server)
    session_id = play(url)
    database = tmp_path / "bookended-data" / "analytics.db"
    wait_until(lambda: arrived(database) == {session_id: 6}, "rows")
    disk_limit(server, 4_096)
    full: Answer = request(f"{url}/api/v1/sessions", start(TS))
    assert full.status == 503
    wait_until(lambda: request(f"{url}/readyz").status == 503, "not ready")
    disk_limit(server, resource.RLIM_INFINITY)
    wait_until(lambda: request(f"{url}/readyz").status == 200, "ready")
    second = play(url)
    wait_until(lambda: arrived(database) == {session_id: 6, second: 6}, "rows")
    assert server.stop() == 0


def test_a_terminal_gets_a_banner(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        arguments("run", "--listen", "127.0.0.1:0", "--path-prefix", "/in"),
        cwd=tmp_path,
        env=environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while b"collector_listening" not in shown:
            shown += os.read(ours, 4_096)
        named = re.findall(r"http://[^\s,]+", shown.decode())
        found = {urlsplit(url).path: request(url).status for url in named}
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        os.close(ours)
    assert found.keys() == {"/in/api/v1/sessions", "/explore", "/readyz", "/metrics", "/in"}
    del found["/in"]  # simulate adds the rest
    assert 404 not in found.values()
    for part in (b"bookended-data", b"simulate --url http://", b"Ctrl-C"):
        assert part in shown
    assert b'{"' not in shown, "text, not JSON"
