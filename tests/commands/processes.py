"""The real program in a process of its own, for tests.

`python -m bookended` in a given directory, with no setting of the tester's own environment.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE_S: Final = 30
"""How long a process may take for anything before a test gives up on it."""


def environment(**settings: str) -> dict[str, str]:
    """The tester's environment without settings of bookended, and with these."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("BOOKENDED_")}
    return kept | {"PYTHONPATH": str(ROOT), "COLUMNS": "80", "TERM": "dumb"} | settings


def arguments(*args: str) -> list[str]:
    return [sys.executable, "-m", "bookended", *args]


class Cli:
    """Runs the program to its end, in its own directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(
        self, *args: str, before: Sequence[str] = (), **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """`before`: words to put in front of the command line (`tests.commands.confined`)."""
        return subprocess.run(
            [*before, *arguments(*args)],
            cwd=self.directory,
            env=environment(**settings),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )


class Server:
    """A running `run`, `collect` or `process`; its log lines as they come."""

    def __init__(self, directory: Path, args: tuple[str, ...], settings: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            arguments(*args),
            cwd=directory,
            env=environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        assert self.process.stdout is not None
        self.lines: list[str] = []
        self._coming: Queue[str | None] = Queue()
        self._reader = Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._coming.put(line.rstrip("\n"))
        self._coming.put(None)

    def wait_for(self, event: str) -> dict[str, Any]:
        """The next log line of this name, as it was written."""
        while True:
            try:
                line = self._coming.get(timeout=PATIENCE_S)
            except Empty:
                raise AssertionError(f"no {event!r} in time; log: {self.lines}") from None
            assert line is not None, f"ended without {event!r}; log: {self.lines}"
            self.lines.append(line)
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry.get("event") == event:
                    return dict(entry)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends the signal; the exit code, once all output has been read."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        while (line := self._coming.get(timeout=PATIENCE_S)) is not None:
            self.lines.append(line)
        return code

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
