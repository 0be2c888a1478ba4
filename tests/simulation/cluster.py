"""Collectors, processors, a broker and a database of a chaos run: real processes, each of its own.

Only for tests. Programs are kept running as a service manager does it: one that ends by itself is
started again. That may happen at a start, while broker or database are away; one that was at work
must never end unasked.
"""

import json
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Final, NamedTuple, Self

import psycopg
from kafka import KafkaConsumer, TopicPartition

from deploy.local import LocalKafka, LocalPostgres
from models.kafka_log import KafkaLog, parse_kafka_url
from models.placement import Placement, parse_partition_counts
from tests.commands.processes import PATIENCE_S, Cli, arguments, environment
from tests.postgres import plain
from tests.simulation.journal import Journal
from tests.simulation.test_crash import free_port

PARTITIONS: Final = 6
SESSION_TIMEOUT_S: Final = 3.0
_LOOKED_EVERY_S: Final = 0.1
_STARTED_AGAIN_AFTER_S: Final = 0.3
_STARTED_WITHIN_S: Final = 240.0


class Program:
    """One `collect` or `process`, kept running until it is told to be down."""

    def __init__(
        self,
        name: str,
        directory: Path,
        args: tuple[str, ...],
        settings: dict[str, str],
        journal: Journal,
    ) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        self.may_end = ""
        """What it may say when it ends unasked, if it may."""
        self._directory = directory
        self._args = args
        self._settings = settings
        self._journal = journal
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_wanted = False
        self._log_start = 0
        self._again_at = 0.0

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with self._lock, self.log.open("ab") as output:
            self._log_start = output.tell()
            self._is_wanted = True
            self._process = subprocess.Popen(
                arguments(*self._args),
                cwd=self._directory,
                env=environment(**self._settings),
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """At once, and not started again."""
        self.stop(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends it, and sees to it that it ends as it should."""
        with self._lock:
            self._is_wanted = False
            process = self._process
        if process is None:
            return
        had_begun = self.has_begun()
        if process.poll() is None:
            process.send_signal(number)
        try:
            code = process.wait(2 * PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._journal.violation(f"{self.name} did not end after {number.name}")
            process.kill()
            code = process.wait(PATIENCE_S)
        if number is signal.SIGTERM and had_begun and code != 0:
            self._journal.violation(f"{self.name} ended with code {code}: {self.last_line()}")

    def leave_alone(self) -> "subprocess.Popen[bytes]":
        """Hands its process over, which goes on: `start` makes another of the same name."""
        with self._lock:
            process, self._process = self._process, None
            self._is_wanted = False
        assert process is not None
        return process

    def send(self, number: signal.Signals) -> None:
        """A signal that does not end it: SIGSTOP, SIGCONT."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(number)

    def has_begun(self) -> bool:
        """Whether it has come to work since its start."""
        said = self._said()
        return '"processor_running"' in said or '"collector_listening"' in said

    def owners(self) -> set[str]:
        """The names under which it has claimed partitions since its start."""
        lines = [line for line in self._said().splitlines() if '"processor_claimed' in line]
        return {json.loads(line)["owner"] for line in lines}

    def last_line(self) -> str:
        return next(reversed(self._said().splitlines()), "")

    def _may_have_ended(self) -> bool:
        """Not by its last line: another process may write to the same log, with its name."""
        return bool(self.may_end) and self.may_end in self._said()

    def _said(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")

    def look_after(self) -> None:
        """Starts it again if it ended unasked."""
        with self._lock:
            if not self._is_wanted or self._process is None or self._process.poll() is None:
                return
            now = time.monotonic()
            if not self._again_at:
                self._again_at = now + _STARTED_AGAIN_AFTER_S
                code, line = self._process.returncode, self.last_line()
                self._journal.note("ended", program=self.name, code=code, said=line)
                if self.has_begun() and not self._may_have_ended():
                    self._journal.violation(f"{self.name} ended unasked, code {code}: {line}")
            elif now >= self._again_at:
                self._again_at = 0.0
                self.start()


class Place(NamedTuple):
    """How far a partition is in SQL, and who has it."""

    owner: str
    version: int
    next_offset: int


class Cluster:
    """A broker and a database of our own, and any number of programs over them.

    `client`: which Kafka client the programs use.
    """

    def __init__(self, directory: Path, rng: Random, journal: Journal, client: str = "") -> None:
        self.directory = directory
        self.journal = journal
        self.kafka = LocalKafka(directory / "kafka", port=free_port(rng))
        self.postgres = LocalPostgres(directory / "postgres", port=free_port(rng))
        self.collectors: list[Program] = []
        self.processors: list[Program] = []
        self.collector_urls: list[str] = []
        self.lock = threading.RLock()
        self.servers_lock = threading.Lock()
        """Held while a server is being hurt, and where that would spoil another fault."""
        self._rng = rng
        self._client = client
        self._count = 0
        self._stop = threading.Event()
        self._looking_after = threading.Thread(target=self._look_after, daemon=True)
        self._sid_key = secrets.token_hex(32)

    @property
    def log(self) -> KafkaLog:
        return parse_kafka_url(self.kafka.log_url())

    @property
    def placement(self) -> Placement:
        return Placement(parse_partition_counts(str(PARTITIONS)))

    def __enter__(self) -> Self:
        try:
            self.kafka.start()
            self.postgres.start()
            done = Cli(self.directory)("migrate", **self.settings())
            assert done.returncode == 0, done.stderr
            self._looking_after.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._looking_after.ident is not None:
            self._looking_after.join()
        for program in [*self.collectors, *self.processors]:
            program.send(signal.SIGCONT)
            program.kill()
        self.kafka.kill()
        self.postgres.kill()

    def settings(self) -> dict[str, str]:
        log = self.kafka.log_url() + (f"?client={self._client}" if self._client else "")
        return {
            "BOOKENDED_LOG": log,
            "BOOKENDED_DATABASE": self.postgres.url,
            "BOOKENDED_PARTITIONS": str(PARTITIONS),
            "BOOKENDED_SID_KEYS": self._sid_key,
            "BOOKENDED_LOG_FORMAT": "json",
        }

    def add_collector(self) -> Program:
        port = free_port(self._rng)
        args = ("collect", "--listen", f"127.0.0.1:{port}")
        program = self._program("collector", args)
        with self.lock:
            self.collectors.append(program)
            self.collector_urls.append(f"http://127.0.0.1:{port}")
        program.start()
        return program

    def add_processor(
        self,
        *,
        is_static: bool,
        checkpoint_interval: str = "200ms",
        session_timeout_s: float = SESSION_TIMEOUT_S,
    ) -> Program:
        timeout = f"{session_timeout_s * 1000:.0f}ms"
        pace = ("--checkpoint-interval", checkpoint_interval, "--session-timeout", timeout)
        program = self._program("processor", ("process", *pace), is_static=is_static)
        with self.lock:
            self.processors.append(program)
        program.start()
        return program

    def leave(self, program: Program) -> None:
        """Takes a static processor that was stopped for good out of its group. By a command that is
        really started, since the time that this takes is told."""
        words = arguments("leave", "--instance-id", program.name)
        env = environment(**self.settings())
        subprocess.run(words, cwd=self.directory, env=env, check=True, timeout=PATIENCE_S)

    def _program(self, kind: str, args: tuple[str, ...], *, is_static: bool = False) -> Program:
        with self.lock:
            self._count += 1
            name = f"{kind}-{self._count}"
        more = ("--data", str(self.directory / name))
        named = ("--instance-id", name) if is_static else ()
        settings = self.settings()
        return Program(name, self.directory, (*args, *more, *named), settings, self.journal)

    def wait_until_begun(self, *programs: Program) -> None:
        deadline = time.monotonic() + _STARTED_WITHIN_S
        while not all(program.has_begun() for program in programs):
            assert time.monotonic() < deadline, [p.last_line() for p in programs]
            time.sleep(_LOOKED_EVERY_S)

    def _look_after(self) -> None:
        while not self._stop.wait(_LOOKED_EVERY_S):
            with self.lock:
                programs = [*self.collectors, *self.processors]
            for program in programs:
                program.look_after()

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection]:
        url = plain(self.postgres.url)
        with psycopg.connect(url, connect_timeout=2, autocommit=True) as connection:
            connection.execute("SET statement_timeout = '5s'")
            yield connection

    def places(self) -> dict[int, Place]:
        """By partition; nothing while the database is away."""
        query = "SELECT log_partition, coalesce(owner, ''), version, next_offset FROM progress"
        with suppress(psycopg.Error), self.connected() as connection:
            return {row[0]: Place(*row[1:]) for row in connection.execute(query).fetchall()}
        return {}

    def owned(self, program: Program) -> list[int]:
        """The partitions that are the program's, as the database has it."""
        owners = program.owners()
        return [number for number, place in self.places().items() if place.owner in owners]

    def end_offsets(self) -> dict[int, int]:
        """Where each partition of the topic ends. Errors: `KafkaError`."""
        places = [TopicPartition(self.log.topic, number) for number in range(PARTITIONS)]
        with closing(KafkaConsumer(bootstrap_servers=list(self.log.servers))) as consumer:
            return {p.partition: end for p, end in consumer.end_offsets(places).items()}
