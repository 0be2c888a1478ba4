"""The world of a shell test: a data directory of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processor_shell.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()
