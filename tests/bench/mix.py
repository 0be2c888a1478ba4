"""The usual mix: sessions as players send them, 95 % pings, as the records of a log.

Content, a pause, sometimes chapters, sometimes an ad break with two ads, the end. Sessions begin
one after the other, so that at any time they are at every stage. Players are a little unsteady and
the network takes its time, as in life.
"""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from operator import itemgetter
from random import Random
from typing import Any, Final

from commands.players import Content, Player
from models.avro import encode
from models.records import Event, LogRecord, playhead_to_ms
from models.requests import RequestReader

T0_MS: Final = 1_760_000_000_000
CHUNK: Final = 500
"""Records at a time, as the processor polls them (`RunnerSettings.poll_records_max`)."""

_EPISODE: Final = Content("episode-8", "Harbour Lights, Episode 4", 2_700)
_UNSTEADY_MS_MAX: Final = 40
_LATE_MS_MAX: Final = 300


Stored = tuple[int, bytes, bytes]
"""A record as a log keeps it: arrival time, key, value. A plain tuple of plain values is nothing to
Python's garbage collector, so that it does not pay for a log that production has on the disk."""


def session_ids(chance: Random, count: int) -> list[str]:
    return [f"{chance.getrandbits(256):064x}" for _ in range(count)]


def viewing(chance: Random, content_ms: int) -> list[Event]:
    """One session of so much content, its `ts` counted from `T0_MS`. Half of them have chapters,
    half of them an ad break."""
    player = Player(start_ts=T0_MS)
    has_chapters = chance.random() < 0.5
    player.open(_EPISODE)
    player.send("play")
    if has_chapters:
        player.start_chapter(1, "Arrival", content_ms // 2)
    first_ms = chance.randrange(content_ms // 10, content_ms // 2)
    player.play(first_ms)
    player.send("pauseStart")
    player.stand(chance.randrange(15_000, 90_000))
    player.send("play")
    player.play(content_ms // 2 - first_ms)
    if has_chapters:
        player.send("chapterComplete")
    if chance.random() < 0.5:
        player.pod(1, "mid-roll", {"ad-1": 15_000, "ad-2": 20_000})
    if has_chapters:
        player.start_chapter(2, "The storm", content_ms // 2)
    player.play(content_ms // 2)
    if has_chapters:
        player.send("chapterComplete")
    player.send("sessionEnd")
    return [_event(sent.body) for sent in player.sent]


def _event(body: dict[str, Any]) -> Event:
    if body["eventType"] != "ping":
        return _reader().read_event(json.dumps(body).encode())
    time = body["playerTime"]
    return Event("ping", time["ts"], playhead_to_ms(time["playhead"]))


@cache
def _reader() -> RequestReader:
    return RequestReader("standard")


def arrivals(
    chance: Random, session_id: str, events: Sequence[Event], start_ms: int
) -> Iterator[Stored]:
    """The session's records when it starts `start_ms` later; none overtakes another."""
    ts = received_at = stands_at = playhead_ms = 0
    for event in events:
        unsteady_ms = chance.randrange(_UNSTEADY_MS_MAX)
        ts = max(ts, event.ts + start_ms + unsteady_ms)
        if event.playhead_ms != stands_at:
            stands_at = event.playhead_ms
            playhead_ms = max(playhead_ms, stands_at + unsteady_ms)
        received_at = max(received_at + 1, ts + chance.randrange(20, _LATE_MS_MAX))
        sent = event._replace(ts=ts, playhead_ms=playhead_ms)
        yield received_at, session_id.encode(), encode(session_id, (sent,))


def whole_log(chance: Random, sessions: int, content_ms: int) -> list[Stored]:
    """Whole sessions, begun evenly over the length of one."""
    log: list[Stored] = []
    for number, session_id in enumerate(session_ids(chance, sessions)):
        events = viewing(chance, content_ms)
        log += arrivals(chance, session_id, events, content_ms * number // sessions)
    log.sort(key=itemgetter(0))
    return log


def live_log(chance: Random, sessions: int, content_ms: int) -> list[Stored]:
    """Sessions that are all alive when the log ends, at every stage."""
    log: list[Stored] = []
    for session_id in session_ids(chance, sessions):
        events = viewing(chance, content_ms)
        now_ms = chance.randrange(events[0].ts, events[-1].ts)
        sent = [event for event in events if event.ts <= now_ms]
        log += arrivals(chance, session_id, sent, events[-1].ts - now_ms)
    log.sort(key=itemgetter(0))
    return log


def chunks(log: Sequence[Stored], first: int = 0) -> Iterator[list[LogRecord]]:
    """Records from offset `first` on as a source hands them over: their bytes are new in memory,
    and near, as after reading them from a file or a socket."""
    for begin in range(0, len(log), CHUNK):
        yield [
            LogRecord(0, offset, received_at, _copy(key), _copy(value))
            for offset, (received_at, key, value) in enumerate(
                log[begin : begin + CHUNK], first + begin
            )
        ]


def _copy(data: bytes) -> bytes:
    return bytes(memoryview(data))
