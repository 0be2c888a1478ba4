"""Runs the program's commands in processes that SIGKILL ends at random moments. Only for tests.

A command runs in a fork of a process that has imported all of it: what is killed is the real work,
and not the half second in which Python starts. Its whole process group is killed, workers too.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Final

import pytest

KILLS: Final = 20
"""Of each command, at least."""
RUNS_MAX: Final = 200
PATIENCE_S: Final = 60.0
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [f"commands.{name}" for name in ("archive", "forget", "projections", "promote", "rebuild")]
)


def _run(directory: Path, arguments: tuple[str, ...], connection: Connection) -> None:
    from bookended import main  # noqa: PLC0415 - the tests' own process needs no command

    os.setsid()
    os.chdir(directory)
    sys.argv = ["bookended", *arguments]
    said = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    connection.send("begins")
    main()


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
        code = self._end(arguments, before_s)
        if code == -signal.SIGKILL:
            self.kills += 1
            return False
        assert code == 0 or already in self._said(), self._said()
        self._whole_s = self._last_s
        return True

    def measure(self, *arguments: str) -> None:
        """Undisturbed. How long that takes is what kills are spread over."""
        self.to_its_end(*arguments)
        self._whole_s = self._last_s

    def to_its_end(self, *arguments: str) -> str:
        """Undisturbed; what it said."""
        assert self._end(arguments, PATIENCE_S) == 0, self._said()
        return self._said()

    def _said(self) -> str:
        return (self._directory / "said.txt").read_text()

    def _end(self, arguments: tuple[str, ...], before_s: float) -> int:
        ours, theirs = _context.Pipe()
        process = _context.Process(target=_run, args=(self._directory, arguments, theirs))
        process.start()
        theirs.close()
        with ours:
            assert ours.recv() == "begins"
            began_s = time.monotonic()
            process.join(before_s)
            self._last_s = time.monotonic() - began_s
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid or 0, signal.SIGKILL)
            process.join(PATIENCE_S)
        code = process.exitcode
        process.close()
        assert code is not None
        return code


def until_killed(killer: Killer, turn: Callable[[], object]) -> None:
    """Takes turns until there were kills enough."""
    for _ in range(RUNS_MAX):
        turn()
        if killer.kills >= KILLS:
            return
    pytest.fail(f"only {killer.kills} kills in {RUNS_MAX} turns")
