"""A real PostgreSQL in a directory: what a PostgreSQL address of `--database` needs.

Only over the loopback interface and with a password, since whoever may log in as its superuser may
run programs as the account that it runs as. Imports nothing of the project but its neighbours.
"""

import os
import secrets
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import psutil
import psycopg
from psycopg import sql

from deploy.local.faults import FileUnusable, LocalFault, touching
from deploy.local.installations import Installation, Runner, account_for, find_postgres, runner_for
from deploy.local.ports import HOST
from deploy.local.process import Account, environment, find, run_tool, spawn, told
from deploy.local.server import AlreadyRunning, LocalServer, Note

ROLE: Final = "bookended"
DATABASE: Final = "bookended"
_MAINTENANCE: Final = "postgres"
_MADE_WITHIN_S: Final = 60.0
_ASKED_FOR_S: Final = 2

SETTINGS: Final = {
    "listen_addresses": HOST,
    # A socket's path may be too long for the system, and nobody needs one.
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Its start, its end and its crashes. What is wrong with a statement is told to the client.
    "log_min_messages": "log",
    "log_checkpoints": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
}


class InitFailed(LocalFault):
    """PostgreSQL's own tool could not make the data directory."""

    def __init__(self, data: Path, lines: list[str]) -> None:
        super().__init__(
            f"PostgreSQL could not make {data}; it said: {told(lines)}",
            "Check memory and free space, then start again.",
        )
        self.data = data
        self.lines = lines


class LocalPostgres(LocalServer):
    """PostgreSQL on the loopback interface, its data in `directory`. `settings`: PostgreSQL's own,
    in the place of `SETTINGS` or beside them."""

    name = "PostgreSQL"
    # SIGINT ends sessions and shuts down cleanly; SIGTERM would wait for the last client to go.
    stop_signals = (signal.SIGINT, signal.SIGQUIT)

    _installation: Installation
    _runner: Runner

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        note: Note = lambda line: None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(directory, port=port, note=note)
        self._settings = {**SETTINGS, **settings}

    @property
    def url(self) -> str:
        """The address as `--database` takes it. Errors: `NeverStarted`."""
        return self._url(DATABASE)

    def database(self, name: str) -> str:
        """The address of another database of this server, which is made if there is none."""
        with self._connected(_MAINTENANCE) as connection:
            self._make_database(connection, name)
        return self._url(name)

    @property
    def mark(self) -> Path:
        return self.data

    def prepare(self) -> None:
        self._installation = find_postgres(self.data)
        account = account_for(self.data)
        self._own(account, self.directory)
        self._runner = runner_for(account, self.directory, self._installation.programs)
        if not (self.data / "PG_VERSION").is_file():
            self._init()
        self._drop_stale_lock()

    def launch(self) -> psutil.Process:
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        command = [str(self._installation.programs / "postgres"), "-D", str(self.data)]
        return spawn(
            [*self._runner.prefix, *command, f"--port={self.ports[0]}", *settings],
            self.directory,
            self.log,
            environment(LC_ALL="C"),
            self._runner.started_as,
        )

    def answers(self) -> bool:
        """Logs in and asks whose data it is; the first time makes the database."""
        try:
            with self._connected(_MAINTENANCE) as connection:
                row = connection.execute("SELECT current_setting('data_directory')").fetchone()
                if row is None or Path(row[0]).resolve() != self.data:
                    return False
                self._make_database(connection, DATABASE)
        except psycopg.OperationalError:
            return False
        return True

    def _url(self, database: str) -> str:
        address = self.address
        with touching(self.directory):
            return f"postgresql+psycopg://{ROLE}:{self._password()}@{address}/{database}"

    @contextmanager
    def _connected(self, database: str) -> Iterator[psycopg.Connection]:
        with psycopg.connect(
            host=HOST,
            port=self.ports[0],
            user=ROLE,
            password=self._password(),
            dbname=database,
            connect_timeout=_ASKED_FOR_S,
            options="-c statement_timeout=30s",
            autocommit=True,
        ) as connection:
            yield connection

    def _make_database(self, connection: psycopg.Connection, name: str) -> None:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if known.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    @property
    def _password_file(self) -> Path:
        return self.directory / "password"

    def _password(self) -> str:
        return self._password_file.read_text(encoding="ascii").strip()

    def _init(self) -> None:
        """Under another name until it is done, so that a crash leaves no half of a database."""
        if self.data.exists():
            raise FileUnusable(self.data, "is there already and holds no PostgreSQL data")
        part = self.directory / "data.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        self._write_password()
        self._own(self._runner.account, part, self._password_file)
        done, lines = run_tool(
            [*self._runner.prefix, *self._init_command(part)],
            self.directory,
            environment(LC_ALL="C"),
            self._runner.started_as,
            _MADE_WITHIN_S,
        )
        if not done:
            raise InitFailed(self.data, lines)
        part.rename(self.data)

    def _init_command(self, part: Path) -> list[str]:
        return [
            str(self._installation.programs / "initdb"),
            f"--pgdata={part}",
            f"--username={ROLE}",
            f"--pwfile={self._password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ]

    def _write_password(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        handle = os.open(self._password_file, flags, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{secrets.token_urlsafe(16)}\n")

    def _own(self, account: Account | None, *paths: Path) -> None:
        """Hands files of this server's directory to the account that it runs as."""
        if account is not None:
            for path in paths:
                os.chown(path, account.user_id, account.group_id)

    def _drop_stale_lock(self) -> None:
        """After a crash PostgreSQL would take any process of that number for itself."""
        lock = self.data / "postmaster.pid"
        try:
            pid = int(lock.read_text(encoding="utf-8", errors="replace").splitlines()[0])
        except (OSError, ValueError, IndexError):
            return
        running = find(pid, self.mark)
        if running is not None:
            raise AlreadyRunning(self.name, self.directory, pid)
        lock.unlink(missing_ok=True)
