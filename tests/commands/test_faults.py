"""Faults of files and settings: one clear line that names the thing and the next step.

Each through the real program, before it serves anything. Exit code 1 for what failed, 2 for what
was given wrongly, and nothing half-written: what could not start can start once the fault is gone.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.commands.confined import bound_by_permissions, small_disk
from tests.commands.processes import Cli

STARTS = ("migrate", "run", "collect", "process")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "bookended-data"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with log and database, made once."""
    directory = tmp_path_factory.mktemp("template")
    assert Cli(directory)("migrate").returncode == 0
    return directory / "bookended-data"


@pytest.fixture
def filled(template: Path, data: Path) -> Path:
    """A data directory with log and database, of the test's own."""
    shutil.copytree(template, data)
    return data


def told(done: object, *parts: str) -> None:
    """One line, for users, with these parts in it, and exit code 1."""
    code, stdout, stderr = (getattr(done, name) for name in ("returncode", "stdout", "stderr"))
    lines = [line for line in stderr.splitlines() if line.startswith("bookended: ")]
    assert (code, len(lines)) == (1, 1), (stdout, stderr)
    assert "Traceback" not in stderr
    for part in parts:
        assert part in lines[0]


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.parametrize("command", STARTS)
def test_a_directory_below_a_file(cli: Cli, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("")
    done = cli(command, "--data", "file/data")
    told(done, "data directory file/data", "is a file", "--data DIR")
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.parametrize("command", STARTS)
def test_a_read_only_directory(cli: Cli, data: Path, command: str) -> None:
    data.mkdir(mode=0o500)
    done = cli(command, before=bound_by_permissions())
    told(done, "data directory bookended-data", "read-only", "writable for this user")
    assert list(data.iterdir()) == []
    data.chmod(0o700)


@pytest.mark.parametrize("name", ["log.db", "analytics.db"])
def test_a_read_only_file(cli: Cli, filled: Path, name: str) -> None:
    (filled / name).chmod(0o400)
    told(cli("run", before=bound_by_permissions()), name, "read-only", "writable for this user")
    done = cli("check", before=bound_by_permissions())
    assert done.returncode == 1
    assert "it is read-only" in " ".join(done.stdout.split())


@pytest.mark.parametrize("command", ["migrate", "run"])
def test_a_full_disk(cli: Cli, data: Path, command: str) -> None:
    data.mkdir()
    done = cli(command, before=small_disk(data, 40 * 1024))
    told(done, "bookended-data/", "disk", "space")
    assert cli("migrate").returncode == 0, "what was left behind is no obstacle"


@pytest.mark.parametrize("name", ["log.db", "analytics.db"])
def test_a_locked_file(cli: Cli, data: Path, name: str) -> None:
    """The first start: a file that is made already needs no lock."""
    data.mkdir()
    change(data / name, "PRAGMA user_version = 0")
    with locked(data / name):
        told(cli("run", "--listen", "127.0.0.1:0"), name, "locked", "Stop that program")
    assert cli("migrate").returncode == 0


NEWER_LOG = "UPDATE log_meta SET schema_version = 99"
NEWER_DATABASE = "UPDATE alembic_version SET version_num = '9999'"


@pytest.mark.parametrize(
    ("command", "name"),
    [(command, "log.db") for command in (*STARTS, "check")]
    + [(command, "analytics.db") for command in ("migrate", "run", "process", "check")],
)
def test_a_data_directory_of_a_newer_release(
    cli: Cli, filled: Path, command: str, name: str
) -> None:
    change(filled / name, NEWER_LOG if name == "log.db" else NEWER_DATABASE)
    before = (filled / name).read_bytes()
    done = cli(command)
    if command == "check":
        assert done.returncode == 1
        assert "newer than" in " ".join(done.stdout.split())
    else:
        told(done, f"bookended-data/{name}", "newer than", "nstall the release that wrote it")
    assert (filled / name).read_bytes() == before


@pytest.mark.parametrize("name", ["log.db", "analytics.db"])
def test_a_file_that_is_no_database(cli: Cli, filled: Path, name: str) -> None:
    (filled / name).write_text("nothing that SQLite could read" * 100)
    told(cli("run", "--listen", "127.0.0.1:0"), name, "damaged or no SQLite file", "backup")


READS_ROWS = (
    "dead-letters list",
    "diff 2",
    "explain abc",
    "export sessions --format csv",
    "forget --visitor x",
    "projections drop 2",
    "projections list",
    "promote 2",
    "rollback",
    "verify",
)


@pytest.mark.parametrize("command", READS_ROWS)
def test_a_database_that_is_not_there(cli: Cli, data: Path, command: str) -> None:
    """A mistyped directory is told, and nothing is made in it."""
    data.mkdir()
    done = cli(*command.split())
    told(done, "database bookended-data/analytics.db: there is no such file", "--data")
    assert list(data.iterdir()) == []


@pytest.mark.parametrize("command", READS_ROWS)
def test_a_database_that_is_damaged(cli: Cli, filled: Path, command: str) -> None:
    (filled / "analytics.db").write_text("nothing that SQLite could read" * 100)
    done = cli(*command.split())
    told(done, "database bookended-data/analytics.db: it is damaged or no SQLite file", "backup")


def test_a_database_that_stays_locked(cli: Cli, filled: Path) -> None:
    with locked(filled / "analytics.db"):
        done = cli("promote", "2")
    told(done, "database bookended-data/analytics.db: another program", "Stop that program")


@pytest.mark.parametrize("command", ["run", "process"])
def test_two_files_that_do_not_belong_together(cli: Cli, filled: Path, command: str) -> None:
    change(
        filled / "analytics.db",
        "INSERT INTO progress (projection, log_partition, version, next_offset, log_id) "
        "VALUES (1, 0, 1, 1, 'another')",
    )
    told(cli(command), "filled from another log", "start with an empty database")
    done = cli("check")
    assert done.returncode == 1
    assert "filled from another log" in " ".join(done.stdout.split())


def test_keys_that_are_none(cli: Cli, filled: Path) -> None:
    (filled / "sid.key").write_text("short")
    (filled / "sid.key").chmod(0o600)
    told(cli("run", "--listen", "127.0.0.1:0"), "sid.key", "openssl rand -hex 32")


def test_wrong_settings_are_told_together_and_nothing_is_made(cli: Cli, data: Path) -> None:
    done = cli("run", "--listen", "nowhere", "--tls-cert", "gone.pem", BOOKENDED_PROFILE="lax")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert [line.split(":")[1].split("=")[0].split()[0] for line in lines] == [
        "--listen",
        "BOOKENDED_PROFILE",
        "BOOKENDED_TLS_KEY",
    ]
    assert not data.exists()


def test_an_unknown_option_is_wrong_usage(cli: Cli) -> None:
    done = cli("run", "--lissen", "x")
    assert done.returncode == 2
    assert "--lissen" in done.stderr
    assert cli("walk").returncode == 2
