"""A session to look into, event by event: a real log, folded by a real processor.

Only for tests.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from commands.session_log import BOUNDS, LogOfSettings
from commands.settings import Exploring
from models.records import Event
from tests.explore.served import Answer
from tests.processor_shell.world import World, event, session_id

HOSTILE: Final = """<script>alert(1)</script>\u202e"""
START: Final = {"media.length": 600, "media.contentType": "VOD", "media.name": HOSTILE}
AD: Final = {"media.ad.id": "a", "media.ad.length": 5, "media.ad.podPosition": 1}
BREAK: Final = {"media.ad.podIndex": 1, "media.ad.podSecond": 0}
ID: Final = session_id(1)
OTHER: Final = 2
"""The number of the session whose records lie between its own."""


def a_session() -> list[Event]:
    """An ad whose break is never completed, a repeat, a late ping, and a state that ends."""
    return [
        event("sessionStart", 0, params=START, custom={"who": HOSTILE}),
        event("play", 0),
        event("stateStart", 10, params={"media.state.name": "mute"}),
        event("ping", 20),
        event("ping", 20),
        event("adBreakStart", 30, params=BREAK),
        event("adStart", 30, params=AD),
        event("stateEnd", 35, playhead_ms=30_000, params={"media.state.name": "mute"}),
        event("adComplete", 40, playhead_ms=30_000),
        event("ping", 12)._replace(received_at=event("ping", 41).received_at),
        event("sessionEnd", 50, playhead_ms=30_000),
        event("ping", 60),
    ]


def log_of(world: World, archive: Path | None = None, **bounds: int) -> LogOfSettings:
    settings = Exploring(data=world.folder)
    return LogOfSettings(settings, archive, BOUNDS._replace(**bounds))


@contextmanager
def new_world(folder: Path) -> Iterator[World]:
    """A log without records, closed at the end."""
    world = World(folder)
    try:
        yield world
    finally:
        world.close()


def play(world: World, some: slice = slice(None)) -> None:
    """Appends events of `a_session`, with records of another one between them, and processes."""
    for one in a_session()[some]:
        world.append_events(1, one)
        world.append_events(OTHER, one._replace(type="ping", params=None, custom=None))
    world.now_ms = event("ping", 60).received_at
    world.process()


def rows_of_events(page: Answer) -> list[str]:
    return [row.text for row in page.all("tr")[1:]]
