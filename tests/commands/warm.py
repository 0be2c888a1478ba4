"""The program in forks of one process that has imported it: no second of CPU for every start.

A fork has its own process, directory, environment and streams, and runs `bookended.main` from the
command line on, as `python -m bookended` does; only the imports are done. `Warm` starts the process
that forks when the first program is wanted, and it ends with the tests. Only for tests.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
LATER: Final = (
    *("commands.known", "uvicorn.protocols.http.httptools_impl"),
    *("psycopg", "migrations.upgrading"),
)
"""What the program imports only when it needs it."""


class WarmProgram:
    """A running fork, with what tests use of `subprocess.Popen`."""

    def __init__(self, connection: socket.socket) -> None:
        self._ended = threading.Lock()
        self._told = connection.makefile("rb")
        connection.close()
        self.pid = int(self._told.readline())
        self.returncode: int | None = None
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._waiter.start()

    def _wait(self) -> None:
        with self._told:
            status = int(self._told.readline() or 9)  # no answer: all of them were killed
        with self._ended:
            self.returncode = os.waitstatus_to_exitcode(status)

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Errors: `subprocess.TimeoutExpired`."""
        self._waiter.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        with self._ended:
            if self.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Warm:
    """Starts programs. One for all tests of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: socket.socket | None = None
        self._forker: subprocess.Popen[bytes] | None = None

    def start(
        self,
        args: Sequence[str],
        directory: Path,
        env: Mapping[str, str],
        stdout: int,
        stderr: int,
    ) -> WarmProgram:
        """`stdout`, `stderr`: open files, which stay open here."""
        ours, theirs = socket.socketpair()
        with tempfile.TemporaryFile() as request, theirs:
            wanted = {"args": list(args), "directory": str(directory), "env": dict(env)}
            request.write(json.dumps(wanted).encode())
            request.seek(0)
            handed = [request.fileno(), stdout, stderr, theirs.fileno()]
            with self._lock:
                socket.send_fds(self._running(), [b"1"], handed)
        return WarmProgram(ours)

    def _running(self) -> socket.socket:
        if self._requests is None:
            self._requests, theirs = socket.socketpair()
            with theirs:
                self._forker = subprocess.Popen(
                    [sys.executable, "-m", "tests.commands.warm"],
                    cwd=ROOT,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,  # the Ctrl-C that ends the tests is not for programs
                )
        return self._requests


def serve(requests: socket.socket) -> dict[str, Any]:
    """Forks for each request. Returns in the program's process, with what it is to be; this one
    ends with the tests."""
    while True:
        message, handed, _, _ = socket.recv_fds(requests, 1, 4)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not message:
            os._exit(0)
        if os.fork() == 0:
            requests.close()
            return become(*handed)
        for handle in handed:
            os.close(handle)


def become(request: int, stdout: int, stderr: int, told: int) -> dict[str, Any]:
    """Leaves a process behind that tells the program's number and how it ended."""
    program = os.fork()
    if program:
        for handle in (request, stdout, stderr):
            os.close(handle)
        os.setpgid(program, program)  # whoever ends it may end all that it has started with it
        with contextlib.suppress(BrokenPipeError):
            os.write(told, b"%d\n" % program)
            os.write(told, b"%d\n" % os.waitpid(program, 0)[1])
        os._exit(0)
    os.close(told)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for handle, standard in ((stdout, 1), (stderr, 2)):
        os.dup2(handle, standard)
        os.close(handle)
    with os.fdopen(request, "rb") as text:
        wanted: dict[str, Any] = json.load(text)
    return wanted


def main() -> None:
    bookended = importlib.import_module("bookended")
    for name in bookended.COMMANDS:
        bookended.main.get_command(None, name)
    for name in LATER:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    wanted = serve(socket.socket(fileno=0))
    os.chdir(wanted["directory"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    sys.path[0] = wanted["directory"]
    sys.argv = [str(ROOT / "bookended.py"), *wanted["args"]]
    bookended.main(prog_name="bookended.py")


if __name__ == "__main__":
    main()
