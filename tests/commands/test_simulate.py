"""`simulate` as a process: its report, its record of what was acknowledged, and its end."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from commands.results import arrived
from tests.commands.processes import PATIENCE_S, Cli, Server, arguments, environment

Serve = Callable[..., Server]
FAST = ("--speed", "5000", "--rate", "5000", "--connections", "8")


def listening(server: Server) -> str:
    entry = server.wait_for("collector_listening")
    return f"http://{entry['host']}:{entry['port']}"


def test_what_was_acknowledged_is_in_the_rows(serve: Serve, cli: Cli, tmp_path: Path) -> None:
    server = serve("run", "--listen", "127.0.0.1:0", "--checkpoint-interval", "1m")
    url = listening(server)
    faults = ("--faults", "missing-bookends,lost,doubled", "--seed", "5")
    done = cli(
        "simulate", "--url", url, "--sessions", "15", *FAST, *faults, "--truth", "t", "--json"
    )
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["sessions"] == {"done": 15, "opened": 15}
    assert report["events"]["sent"] == report["events"]["accepted"]
    assert set(report["faults"]) == {"missing-bookends", "lost", "doubled"}
    assert report["latency_ms"]["p50"] <= report["latency_ms"]["p99"]
    assert not report["cut_short"]
    truth: dict[str, int] = {}
    for line in (tmp_path / "t").read_text().splitlines():
        entry = json.loads(line)
        truth[entry["session_id"]] = truth.get(entry["session_id"], 0) + len(entry["events"])
    assert sum(truth.values()) == report["events"]["accepted"]
    assert server.stop() == 0
    assert arrived(tmp_path / "bookended-data" / "analytics.db") == truth


def test_a_report_for_people(serve: Serve, cli: Cli) -> None:
    server = serve("run", "--listen", "127.0.0.1:0")
    url = listening(server)
    done = cli("simulate", "--url", url, "--sessions", "3", *FAST)
    assert done.returncode == 0
    assert f"Playing 3 sessions against {url}" in done.stderr
    shown = " ".join(done.stdout.split())
    assert "sessions played 3 events sent" in shown
    assert "latency p50" in shown
    assert "answer requests" in shown
    assert server.stop() == 0


def test_no_server(cli: Cli) -> None:
    done = cli("simulate", "--url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "no server answers at http://127.0.0.1:9" in done.stderr
    assert "Start one with `bookended run`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_no_collector(serve: Serve, cli: Cli) -> None:
    server = serve("run", "--listen", "127.0.0.1:0")
    url = listening(server)
    done = cli("simulate", "--url", f"{url}/elsewhere", "--sessions", "2", *FAST)
    assert done.returncode == 1
    assert "elsewhere accepted nothing" in done.stderr
    assert server.stop() == 0


def test_ctrl_c_stops_early_and_still_reports(serve: Serve, tmp_path: Path) -> None:
    server = serve("run", "--listen", "127.0.0.1:0")
    url = listening(server)
    process = subprocess.Popen(
        arguments("simulate", "--url", url, "--speed", "1", "--truth", "t", "--json"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + PATIENCE_S
    while not (tmp_path / "t").exists() or not (tmp_path / "t").stat().st_size:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert json.loads(stdout)["cut_short"]
    assert "Traceback" not in stderr
    assert server.stop() == 0
