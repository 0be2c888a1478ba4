"""`process` over a real broker and a real PostgreSQL: its health, and how it leaves the group."""

import contextlib
import json
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local import LocalKafka
from tests.commands.http import request
from tests.commands.processes import Cli, Server
from tests.kafka.broker import new_topic
from tests.servers import PostgresServer

CHANGED_WITHIN_S = 120.0
SESSION_TIMEOUT = "300s"
"""Longer than a test waits: no partition changes hands by it."""


def until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + CHANGED_WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


class Processors:
    """Processors over one topic with one partition, and one database."""

    def __init__(self, directory: Path, broker: LocalKafka, postgres: PostgresServer) -> None:
        self.directory = directory
        log = new_topic(broker.bootstrap)
        self.settings = {
            "BOOKENDED_LOG": str(log),
            "BOOKENDED_DATABASE": postgres.database(f"p{uuid.uuid4().hex[:12]}"),
            "BOOKENDED_PARTITIONS": "1",
            "BOOKENDED_GROUP": f"group-{log.topic}",
            "BOOKENDED_SESSION_TIMEOUT": SESSION_TIMEOUT,
        }
        assert Cli(directory)("migrate", **self.settings).returncode == 0
        self.running: list[Server] = []

    def start(self, *args: str) -> tuple[Server, str]:
        """A processor and the URL of its health."""
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
            shown = f"127.0.0.1:{free.getsockname()[1]}"
        args = ("process", "--metrics-listen", shown, *args)
        server = Server(self.directory, args, self.settings)
        self.running.append(server)
        return server, f"http://{shown}"

    def leave(self, instance_id: str) -> str:
        settings = {name: self.settings[name] for name in ("BOOKENDED_LOG", "BOOKENDED_GROUP")}
        done = Cli(self.directory)("leave", "--instance-id", instance_id, **settings)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().partition(" group ")[0]

    def end(self) -> None:
        for server in self.running:
            server.end()


@pytest.fixture
def processors(
    tmp_path: Path, broker: LocalKafka, postgres: PostgresServer
) -> Iterator[Processors]:
    made = Processors(tmp_path, broker, postgres)
    yield made
    made.end()


def test_who_cannot_reach_the_log_is_not_ready(processors: Processors, broker: LocalKafka) -> None:
    """One that has no partition, because another has it, is ready, and tells a lost log as well."""
    first, of_first = processors.start("--instance-id", "one")
    first.wait_for("processor_claimed_partition")
    second, of_second = processors.start("--instance-id", "two")
    second.wait_for("processor_running")
    for url in (of_first, of_second):
        until(lambda url=url: request(f"{url}/readyz").status == 200, "ready")  # type: ignore[misc]
    assert b"bookended_processor_running 1.0" in request(f"{of_second}/metrics").body
    assert b"next_offset{" not in request(f"{of_second}/metrics").body
    assert request(f"{of_second}/nowhere").status == 404
    broker.kill()
    for server, url in ((first, of_first), (second, of_second)):
        server.wait_for("processor_retrying")
        answer = request(f"{url}/readyz")
        assert answer.status == 503
        assert json.loads(answer.body)["message"].startswith("retrying: log kafka://")
        assert request(f"{url}/healthz").status == 200
        assert b"bookended_processor_running 0.0" in request(f"{url}/metrics").body
    broker.start()
    for server, url in ((first, of_first), (second, of_second)):
        server.wait_for("processor_running")
        until(lambda url=url: request(f"{url}/readyz").status == 200, "ready")  # type: ignore[misc]
    assert (first.stop(), second.stop()) == (0, 0)


def test_one_that_left_for_good_is_taken_over_at_once(processors: Processors) -> None:
    first, _ = processors.start("--instance-id", "one")
    first.wait_for("processor_claimed_partition")
    second, _ = processors.start("--instance-id", "two")
    second.wait_for("processor_running")
    assert first.stop() == 0
    again, _ = processors.start("--instance-id", "one")  # a restart in place keeps the partition
    again.wait_for("processor_claimed_partition")
    assert again.stop() == 0
    assert processors.leave("one") == "instance one left"
    second.wait_for("processor_claimed_partition")
    assert processors.leave("one") == "instance one is not in"
    assert second.stop() == 0


def test_one_without_a_name_leaves_by_itself(processors: Processors) -> None:
    first, _ = processors.start()
    first.wait_for("processor_claimed_partition")
    second, _ = processors.start()
    second.wait_for("processor_running")
    assert first.stop() == 0
    second.wait_for("processor_claimed_partition")
    assert second.stop() == 0


def test_leaving_needs_a_name_and_a_log_in_kafka(tmp_path: Path) -> None:
    kafka = "kafka://127.0.0.1:9/x"
    for args, told in (
        (("--instance-id", "one"), "is a file, and its one processor is in no group"),
        (("--log", kafka), "say who is gone for good: the processor's --instance-id"),
    ):
        done = Cli(tmp_path)("leave", *args)
        assert done.returncode == 2
        assert told in done.stderr
