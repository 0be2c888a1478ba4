"""A collector and two processors over Kafka and PostgreSQL, each a process of its own.

Only for tests.
"""

import contextlib
import re
import socket
import time
from pathlib import Path

from models.kafka_log import parse_kafka_url
from tests.commands.http import request
from tests.commands.processes import Cli, Server
from tests.kafka.broker import all_records

READ_WITHIN_S = 120.0


class Production:
    """`args`: what the processors are told besides."""

    def __init__(self, directory: Path, settings: dict[str, str], args: tuple[str, ...]) -> None:
        self.directory = directory
        self.settings = settings
        self.migrate()
        self.shown: list[str] = []
        self.collectors: list[Server] = []
        self.urls: list[str] = []
        self.processors = [self._processor(args) for _ in range(2)]
        self.collect()

    def migrate(self) -> None:
        done = Cli(self.directory)("migrate", **self.settings)
        assert done.returncode == 0, done.stderr

    def _processor(self, args: tuple[str, ...]) -> Server:
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.shown.append(f"127.0.0.1:{free.getsockname()[1]}")
        args = ("process", "--metrics-listen", self.shown[-1], *args)
        return Server(self.directory, args, self.settings)

    def collect(self) -> None:
        """One more collector."""
        args = ("collect", "--listen", "127.0.0.1:0")
        self.collectors.append(Server(self.directory, args, self.settings))
        entry = self.collectors[-1].wait_for("collector_listening")
        self.collectors[-1].wait_for("collector_ready")
        self.urls.append(f"http://{entry['host']}:{entry['port']}")

    def read(self) -> int:
        """Records that the two have read."""
        bodies = [request(f"http://{shown}/metrics").body.decode() for shown in self.shown]
        totals = [re.findall(r"(?m)^bookended_processor_records_total (\S+)", b) for b in bodies]
        return round(sum(float(total) for (total,) in totals))

    def wait_until_read(self) -> None:
        wanted = len(all_records(parse_kafka_url(self.settings["BOOKENDED_LOG"])))
        deadline = time.monotonic() + READ_WITHIN_S
        while self.read() < wanted:
            assert time.monotonic() < deadline, (self.read(), wanted)
            time.sleep(0.2)

    def end(self) -> None:
        for server in (*self.processors, *self.collectors):
            server.end()
