"""What compose.yaml starts of our programs, started here: its commands with its variables over a
real Kafka and a real PostgreSQL, as processes instead of containers."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from deploy import probe
from deploy.local.ports import free_port
from tests.commands.http import request
from tests.commands.processes import Cli, Server
from tests.commands.test_http_to_sql import GOLDEN, listening, play_golden
from tests.deploy.files import Part, compose, services_of_ours
from tests.deploy.roles import PROCESSOR, READER, Roles, new_database
from tests.golden.loading import load_golden
from tests.servers import KafkaServer, PostgresServer

DONE_WITHIN_S: Final = 120.0
TOKEN: Final = "of-the-explorer-in-compose"
PARTS: Final[dict[str, Part]] = {part.name: part for part in services_of_ours()}


class Placed:
    """The variables of compose.yaml, with the addresses and files of this machine."""

    def __init__(self, kafka: KafkaServer, roles: Roles) -> None:
        self.roles = roles
        self._log = f"kafka://{kafka.bootstrap}/compose-{os.getpid()}"
        self._keys = roles.directory / "sid.keys"
        self._keys.write_text(f"{1:064x}\n", encoding="ascii")
        self._keys.chmod(0o400)
        self._token = roles.directory / "token"
        self._token.write_text(f"{TOKEN}\n", encoding="ascii")
        self._token.chmod(0o400)

    def __call__(self, name: str, **more: str) -> dict[str, str]:
        found = dict(PARTS[name].environment)
        address, _, query = found["BOOKENDED_LOG"].partition("?")
        assert address.startswith("kafka://kafka:9092/")
        found["BOOKENDED_LOG"] = f"{self._log}?{query}"
        if "BOOKENDED_DATABASE" in found:
            role = found["BOOKENDED_DATABASE"].partition("//")[2].partition("@")[0]
            found |= self.roles.settings(role)
        if "BOOKENDED_SID_KEY_FILE" in found:
            found["BOOKENDED_SID_KEY_FILE"] = str(self._keys)
        if "BOOKENDED_EXPLORE_TOKEN_FILE" in found:
            found["BOOKENDED_EXPLORE_TOKEN_FILE"] = str(self._token)
        kept = {key: text for key, text in found.items() if key.startswith("BOOKENDED_")}
        return kept | {"BOOKENDED_DATA": str(self.roles.directory / "none")} | more


@pytest.fixture
def placed(kafka: KafkaServer, postgres: PostgresServer, tmp_path: Path) -> Iterator[Placed]:
    with new_database(postgres, f"compose_{os.getpid()}") as url:
        yield Placed(kafka, Roles(url, tmp_path))


def started(stack: ExitStack, directory: Path, name: str, settings: dict[str, str]) -> Server:
    server = Server(directory, tuple(PARTS[name].command), settings)
    stack.callback(server.end)
    return server


def test_events_become_rows(placed: Placed, tmp_path: Path) -> None:
    done = Cli(tmp_path)(*PARTS["migrate"].command, **placed("migrate"))
    assert done.returncode == 0, done.stderr
    ports = {"processor-1": free_port(), "processor-2": free_port()}
    with ExitStack() as stack:
        settings = placed("collector", BOOKENDED_LISTEN="127.0.0.1:0")
        collector = started(stack, tmp_path, "collector", settings)
        processors = [
            started(
                stack,
                tmp_path,
                name,
                placed(name, BOOKENDED_METRICS_LISTEN=f"127.0.0.1:{port}"),
            )
            for name, port in ports.items()
        ]
        url = listening(collector)
        collector.wait_for("collector_ready")
        ids = {name: play_golden(url, name) for name in GOLDEN}
        expected = {ids[name]: load_golden(name).expected["content_ms"] for name in GOLDEN}
        wait_for_rows(placed.roles, expected)
        for path in ("/healthz", "/readyz", "/metrics"):
            assert [probe.main(path, port) for port in ports.values()] == [0, 0], path
        settings = placed("explorer", BOOKENDED_EXPLORE_LISTEN="127.0.0.1:0")
        explorer = started(stack, tmp_path, "explorer", settings)
        assert_explored(explorer, ids)
        assert [server.stop() for server in (collector, *processors, explorer)] == [0, 0, 0, 0]
    assert not (placed.roles.directory / "none").exists(), "nothing is written to the file system"
    done = Cli(tmp_path)("check", **placed("processor-1"))
    assert done.returncode == 0, done.stdout
    assert PROCESSOR in done.stdout


def assert_explored(explorer: Server, ids: dict[str, str]) -> None:
    """It is healthy by compose's own probe, and shows each session to who has the token."""
    url = str(explorer.wait_for("explorer_listening")["url"])
    *_, path, _ = compose()["services"]["explorer"]["healthcheck"]["test"]
    assert probe.main(path, urlsplit(url).port or 0) == 0
    assert request(f"{url}/sessions").status == 401
    for name, session_id in ids.items():
        answer = request(f"{url}/session?id={session_id}", token=TOKEN)
        assert answer.status == 200, answer.body
        content_ms = load_golden(name).expected["content_ms"]
        assert f'<data value="{content_ms}">'.encode() in answer.body


def wait_for_rows(roles: Roles, expected: dict[str, int]) -> None:
    deadline = time.monotonic() + DONE_WITHIN_S
    with roles.connected(READER) as connection:
        while True:
            rows = connection.execute("SELECT session_id, content_ms FROM sessions").fetchall()
            if dict(rows) == expected:
                return
            assert time.monotonic() < deadline, (dict(rows), expected)
            time.sleep(0.2)
