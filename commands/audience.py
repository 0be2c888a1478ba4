"""A realistic audience: what viewers watch, how long, and what happens to them on the way.

Before the record's way: what `simulate` plays. Pure: all chance comes from the caller's generator,
so that one seed gives one audience. Imports `players`.
"""

from random import Random
from typing import Final, NamedTuple

from commands.players import Content, Player, Sent

LIBRARY: Final = (
    Content("movie-42", "Night Train", 1_500),
    Content("movie-77", "Salt and Iron", 1_200),
    Content("series-7", "Harbour Lights, Episode 3", 900),
    Content("series-8", "Harbour Lights, Episode 4", 900, channel="app"),
    Content("clip-3", "Goals of the Week", 240, channel="app"),
    Content("song-11", "Slow River", 200, type="Song", channel="app"),
)
CHANNELS: Final = (
    Content("live-1", "Evening News", 0, type="Live"),
    Content("live-2", "Cup Final", 0, type="Live", channel="tv"),
)
_CHAPTER_MS: Final = 120_000
_WATCHED_MAX_MS: Final = 900_000


class Session(NamedTuple):
    """One viewer's session as its player would send it, `at_ms` from its own beginning.

    `offline`: the whole session goes as one downloaded list.
    """

    number: int
    visitor: str
    sent: list[Sent]
    offline: bool

    @property
    def duration_ms(self) -> int:
        return self.sent[-1].at_ms


def session(number: int, chance: Random) -> Session:
    """The session with this number; its `ts` count from 0 and are shifted when it is played."""
    player = Player(start_ts=0, playhead_ms=0)
    visitor = f"visitor-{chance.randrange(1, 5_000)}"
    offline = chance.random() < 0.02
    is_live = not offline and chance.random() < 0.12
    content = chance.choice(CHANNELS if is_live else LIBRARY)
    extra = {"visitor.marketingCloudUserId": visitor, "media.downloaded": offline}
    player.open(content, extra)
    if chance.random() < 0.03:  # left before anything started
        return Session(number, visitor, player.sent, offline)
    if not is_live and chance.random() < 0.6:
        _pre_roll(player, chance)
    else:
        player.send("bufferStart")
        player.stand(chance.randrange(200, 4_000))
    player.send("play", qoeData=_quality(chance))
    _watch(player, content, chance)
    return Session(number, visitor, player.sent, offline)


def _pre_roll(player: Player, chance: Random) -> None:
    spots = chance.sample(range(1, 30), k=chance.choice((1, 1, 2)))
    player.pod(1, "pre-roll", {f"spot-{spot}": chance.choice((10_000, 15_000)) for spot in spots})


def _watch(player: Player, content: Content, chance: Random) -> None:
    length_ms = content.length_s * 1000 or _WATCHED_MAX_MS
    stays = min(length_ms, _WATCHED_MAX_MS, int(chance.expovariate(1 / 360_000)) + 5_000)
    pods, chapters = 1, 0
    while player.playhead_ms < stays:
        if content.length_s >= 900 and player.playhead_ms >= chapters * _CHAPTER_MS:
            chapters = _next_chapter(player, chapters)
        player.play(min(chance.randrange(20_000, 120_000), stays - player.playhead_ms))
        if player.playhead_ms < stays:
            pods += _interruption(player, pods, chance)
    if stays == length_ms and content.length_s:
        player.send("sessionComplete")
    if chance.random() < 0.85:  # others just vanish
        player.send("sessionEnd")


def _next_chapter(player: Player, chapters: int) -> int:
    if chapters:
        player.send("chapterComplete")
    player.start_chapter(chapters + 1, f"Chapter {chapters + 1}", _CHAPTER_MS)
    return chapters + 1


def _interruption(player: Player, pods: int, chance: Random) -> int:
    """What comes between two stretches of content; 1 when it was an ad break."""
    what = chance.choices(
        ("nothing", "break", "pause", "buffer", "stall", "seek", "state", "quality", "error"),
        weights=(30, 14, 12, 10, 5, 10, 7, 9, 3),
    )[0]
    if what == "break":
        _mid_roll(player, pods, chance)
    elif what == "pause":
        player.send("pauseStart")
        player.stand(chance.randrange(2_000, 90_000))
        player.send("play")
    elif what == "buffer":
        player.send("bufferStart")
        player.stand(chance.randrange(300, 8_000))
        player.send("play")
    elif what == "stall":
        player.stand(chance.randrange(4_000, 12_000), ping_ms=1_500)
    elif what == "seek":
        player.playhead_ms += chance.randrange(10_000, 60_000)
    elif what == "state":
        player.send(chance.choice(("stateStart", "stateEnd")), {"media.state.name": "fullScreen"})
    elif what == "quality":
        player.send("bitrateChange", qoeData=_quality(chance))
    elif what == "error":
        player.send("error", {"media.errorId": "segment-404", "media.errorSource": "player"})
    return int(what == "break")


def _mid_roll(player: Player, pods: int, chance: Random) -> None:
    player.start_break(pods + 1, "mid-roll")
    for position in range(1, chance.choice((2, 3, 4))):
        length_ms = chance.choice((10_000, 15_000, 20_000))
        skips = 5_000 if chance.random() < 0.2 else None
        player.ad(f"spot-{chance.randrange(1, 30)}", position, length_ms, skips)
    player.send("adBreakComplete")
    player.send("play")


def _quality(chance: Random) -> dict[str, int]:
    return {
        "media.qoe.bitrate": chance.choice((800, 1_600, 3_200, 6_000)),
        "media.qoe.droppedFrames": chance.randrange(0, 60),
        "media.qoe.timeToStart": chance.randrange(300, 4_000),
    }
