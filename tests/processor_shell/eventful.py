"""A small log in which every kind of row, close and move happens. Only for tests.

With a checkpoint every two events: what a later record takes back was written before.
"""

from dataclasses import replace

from models.records import Event, Record
from tests.processor_shell.world import SMALL, World, event, session_id

TINY = replace(SMALL, checkpoint_events_max=2, poll_records_max=1, tick_sessions_max=1)
LAST_S = 60.0
"""Arrival of the last event, seconds after the first."""

AD = {"media.ad.id": "ad-1", "media.ad.length": 5, "media.ad.podPosition": 1}
START = {"media.id": "film", "media.length": 100, "media.channel": "N/A"}
CHAPTER = {"media.chapter.index": 1, "media.chapter.offset": 0, "media.chapter.length": 50}
PLAYER_STATE = {"media.state.name": "mute"}
AD_BREAK = {"media.ad.podIndex": 0, "media.ad.podSecond": 0}


def write_eventful(world: World) -> None:
    """Appends it and sets the clock so that a tick closes what is still open."""
    _append(world, 1, 20, *_whole_session())
    # The adStart waits when a close with a smaller ts comes.
    _append(world, 2, 24, event("play", 21), event("adStart", 24, params=AD))
    _append(world, 2, 25, event("sessionEnd", 22))
    # The close belonged to the session before: its ts lies before the sessionStart.
    _append(world, 3, 26.5, event("play", 26), event("sessionEnd", 26.5))
    _append(world, 3, 28, event("sessionStart", 27, params=START), event("ping", 28))
    # Of two closes that wait, the one with the smaller ts holds.
    _append(world, 4, 29, event("play", 28), event("sessionEnd", 29))
    _append(world, 4, 29.5, event("sessionEnd", 28.5))
    world.append_bytes("x", b"junk", event("ping", 30).received_at)
    for at_s in (40, 48, 56):
        _append(world, 1, at_s, event("ping", at_s))
    _append(world, 5, LAST_S, event("play", LAST_S - 1), event("ping", LAST_S))
    world.now_ms = event("ping", LAST_S + 11 * 60).received_at + TINY.tick_delay_ms


def _append(world: World, number: int, at_s: float, *events: Event) -> None:
    """One record that arrives at `at_s`."""
    received_at = event("ping", at_s).received_at
    arrived = tuple(e._replace(received_at=received_at) for e in events)
    world.append(Record(session_id(number), False, arrived))


def _whole_session() -> tuple[Event, ...]:
    return (
        event("sessionStart", 0, params=START, custom={"k": "v"}),
        event("adBreakStart", 0, params=AD_BREAK),
        event("adStart", 0, params=AD),
        event("adComplete", 5, playhead_ms=0),
        event("adBreakComplete", 5, playhead_ms=0),
        event("play", 5, playhead_ms=0),
        event("chapterStart", 5, playhead_ms=0, params=CHAPTER),
        event("stateStart", 6, params=PLAYER_STATE),
        event("error", 7, params={"media.errorId": "E1", "media.errorSource": "player"}),
        event("ping", 15, qoe={"bitrate": 1000}),
        event("sessionEnd", 20),
    )
