"""`bookended demo --kafka`: the embedded demo's figures from real servers, gone afterwards."""

import importlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from commands.errors import Failure
from tests.commands.processes import arguments, environment
from tests.commands.test_demo import OF_A_SERVER, assert_exact

DONE_WITHIN_S = 240
PROCESSORS = ("processor-1", "processor-2")


def start(directory: Path, *args: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        arguments("demo", "--kafka", *args),
        cwd=directory,
        env=environment(TMPDIR=str(directory), **OF_A_SERVER),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_running(directory: Path) -> list[str]:
    """Processes that have to do with the directory."""
    found = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if str(directory) in command and process.pid != psutil.Process().pid:
            found.append(command)
    return found


def test_the_same_figures_as_embedded_and_nothing_is_left(tmp_path: Path) -> None:
    demo = start(tmp_path, "--json")
    out, errors = demo.communicate(timeout=DONE_WITHIN_S)
    assert demo.returncode == 0, errors
    assert errors.replace("\n", "") == ""
    report: dict[str, Any] = json.loads(out)
    assert_exact(report)
    owned = [report["ran"][name].partition("partitions ")[2] for name in PROCESSORS]
    assert "none" not in owned
    assert sorted(", ".join(owned).split(", ")) == ["0", "1", "2", "3"]
    assert report["data"] is None
    assert [path for path in tmp_path.iterdir() if path.name.startswith("bookended")] == []
    assert left_running(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_all_and_keeps_only_what_it_was_told_to(
    tmp_path: Path, number: signal.Signals
) -> None:
    demo = start(tmp_path, "--data", "kept")
    deadline = time.monotonic() + DONE_WITHIN_S
    log = tmp_path / "kept" / "processor-2.log"
    while not (log.exists() and "processor_running" in log.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline
        assert demo.poll() is None
        time.sleep(0.05)
    assert left_running(tmp_path)
    demo.send_signal(number)
    _, errors = demo.communicate(timeout=DONE_WITHIN_S)
    assert demo.returncode == 1
    assert "Aborted!" in errors
    assert "Traceback" not in errors
    assert left_running(tmp_path) == []
    assert '"processor_stopped"' in log.read_text(encoding="utf-8")
    for server in ("kafka", "postgres"):
        state = json.loads((tmp_path / "kept" / server / "server.json").read_text("utf-8"))
        assert state["pid"] == 0


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    for name in [n for n in sys.modules if n.startswith(("deploy", "commands.demo_kafka"))]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(Failure, match=r"demo --kafka needs the package psutil\. Install it: pip"):
        importlib.import_module("commands.demo_kafka")
