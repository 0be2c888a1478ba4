"""What both servers have in common: one directory each, start, stop, kill, coming back.

In its directory a server keeps its data, its log (`server.log`) and `server.json` with its process
number and its ports, so that another process finds it and a restart has the same address. Imports
nothing of the project but its neighbours.
"""

import fcntl
import json
import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, NamedTuple, Self

import psutil

from deploy.local.faults import LocalFault, touching
from deploy.local.ports import HOST, PortTaken, free_port, is_free
from deploy.local.process import end, find, is_alive, kill, last_lines, size_of, told

Note = Callable[[str], None]
"""Is told, in one line, about work that takes long."""

STARTED_WITHIN_S: Final = 90.0
_ASKED_EVERY_S: Final = 0.03
_PORT_FREED_WITHIN_S: Final = 5.0
_LOG_BYTES_MAX: Final = 4 * 1024**2


class AlreadyRunning(LocalFault):
    """The directory's server is at work already."""

    def __init__(self, server: str, directory: Path, pid: int) -> None:
        super().__init__(
            f"{server} in {directory} is already running (process {pid})",
            "Use that one, stop it first, or give another directory.",
        )
        self.directory = directory
        self.pid = pid


class AlreadyStarting(LocalFault):
    """Another process is just starting the directory's server."""

    def __init__(self, server: str, directory: Path) -> None:
        super().__init__(
            f"{server} in {directory} is being started by another process",
            "Wait for that one, or give another directory.",
        )
        self.directory = directory


class NeverStarted(LocalFault):
    """The server has no address yet."""

    def __init__(self, server: str, directory: Path) -> None:
        super().__init__(f"{server} in {directory} was never started", "Start it first.")
        self.directory = directory


class ServerDied(LocalFault):
    """The server ended while it was starting."""

    def __init__(self, server: str, log: Path, lines: list[str]) -> None:
        super().__init__(f"{server} ended at its start; it said: {told(lines)}", f"See {log}.")
        self.log = log
        self.lines = lines


class NotAnswering(LocalFault):
    """The server runs, but did not answer in time."""

    def __init__(self, server: str, log: Path, lines: list[str]) -> None:
        super().__init__(
            f"{server} did not answer within {STARTED_WITHIN_S:.0f} s; it said: {told(lines)}",
            f"Look whether the machine is busy, and see {log}.",
        )
        self.log = log
        self.lines = lines


class Known(NamedTuple):
    """What `server.json` says. Process number 0: stopped."""

    pid: int = 0
    ports: tuple[int, ...] = ()


class LocalServer(ABC):
    """One real server in one directory. A context manager: started inside, stopped after it.

    `port`: None takes that of the last time in this directory, or a free one. A server that this
    object started once has the same address for as long as the object lives.
    """

    name: ClassVar[str]
    port_count: ClassVar[int] = 1
    stop_signals: ClassVar[tuple[signal.Signals, ...]] = (signal.SIGTERM,)
    stopped_within_s: ClassVar[float] = 30.0

    def __init__(
        self, directory: Path, *, port: int | None = None, note: Note = lambda line: None
    ) -> None:
        self.directory = directory.resolve()
        self.data = self.directory / "data"
        self.log = self.directory / "server.log"
        self.note = note
        self._state = self.directory / "server.json"
        self.port_wanted = port
        self._log_start = 0

    @abstractmethod
    def prepare(self) -> None:
        """Before a start: finds the program, makes the data directory if there is none."""

    @abstractmethod
    def launch(self) -> psutil.Process:
        """Starts the server's process on `ports`."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether this very server answers, in its own protocol; bounded to a few seconds."""

    @property
    @abstractmethod
    def mark(self) -> Path:
        """The path on the command line by which this server's process is known."""

    @property
    def ports(self) -> tuple[int, ...]:
        """The server's ports, the public one first. Errors: `NeverStarted`."""
        ports = self._known().ports
        if len(ports) != self.port_count:
            raise NeverStarted(self.name, self.directory)
        return ports

    @property
    def address(self) -> str:
        """HOST:PORT. Errors: `NeverStarted`."""
        return f"{HOST}:{self.ports[0]}"

    def process(self) -> psutil.Process | None:
        """The running server, whoever started it."""
        return find(self._known().pid, self.mark)

    def start(self) -> None:
        """Starts the server and returns once it answers.

        Errors: a `LocalFault`; whatever it is, no process is left behind.
        """
        with touching(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            with self._sole_starter():
                running = self.process()
                if running is not None:
                    raise AlreadyRunning(self.name, self.directory, running.pid)
                self._remember(Known(0, self._choose_ports()))
                self.prepare()
                self._launch()

    def stop(self) -> None:
        """Stops the server in its own clean way, and by force when that takes too long."""
        process = self.process()
        if process is not None:
            end(process, [(number, self.stopped_within_s) for number in self.stop_signals])
        self._forget()

    def kill(self) -> None:
        """Ends the server as a crash would: SIGKILL, for it and all its processes."""
        process = self.process()
        if process is not None:
            kill(process)
        self._forget()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _launch(self) -> None:
        if size_of(self.log) > _LOG_BYTES_MAX:
            self.log.replace(self.log.with_suffix(".log.1"))
        self._log_start = size_of(self.log)
        process = self.launch()
        try:
            self._remember(Known(process.pid, self.ports))
            self._wait(process)
        except BaseException:
            kill(process)
            self._forget()
            raise
        self.port_wanted = self.ports[0]

    def _wait(self, process: psutil.Process) -> None:
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not self.answers():
            if not is_alive(process):
                raise ServerDied(self.name, self.log, last_lines(self.log, self._log_start))
            if time.monotonic() > deadline:
                raise NotAnswering(self.name, self.log, last_lines(self.log, self._log_start))
            time.sleep(_ASKED_EVERY_S)

    def _choose_ports(self) -> tuple[int, ...]:
        chosen: list[int] = []
        last = (*self._known().ports, *([0] * self.port_count))
        for place in range(self.port_count):
            wanted = self.port_wanted if place == 0 else None
            port = wanted or last[place]
            if wanted is not None and not self._is_free_again(wanted, was_ours=wanted == last[0]):
                raise PortTaken(self.name, wanted)
            is_usable = port not in (0, *chosen) and is_free(port)
            chosen.append(port if is_usable else free_port(*chosen, self.port_wanted or 0))
        return tuple(chosen)

    def _is_free_again(self, port: int, *, was_ours: bool) -> bool:
        """Whether the port is free. One that was ours may be so only a moment after its server
        was killed: the system closes the sockets of a large process after the process is gone."""
        deadline = time.monotonic() + (_PORT_FREED_WITHIN_S if was_ours else 0.0)
        while not is_free(port):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_ASKED_EVERY_S)
        return True

    @contextmanager
    def _sole_starter(self) -> Iterator[None]:
        """The system frees the lock with the process, so no crash leaves it behind."""
        handle = os.open(
            self.directory / "starting.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise AlreadyStarting(self.name, self.directory) from error
            yield
        finally:
            os.close(handle)

    def _known(self) -> Known:
        """What is known of the last start; nothing, when the file is not there or was cut off."""
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            return Known(int(state["pid"]), tuple(int(port) for port in state["ports"]))
        except (OSError, ValueError, TypeError, KeyError):
            return Known()

    def _remember(self, known: Known) -> None:
        part = self._state.with_suffix(".part")
        part.write_text(json.dumps(known._asdict()), encoding="utf-8")
        part.replace(self._state)

    def _forget(self) -> None:
        if self._known().pid:
            with touching(self.directory):
                self._remember(Known(0, self._known().ports))
