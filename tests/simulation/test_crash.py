"""The embedded `run`, killed again and again under traffic: nothing lost, nothing doubled.

Real processes, real HTTP, real files. The moments are drawn from a seed; some fall into the start.
"""

import json
import signal
import socket
import subprocess
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from models.records import Event, playhead_to_ms
from tests.commands.processes import PATIENCE_S, Server, arguments, environment
from tests.simulation.log_and_rows import (
    Identity,
    clean_fold,
    identity,
    last_tick,
    log_records,
    logged_events,
    views,
)

KILLS = 22
SEED = 20_261_123


class Report(NamedTuple):
    """What the players saw: acknowledged events, and requests whose fate they do not know."""

    acknowledged: Counter[Identity]
    unanswered: int
    accepted: int


def free_port(rng: Random) -> int:
    """A port that no client of this machine is given by chance while the server is down."""
    for _ in range(100):
        port = rng.randrange(20_000, 30_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no free port")


class Players:
    """`simulate` in a process of its own, until it is told to stop."""

    def __init__(self, directory: Path, url: str) -> None:
        self._truth = directory / "truth.jsonl"
        many = ("--sessions", "100000", "--rate", "150", "--speed", "100", "--duration", "5m")
        spoilt = ("--faults", "all", "--seed", str(SEED))
        told = ("--truth", str(self._truth), "--json")
        self._process = subprocess.Popen(
            arguments("simulate", "--url", url, *many, *spoilt, *told),
            cwd=directory,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def wait_until_playing(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not (self._truth.exists() and self._truth.stat().st_size):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self) -> Report:
        self._process.send_signal(signal.SIGINT)
        stdout, _ = self._process.communicate(timeout=PATIENCE_S)
        report: dict[str, Any] = json.loads(stdout)
        acknowledged: Counter[Identity] = Counter()
        for line in self._truth.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            events = (event_of(body) for body in entry["events"])
            acknowledged.update(identity(entry["session_id"], event) for event in events)
        answers = report["answers"]
        return Report(acknowledged, answers.get("0", 0), report["events"]["accepted"])

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()


def event_of(body: dict[str, Any]) -> Event:
    """A body as the collector makes an event of it: empty objects count as absent."""
    player_time = body["playerTime"]
    return Event(
        type=body["eventType"],
        ts=player_time["ts"],
        playhead_ms=playhead_to_ms(player_time["playhead"]),
        params=body.get("params") or None,
        qoe=body.get("qoeData") or None,
        custom=body.get("customMetadata") or None,
    )


def run(directory: Path, port: int) -> Server:
    args = ("run", "--listen", f"127.0.0.1:{port}", "--checkpoint-interval", "200ms")
    return Server(directory, args, {})


def kill_again_and_again(directory: Path, port: int, rng: Random) -> tuple[Report, int]:
    """22 kills at random moments, then a clean end. How many fell into a start besides."""
    server = run(directory, port)
    server.wait_for("collector_listening")
    players = Players(directory, f"http://127.0.0.1:{port}")
    in_starts = 0
    try:
        players.wait_until_playing()
        for number in range(KILLS):
            if number % 3 == 2:
                in_starts += 1
                time.sleep(rng.uniform(0.2, 1.2))
            else:
                if number:
                    server.wait_for("collector_listening")
                time.sleep(rng.uniform(0.2, 1.3))
            server.stop(signal.SIGKILL)
            server.end()
            server = run(directory, port)
        server.wait_for("processor_running")
        time.sleep(1.0)
        report = players.stop()
        assert server.stop() == 0
    finally:
        players.end()
        server.end()
    return report, in_starts


def test_killed_at_random_moments_it_loses_and_doubles_nothing(tmp_path: Path) -> None:
    rng = Random(SEED)
    report, in_starts = kill_again_and_again(tmp_path, free_port(rng), rng)
    assert KILLS - in_starts >= 10
    assert report.unanswered > 0, "the kills did hit requests"
    assert report.accepted == report.acknowledged.total() > 300

    log = log_records(tmp_path / "bookended-data" / "log.db")
    logged = logged_events(log)
    assert report.acknowledged - logged == Counter(), "acknowledged, but not in the log"
    # What is in the log besides are events of requests that were killed before their answer.
    assert (logged - report.acknowledged).total() <= report.unanswered

    database = f"sqlite:///{tmp_path}/bookended-data/analytics.db"
    tick_at = last_tick(database)
    found, expected = views(database), clean_fold(log, tick_at)
    assert set(found) >= set(expected)
    for name, rows in expected.items():
        assert found[name] == rows, f"{name} differs from a clean fold of the log"
    assert all(found[name] for name in ("sessions", "ads", "ad_breaks", "chapters", "findings"))
