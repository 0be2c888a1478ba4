"""A real Kafka and a real PostgreSQL for all tests of a run: the fixtures `kafka` and `postgres`.

In containers (testcontainers) where a Docker engine answers, else from `deploy.local`; the choice
is printed. Where neither can be had the tests fail and say what to install. `TEST_SERVERS=local` or
`=containers` decides instead. A plugin: `pytest_plugins` in tests/conftest.py names it.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, Literal, Protocol

import psycopg
import pytest
from psycopg import sql
from testcontainers.core.container import DockerContainer

from deploy.local.faults import LocalFault
from deploy.local.jars import KAFKA_VERSION
from deploy.local.kafka import HEAP_MIB_MAX, SETTINGS, LocalKafka, ask_cluster
from deploy.local.ports import HOST, free_port
from deploy.local.postgres import DATABASE, ROLE, LocalPostgres

Choice = Literal["local", "containers"]

POSTGRES_IMAGE: Final = "postgres:18-alpine"
KAFKA_IMAGE: Final = f"apache/kafka:{KAFKA_VERSION}"
_ENGINE_ANSWERS: Final = "import docker; docker.from_env(timeout=5).ping()"
_ENGINE_ASKED_FOR_S: Final = 20
_STARTED_WITHIN_S: Final = 120.0
_CONTROLLER_PORT: Final = 9093
_POSTGRES_PORT: Final = 5432
_PASSWORD: Final = "only-for-tests"
# No test here cuts the power, and hundreds make a database of their own.
_FORGETFUL: Final = {"fsync": "off", "full_page_writes": "off"}


class KafkaServer(Protocol):
    """What tests know of a broker."""

    @property
    def bootstrap(self) -> str: ...


class PostgresServer(Protocol):
    """What tests know of a database server."""

    @property
    def url(self) -> str: ...

    def database(self, name: str) -> str:
        """The address of another database, which is made if there is none."""


class ContainerKafka:
    """The broker of Kafka's own image, with the settings of `LocalKafka`."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap


class ContainerPostgres:
    """The server of PostgreSQL's own image."""

    def __init__(self, address: str) -> None:
        self.address = address

    @property
    def url(self) -> str:
        return self._url(DATABASE)

    def database(self, name: str) -> str:
        plain = self.url.replace("+psycopg", "")
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        with (
            contextlib.suppress(psycopg.errors.DuplicateDatabase),
            psycopg.connect(plain, autocommit=True) as connection,
        ):
            connection.execute(statement)
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql+psycopg://{ROLE}:{_PASSWORD}@{self.address}/{name}"


@cache
def choice() -> Choice:
    """Which servers this run uses. A process of its own asks: what it leaves open ends with it."""
    match os.environ.get("TEST_SERVERS", ""):
        case "local" | "containers" as wanted:
            return wanted
        case "":
            return "containers" if _engine_answers() else "local"
        case other:
            raise ValueError(f"TEST_SERVERS={other}: give local, containers or nothing")


def _engine_answers() -> bool:
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ENGINE_ANSWERS],
            capture_output=True,
            timeout=_ENGINE_ASKED_FOR_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def say(config: pytest.Config, line: str) -> None:
    """Prints a line at once, whatever pytest does with a test's output."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        print(f"\n{line}", flush=True)


@contextlib.contextmanager
def server_root(parent: Path) -> Iterator[Path]:
    """A directory for this run's servers, below `parent`; gone afterwards.

    A run that was killed leaves servers behind: they are ended and removed by the next. The lock is
    what tells a run that lives from one that does not; the system frees it with its process.
    """
    parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        # One run at a time begins: another's directory that is not locked yet is no leftover.
        with _locked(parent, fcntl.LOCK_EX):
            root = Path(tempfile.mkdtemp(dir=parent))
            root.chmod(0o755)  # as root PostgreSQL runs as another account, which must get in
            assert held.enter_context(_locked(root))
            for other in (path for path in parent.iterdir() if path.is_dir() and path != root):
                _remove_leftover(other)
        try:
            yield root
        finally:
            _remove(root)


def _remove_leftover(root: Path) -> None:
    with _locked(root) as is_left:
        if is_left:
            _remove(root)


def _remove(root: Path) -> None:
    """Servers that still run in it are ended first."""
    for state in root.rglob("server.json"):
        for server in (LocalKafka(state.parent), LocalPostgres(state.parent)):
            if server.process() is not None:
                server.kill()
    shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def _locked(directory: Path, kind: int = fcntl.LOCK_EX | fcntl.LOCK_NB) -> Iterator[bool]:
    handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, kind)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def _parent() -> Path:
    return Path(tempfile.gettempdir()) / f"bookended-tests-{os.getuid()}"


@pytest.fixture(scope="session")
def servers_directory() -> Iterator[Path]:
    """Where this run's servers have their directories."""
    with server_root(_parent()) as root:
        yield root


