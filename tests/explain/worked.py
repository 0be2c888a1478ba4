"""Worked sessions in a real database, as a processor leaves them. Only for tests."""

from collections.abc import Sequence
from pathlib import Path

from models.policy import Policy
from models.records import Record
from tests.golden.loading import load_golden
from tests.processor_shell.postgres_world import PostgresWorld
from tests.processor_shell.world import World
from tests.reference.arrivals import Arrival, Tick


def make_world(folder: Path, policy: Policy, url: str) -> World:
    """`url`: a database on PostgreSQL with the newest schema, or empty for a file."""
    return PostgresWorld(folder, policy, url=url) if url else World(folder, policy)


def id_of(name: str) -> str:
    """The id that a worked session gets: its name, without what an id must not have."""
    return name.replace("-", "").ljust(64, "0")


def world_of(folder: Path, name: str, url: str = "") -> World:
    """A world in which a worked session has been processed."""
    golden = load_golden(name, id_of(name))
    world = make_world(folder, golden.policy, url)
    records = [step.record for step in golden.steps if isinstance(step, Arrival)]
    process(world, records)
    for step in golden.steps:
        if isinstance(step, Tick):
            world.now_ms = step.at + world.settings.tick_delay_ms
            world.process()
    return world


def process(world: World, records: Sequence[Record]) -> None:
    """Appends and folds them; no tick closes anything."""
    world.append(*records)
    world.now_ms = max(event.received_at for record in records for event in record.events)
    world.process()


def address(world: World) -> str:
    """Of the world's database."""
    return world.engine.url.render_as_string(hide_password=False)
