"""`bookended local`: what a user sees of the servers, and which exit codes."""

import importlib
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from commands.errors import Failure
from commands.local import command
from deploy.local.kafka import LocalKafka
from deploy.local.ports import HOST, free_port
from deploy.local.postgres import LocalPostgres
from tests.local.clients import execute, topics

Local = Callable[..., Result]


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    """Runs `local ... --data DIR`; the servers end with the test."""

    def run(*args: str) -> Result:
        done = CliRunner().invoke(command, [*args, "--data", str(tmp_path)])
        if done.exception is not None and not isinstance(done.exception, SystemExit | Failure):
            raise done.exception
        return done

    yield run
    LocalKafka(tmp_path / "kafka").kill()
    LocalPostgres(tmp_path / "postgres").kill()


def failure(result: Result) -> str:
    assert isinstance(result.exception, Failure), result.output
    return str(result.exception)


def flag(result: Result, name: str) -> str:
    """The value after a flag, on a line of its own."""
    lines = [line.partition(" ") for line in result.stdout.splitlines()]
    (value,) = [rest for word, _, rest in lines if word == name]
    return value


def test_up_status_down_and_up_again(local: Local) -> None:
    up = local("up")
    assert up.exit_code == 0, up.output
    log, database = flag(up, "--log"), flag(up, "--database")
    address = log.removeprefix("kafka://").removesuffix("/media-events")
    assert topics(address) == []
    assert execute(database, "CREATE TABLE kept AS SELECT 42 AS answer") == []
    assert local("up").stdout == up.stdout, "a second time it changes nothing"

    status = local("status")
    assert status.exit_code == 0
    assert status.stdout.count("answers") == 2
    assert (flag(status, "--log"), flag(status, "--database")) == (log, database)

    down = local("down")
    assert (down.exit_code, down.stderr.count("stopped")) == (0, 2)
    stopped = local("status")
    assert (stopped.exit_code, stopped.stdout.count("not running")) == (1, 2)
    assert "kafka://" not in stopped.stdout
    again = local("down")
    assert (again.exit_code, again.stderr.count("was not running")) == (0, 2)

    assert local("up").stdout == up.stdout, "data and addresses are kept"
    assert execute(database, "SELECT answer FROM kept") == [(42,)]


def test_only_one_of_them(local: Local, tmp_path: Path) -> None:
    port = free_port()
    up = local("up", "--postgres", "--postgres-port", str(port))
    assert up.exit_code == 0, up.output
    assert f"@{HOST}:{port}/" in flag(up, "--database")
    assert "--log" not in up.stdout
    assert not (tmp_path / "kafka").exists()
    assert local("status").exit_code == 1
    assert local("status", "--kafka").exit_code == 1
    assert local("status", "--postgres").exit_code == 0
    told = failure(local("up", "--postgres", "--postgres-port", str(free_port(port))))
    assert told.startswith(f"PostgreSQL is running on port {port}, not ")
    assert local("down", "--kafka").exit_code == 0
    assert local("status", "--postgres").exit_code == 0


def test_a_port_in_use_is_one_clear_line(local: Local) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        told = failure(local("up", "--postgres", "--postgres-port", str(port)))
    assert told == (
        f"port {port} for PostgreSQL is taken by another program. "
        "Stop that program, or give another port."
    )


def test_a_server_that_does_not_answer_is_not_up(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert local("up", "--postgres").exit_code == 0
    monkeypatch.setattr(LocalPostgres, "answers", lambda self: False)
    status = local("status", "--postgres")
    assert status.exit_code == 1
    assert "does not answer" in status.stdout
    assert "--database" not in status.stdout
    assert "is already running" in failure(local("up", "--postgres"))


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    for name in [name for name in sys.modules if name.startswith(("deploy", "commands.local"))]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(Failure, match=r"needs the package psutil\. Install it: pip install"):
        importlib.import_module("commands.local")


def test_status_of_nothing_makes_nothing(local: Local, tmp_path: Path) -> None:
    assert local("status").exit_code == 1
    assert local("down").exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_addresses_are_not_folded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    with LocalPostgres(tmp_path / "postgres") as server:
        done = CliRunner().invoke(command, ["status", "--postgres", "--data", str(tmp_path)])
        assert f"--database {server.url}\n" in done.stdout


@pytest.mark.parametrize("name", ["up", "down", "status"])
def test_help_names_every_option_and_its_variable(name: str) -> None:
    shown = CliRunner().invoke(command, [name, "--help"]).output
    for words in ("--data PATH", "BOOKENDED_LOCAL_DATA", "--kafka", "--postgres"):
        assert words in shown
    if name == "up":
        assert "BOOKENDED_KAFKA_PORT" in shown
        assert "BOOKENDED_POSTGRES_PORT" in shown
