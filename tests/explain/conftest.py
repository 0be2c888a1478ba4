"""Every test of `bookended explain` that reads a database can have either."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.commands.processes import Cli
from tests.explain.worked import address, world_of
from tests.processor_shell.world import World

Explain = Callable[..., str]
MakeWorld = Callable[[str], World]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def make_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeWorld]:
    """Processes a worked session into a database; one a test."""
    made: list[World] = []

    def make(name: str) -> World:
        is_file = request.param == "sqlite"
        url = "" if is_file else request.getfixturevalue("postgres_url")
        made.append(world_of(tmp_path, name, url))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def explain(cli: Cli) -> Explain:
    """What the command prints of a world's session, by the real program."""

    def run(world: World, *args: str, **settings: str) -> str:
        done = cli("explain", *args, BOOKENDED_DATABASE=address(world), **settings)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run
