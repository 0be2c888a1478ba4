"""The real program in a process of its own, for tests.

`python -m bookended` in a given directory, with no setting of the tester's own environment.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any, Final

from tests.commands.warm import Warm, WarmProgram

ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE_S: Final = 120
"""How long a process may take for anything before a test gives up on it: a busy machine is slow."""
WARM: Final = Warm()
Program = WarmProgram | subprocess.Popen[bytes]


def environment(**settings: str) -> dict[str, str]:
    """The tester's environment without settings of bookended, and with these."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("BOOKENDED_")}
    return kept | {"PYTHONPATH": str(ROOT), "COLUMNS": "80", "TERM": "dumb"} | settings


def arguments(*args: str) -> list[str]:
    return [sys.executable, "-m", "bookended", *args]


def is_plain(settings: Mapping[str, str]) -> bool:
    """Whether a program with these settings can be a fork of one that runs: Python and the system's
    libraries read theirs when they start."""
    return all(name.startswith("BOOKENDED_") or name == "COLUMNS" for name in settings)


class Cli:
    """Runs the program to its end, in its own directory: warm, or really started where `before` or
    a setting asks for that."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(
        self, *args: str, before: Sequence[str] = (), **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """`before`: words to put in front of the command line (`tests.commands.confined`)."""
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            streams = stdout, stderr
            program = _started(args, self.directory, settings, streams, before=before)
            try:
                code = program.wait(PATIENCE_S)
            finally:
                program.kill()
                program.wait(PATIENCE_S)
            said = [_all_of(stream) for stream in streams]
        return subprocess.CompletedProcess(args, code, *said)


def _all_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _started(
    args: Sequence[str],
    directory: Path,
    settings: Mapping[str, str],
    streams: tuple[IO[bytes], IO[bytes]],
    *,
    before: Sequence[str] = (),
    is_warm: bool = True,
) -> Program:
    env = environment(**settings)
    stdout, stderr = (stream.fileno() for stream in streams)
    if is_warm and not before and is_plain(settings):
        return WARM.start(args, directory, env, stdout, stderr)
    words = [*before, *arguments(*args)]
    return subprocess.Popen(words, cwd=directory, env=env, stdout=stdout, stderr=stderr)


class Server:
    """A running `run`, `collect` or `process`; its log lines as they come. `is_warm=False`: really
    started, for who measures it."""

    def __init__(
        self,
        directory: Path,
        args: tuple[str, ...],
        settings: dict[str, str],
        *,
        is_warm: bool = True,
    ) -> None:
        reading, writing = os.pipe()
        self._stderr = os.fdopen(reading, encoding="utf-8")
        with os.fdopen(writing, "wb") as stderr, Path(os.devnull).open("wb") as stdout:
            streams = stdout, stderr
            self.process = _started(args, directory, settings, streams, is_warm=is_warm)
        self.lines: list[str] = []
        self._coming: Queue[str | None] = Queue()
        self._reader = Thread(target=self._read, args=(self._stderr,), daemon=True)
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
        """And writes its log, which a test that failed then shows."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        self._stderr.close()
        while not self._coming.empty():
            self.lines.append(self._coming.get() or "the end")
        sys.stdout.write("\n".join([f"process {self.process.pid}:", *self.lines, ""]))
