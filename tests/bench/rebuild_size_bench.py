"""Rebuild of larger archives by the command: two processes beside one, and memory beside length.

Times are of the clock, from the start of the program to its end. What the machine itself gives for
two processes is told by two programs that share nothing, each with one half and a database of its
own: no rebuild by two can be expected to reach more. Memory is the largest that any
of its processes had, looked at ten times a second. SQLite takes the rows.
"""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from tests.bench.archives import TOPIC, write_large_archive
from tests.bench.figures import Effort, Figure, alternate, at_least, at_most, ratios

PARTITIONS: Final = 2
_SESSIONS: Final = 1_000
_LOOKED_EVERY_S: Final = 0.1


class Run(NamedTuple):
    """One rebuild: how long it took, and the memory of its largest process."""

    seconds: float
    memory_mb: float


def bench(effort: Effort) -> list[Figure]:
    sessions = effort.size(_SESSIONS, 20)
    with tempfile.TemporaryDirectory() as folder:
        effort.tell("writing an archive")
        short = Path(folder) / "short"
        # So long that the second in which workers start is a small part of it.
        count = write_large_archive(short, PARTITIONS, sessions, effort.size(12, 1))
        one: list[Run] = []
        two: list[Run] = []
        seconds = alternate(
            effort,
            {
                "one process": lambda: _timed(short, 1, one),
                "two": lambda: _timed(short, 2, two),
                "apart": lambda: _apart(short),
            },
        )
        effort.tell("writing an archive of ten million events")
        long = Path(folder) / "long"
        many = write_large_archive(long, PARTITIONS, sessions, effort.size(24, 3))
        effort.tell("rebuilding it")
        whole = _rebuild(long, 1)
    short_mb = [run.memory_mb for run in one]
    return [
        Figure("rebuild, one process", "events/s", [count / run.seconds for run in one]),
        Figure("rebuild, two processes", "events/s", [count / run.seconds for run in two]),
        Figure(
            "two processes to one",
            "",
            ratios(seconds["one process"], seconds["two"]),
            at_least(1.7),
        ),
        Figure("two programs apart to one", "", ratios(seconds["one process"], seconds["apart"])),
        Figure("events of the long archive", "", [many]),
        Figure("rebuild of the long archive, one process", "events/s", [many / whole.seconds]),
        Figure("memory, long archive", "MB", [whole.memory_mb], at_most(300)),
        Figure("memory, long archive to short", "", [whole.memory_mb / mb for mb in short_mb]),
    ]


def _timed(archive: Path, jobs: int, runs: list[Run]) -> float:
    runs.append(_rebuild(archive, jobs))
    return runs[-1].seconds


def _apart(archive: Path) -> float:
    """Both begin as soon as their databases are made, which takes them about as long."""
    halves = []
    for number in range(PARTITIONS):
        half = archive.with_name(f"half-{number}")
        (half / TOPIC).mkdir(parents=True, exist_ok=True)
        partition = half / TOPIC / str(number)
        if not partition.exists():
            partition.symlink_to(archive / TOPIC / str(number))
        halves.append(half)
    with ThreadPoolExecutor(PARTITIONS) as pool:
        return max(run.seconds for run in pool.map(_rebuild, halves, [1] * PARTITIONS))


def _rebuild(archive: Path, jobs: int) -> Run:
    with tempfile.TemporaryDirectory() as place:
        bookended = (sys.executable, "-m", "bookended")
        subprocess.run([*bookended, "migrate", "--data", place], check=True, capture_output=True)
        options = ("--archive", str(archive), "--archive-only", "--jobs", str(jobs))
        begin = time.perf_counter()
        with subprocess.Popen(
            [*bookended, "rebuild", "--data", place, *options],
            env={**os.environ, "BOOKENDED_LOG_LEVEL": "error"},
            stdout=subprocess.DEVNULL,
        ) as process:
            memory_bytes = 0
            while process.poll() is None:
                memory_bytes = max(memory_bytes, _largest_process(process.pid))
                time.sleep(_LOOKED_EVERY_S)
        assert process.returncode == 0, process.returncode
        return Run(time.perf_counter() - begin, memory_bytes / 1e6)


def _largest_process(pid: int) -> int:
    try:
        whole = psutil.Process(pid)
        processes = [whole, *whole.children(recursive=True)]
        return max(process.memory_info().rss for process in processes)
    except psutil.NoSuchProcess:
        return 0
