"""What the command line's tests share: processes that end with the test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.commands.processes import Cli, Server


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a server in the test's directory; all of them end with the test."""
    servers: list[Server] = []

    def start(*args: str, **settings: str) -> Server:
        servers.append(Server(tmp_path, args, settings))
        return servers[-1]

    yield start
    for server in servers:
        server.end()
