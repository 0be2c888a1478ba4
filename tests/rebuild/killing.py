"""Runs the program's commands in processes that SIGKILL ends at random moments. Only for tests.

A command runs in a fork of a process that has imported all of it: what is killed is the real work,
and not the half second in which Python starts. Its whole process group is killed, workers too.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Final

import psutil
import pytest

from processor.database import open_database
from tests.commands.processes import PATIENCE_S, WARM, environment
from tests.commands.warm import WarmProgram

Rows = list[tuple[object, ...]]
KILLS: Final = 20
"""Of each command, at least."""
RUNS_MAX: Final = 200


class Killer:
    """Runs a command over and over, most times killed."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.kills = 0
        self._last_s = 0.0
        self._directory = directory
        self._random = Random(seed)
        self._whole_s = 0.3  # how long the command takes, as its last whole run says

    def run(self, *arguments: str, share: float = 1.0, already: str = "\0") -> bool:
        """Whether it came to its end before a kill within `share` of the time that it takes.
        `already`: what it says if it was killed only after all was done."""
        before_s = self._random.uniform(0, share) * self._whole_s
        code = self._end(arguments, lambda process: _wait(process, before_s))
        if code == -signal.SIGKILL:
            self.kills += 1
            return False
        assert code == 0 or already in self._said(), self._said()
        self._whole_s = self._last_s
        return True

    def kill_once(self, is_time: Callable[[], bool], *arguments: str) -> bool:
        """Kills it as soon as it `is_time`; False if it came to its end before that."""

        def wait(process: WarmProgram) -> None:
            deadline = time.monotonic() + PATIENCE_S
            while process.poll() is None and not is_time():
                assert time.monotonic() < deadline
                time.sleep(0.005)

        code = self._end(arguments, wait)
        assert code in (0, -signal.SIGKILL), self._said()
        return code != 0

    def measure(self, *arguments: str) -> None:
        """Undisturbed. How long that takes is what kills are spread over."""
        self.to_its_end(*arguments)
        self._whole_s = self._last_s

    def to_its_end(self, *arguments: str) -> str:
        """Undisturbed; what it said."""
        code = self._end(arguments, lambda process: _wait(process, PATIENCE_S))
        assert code == 0, self._said()
        return self._said()

    def _said(self) -> str:
        return (self._directory / "said.txt").read_text()

    def _end(self, arguments: tuple[str, ...], wait: Callable[[WarmProgram], None]) -> int:
        """Waits, then kills what is left of it."""
        said = self._directory / "said.txt"
        with said.open("wb") as stream:
            streams = stream.fileno(), stream.fileno()
            process = WARM.start(arguments, self._directory, environment(), *streams)
        began_s = time.monotonic()
        wait(process)
        self._last_s = time.monotonic() - began_s
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait(PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while _is_one_left(process.pid):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return code


def _wait(process: WarmProgram, before_s: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(before_s)


def _is_one_left(group: int) -> bool:
    """A worker that waits for the disk outlives its killed parent, and so do its locks."""
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


@contextmanager
def readers(database: Path, query: str) -> Iterator[list[Rows]]:
    """A reader in a loop, with a snapshot of its own each time; what it saw, repeats left out."""
    seen: list[Rows] = []
    stop = threading.Event()

    def read() -> None:
        engine = open_database(f"sqlite:///{database}", read_only=True)
        while not stop.is_set():
            with engine.connect() as connection:
                rows = [tuple(row) for row in connection.exec_driver_sql(query)]
            if rows not in seen:
                seen.append(rows)
        engine.dispose()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def until_killed(killer: Killer, turn: Callable[[], object]) -> None:
    """Takes turns until there were kills enough."""
    for _ in range(RUNS_MAX):
        turn()
        if killer.kills >= KILLS:
            return
    pytest.fail(f"only {killer.kills} kills in {RUNS_MAX} turns")
