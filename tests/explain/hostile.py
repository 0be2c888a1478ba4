"""A session whose names would do harm if they were shown as they came. Only for tests."""

from typing import Final

from models.records import Event
from tests.processor_shell.world import event

HOSTILE: Final = "<script>alert('x')</script>\x1b[2J\x07\u202e&\u2066\"]]>\n"
HARMLESS: Final = "<script>alert('x')</script>\\u{1b}[2J\\u{7}\\u{202e}&\\u{2066}\"]]>\\u{a}"
"""The same as it may be shown in a terminal."""


def hostile_events() -> tuple[Event, ...]:
    """In every place from which a text reaches what is shown."""
    start = {"media.id": HOSTILE, "media.name": HOSTILE, "media.playerName": HOSTILE}
    start |= {"media.sdkVersion": HOSTILE, "media.length": "nonsense", HOSTILE: HOSTILE}
    chapter = {"media.chapter.index": 1, "media.chapter.friendlyName": HOSTILE}
    ad_break = {"media.ad.podIndex": 1, "media.ad.podFriendlyName": HOSTILE}
    ad = {"media.ad.id": HOSTILE, "media.ad.name": HOSTILE}
    return (
        event("sessionStart", 0, params=start),
        event("play", 0),
        event("chapterStart", 1, params=chapter),
        event("adBreakStart", 5, params=ad_break),
        event("adStart", 5, params=ad),
        event("ping", 15, playhead_ms=5_000),
        event("stateStart", 16, playhead_ms=5_000, params={"media.state.name": HOSTILE}),
        event("sessionEnd", 20, playhead_ms=5_000),
    )
