"""The fixtures `kafka` and `postgres`: real servers, chosen by what is there, ended for certain."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from deploy.local.ports import HOST
from deploy.local.postgres import LocalPostgres
from deploy.local.process import is_alive
from tests import servers
from tests.local.clients import execute, make_topic, publish, values_in
from tests.servers import ContainerPostgres, KafkaServer, PostgresServer

LEFT_BEHIND = """
import os, sys, time
from pathlib import Path
from deploy.local.postgres import LocalPostgres
from deploy.local.process import is_alive
from tests.servers import server_root
with server_root(Path(sys.argv[1])) as root:
    LocalPostgres(root / "postgres").start()
    print(root, flush=True)
    time.sleep(600)
"""


def test_kafka_takes_and_gives_records(kafka: KafkaServer) -> None:
    make_topic(kafka.bootstrap, "servers-test")
    publish(kafka.bootstrap, "servers-test", [b"value"])
    assert values_in(kafka.bootstrap, "servers-test", 1) == [b"value"]


def test_postgres_has_a_database_for_each_test(postgres: PostgresServer) -> None:
    url = postgres.database("servers_test")
    assert execute(url, "SELECT current_database()") == [("servers_test",)]
    assert execute(postgres.url, "SELECT current_database()") == [("bookended",)]


def test_databases_are_made_over_the_address_of_a_container(tmp_path: Path) -> None:
    with LocalPostgres(tmp_path) as local:
        password = (local.directory / "password").read_text(encoding="ascii").strip()
        monkeypatch = pytest.MonkeyPatch()
        with monkeypatch.context() as patch:
            patch.setattr(servers, "_PASSWORD", password)
            server = ContainerPostgres(local.address)
            assert servers._postgres_answers(server)
            urls = [server.database(name) for name in ("a", "a")]
            assert execute(urls[1], "SELECT current_database()") == [("a",)]
        assert not servers._postgres_answers(server)


def test_what_a_killed_run_left_is_ended_and_removed(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LEFT_BEHIND, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process, process.stdout as said:
        try:
            left = Path(said.readline().strip())
            assert left.parent == tmp_path
            with servers.server_root(tmp_path):
                assert LocalPostgres(left / "postgres").answers(), "a run that lives is left alone"
        finally:
            process.kill()
    server = LocalPostgres(left / "postgres")
    assert server.answers()
    running = server.process()
    assert running is not None
    with servers.server_root(tmp_path) as root:
        assert [path for path in tmp_path.iterdir() if path.is_dir()] == [root]
    assert not is_alive(running)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


@pytest.mark.parametrize(("wanted", "chosen"), [("local", "local"), ("containers", "containers")])
def test_the_choice_can_be_made(wanted: str, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_SERVERS", wanted)
    assert servers.choice.__wrapped__() == chosen


def test_without_a_docker_engine_the_servers_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_SERVERS", "")
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{HOST}:1")
    assert servers.choice.__wrapped__() == "local"
    monkeypatch.setenv("TEST_SERVERS", "both")
    with pytest.raises(ValueError, match="TEST_SERVERS=both"):
        servers.choice.__wrapped__()


INNER = """
import pytest
from pathlib import Path
from deploy.local import jars
pytest_plugins = ["tests.servers"]

@pytest.fixture(scope="session", autouse=True)
def nothing_installed():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "jgo", None)
        yield

def test_needs_kafka(kafka): pass
def test_needs_postgres(postgres): print(postgres.url)
"""


def test_what_cannot_be_had_fails_and_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "test_inner.py").write_text(INNER, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "TEST_SERVERS": "local",
            "TMPDIR": tempfile.gettempdir(),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    shown = " ".join(done.stdout.split())
    assert "these tests need a real Kafka, and there is no Docker engine." in shown
    assert "pip install 'bookended[local]'" in shown
    assert "1 passed, 1 error" in shown
    assert "PostgreSQL for these tests: local process" in shown
    assert "skipped" not in shown