def pytest_unconfigure(config: pytest.Config) -> None:
    """After Ctrl-C some workers have no time for an end of their own."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        with server_root(_parent()):
            pass


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config, servers_directory: Path) -> Iterator[KafkaServer]:
    """A broker for the whole run. Each test makes topics and groups of its own."""
    say(pytestconfig, f"Kafka for these tests: {_described(KAFKA_IMAGE)}")
    if choice() == "containers":
        with _kafka_container() as server:
            yield server
        return
    with _explained("Kafka"):
        local = LocalKafka(servers_directory / "kafka", note=lambda line: say(pytestconfig, line))
        local.start()
    yield local
    local.stop()


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config, servers_directory: Path) -> Iterator[PostgresServer]:
    """A database server for the whole run. Each test makes a database of its own."""
    say(pytestconfig, f"PostgreSQL for these tests: {_described(POSTGRES_IMAGE)}")
    if choice() == "containers":
        with _postgres_container() as server:
            yield server
        return
    with _explained("PostgreSQL"):
        local = LocalPostgres(servers_directory / "postgres", settings=_FORGETFUL)
        local.start()
    yield local
    local.stop()


def _described(image: str) -> str:
    if choice() == "containers":
        return f"container of {image}"
    return "local process (deploy.local), since no Docker engine answers"


@contextlib.contextmanager
def _explained(server: str) -> Iterator[None]:
    try:
        yield
    except LocalFault as fault:
        pytest.fail(
            f"these tests need a real {server}, and there is no Docker engine. {fault}",
            pytrace=False,
        )


@contextlib.contextmanager
def _kafka_container() -> Iterator[KafkaServer]:
    port = free_port()
    container = DockerContainer(KAFKA_IMAGE)
    host = container.get_docker_client().host()
    placed = {
        # The broker tells clients where it is, so its port must be known before it starts.
        "listeners": f"PLAINTEXT://:{port},CONTROLLER://:{_CONTROLLER_PORT}",
        "advertised.listeners": f"PLAINTEXT://{host}:{port}",
        "controller.quorum.voters": f"1@localhost:{_CONTROLLER_PORT}",
        "log.dirs": "/var/lib/kafka/data",
    }
    for name, value in {**SETTINGS, **placed}.items():
        container.with_env(f"KAFKA_{name.upper().replace('.', '_')}", value)
    container.with_env("KAFKA_HEAP_OPTS", f"-Xms64m -Xmx{HEAP_MIB_MAX}m")
    _publish(container, host, port, port)
    with container:
        deadline = time.monotonic() + _STARTED_WITHIN_S
        while not _kafka_answers(host, port):
            assert time.monotonic() < deadline, container.get_logs()[0][-2_000:]
            time.sleep(0.1)
        yield ContainerKafka(f"{host}:{port}")


def _kafka_answers(host: str, port: int) -> bool:
    try:
        return bool(ask_cluster(host, port))
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def _postgres_container() -> Iterator[PostgresServer]:
    port = free_port()
    container = DockerContainer(POSTGRES_IMAGE)
    host = container.get_docker_client().host()
    container.with_envs(
        POSTGRES_USER=ROLE, POSTGRES_PASSWORD=_PASSWORD, POSTGRES_DB=DATABASE, TZ="UTC"
    )
    _publish(container, host, _POSTGRES_PORT, port)
    with container:
        server = ContainerPostgres(f"{host}:{port}")
        deadline = time.monotonic() + _STARTED_WITHIN_S
        while not _postgres_answers(server):
            assert time.monotonic() < deadline, container.get_logs()[1][-2_000:]
            time.sleep(0.1)
        yield server


def _postgres_answers(server: ContainerPostgres) -> bool:
    try:
        psycopg.connect(server.url.replace("+psycopg", ""), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _publish(container: DockerContainer, host: str, inside: int, outside: int) -> None:
    """On the loopback interface alone, unless the engine is on another machine."""
    container.with_bind_ports(f"{inside}/tcp", outside)
    if host in {"localhost", HOST}:
        # Docker takes an address beside the port; testcontainers' own method does not.
        container.ports[f"{inside}/tcp"] = (HOST, outside)  # type: ignore[assignment]


__all__ = ["KafkaServer", "PostgresServer", "choice", "kafka", "postgres", "servers_directory"]
