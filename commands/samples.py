"""The sample sessions of the demo: one for each thing worth seeing.

Before the record's way. Pure: the caller says when they end. Imports `players`.
"""

from typing import Final, NamedTuple

from commands.players import Content, Player, Sent, without

MOVIE: Final = Content("movie-42", "Night Train", 120)
SERIES: Final = Content("series-7", "Harbour Lights, Episode 3", 180)
NEWS: Final = Content("live-1", "Evening News", 0, type="Live")
EPISODE: Final = Content("series-8", "The Long Way Home", 90, channel="app")

WITH_BOOKENDS: Final = "pre-roll and mid-roll"
NO_CLOSING: Final = "same, closing missing"
NO_BOOKENDS: Final = "same, no bookends"


class Sample(NamedTuple):
    """One session to play. `late`: events that are sent after all others have been for 5 s."""

    title: str
    sent: list[Sent]
    offline: bool = False
    late: tuple[Sent, ...] = ()


def samples(end_ts: int) -> list[Sample]:
    """All sample sessions, each ending at about `end_ts` (ms since the epoch) by its own clock."""
    bookended = _with_ads(end_ts)
    return [
        _late_and_doubled(end_ts),
        Sample("plain video on demand", _plain(end_ts)),
        Sample(WITH_BOOKENDS, bookended),
        Sample(NO_CLOSING, without(bookended, "adBreakComplete")),
        Sample(NO_BOOKENDS, without(bookended, "adBreakStart", "adBreakComplete")),
        Sample("chapters, full screen", _chapters(end_ts)),
        Sample("pause, buffer, stall", _trouble(end_ts)),
        Sample("live, with a break", _live(end_ts)),
        Sample("watched offline", _offline(end_ts), offline=True),
        Sample("left in the pre-roll", _left_in_preroll(end_ts)),
    ]


def _plain(end_ts: int) -> list[Sent]:
    player = Player(end_ts - 120_000)
    player.open(MOVIE)
    player.send("play")
    player.play(120_000)
    player.send("sessionComplete")
    player.send("sessionEnd")
    return player.sent


def _with_ads(end_ts: int) -> list[Sent]:
    player = Player(end_ts - 165_000)
    player.open(MOVIE)
    player.pod(1, "pre-roll", {"spot-a": 15_000})
    player.send("play")
    player.play(60_000)
    player.pod(2, "mid-roll", {"spot-b": 20_000, "spot-c": 10_000})
    player.send("play")
    player.play(60_000)
    player.send("sessionComplete")
    player.send("sessionEnd")
    return player.sent


def _chapters(end_ts: int) -> list[Sent]:
    player = Player(end_ts - 150_000)
    player.open(SERIES, customMetadata={"mood": "quiet"})
    player.send("play")
    player.start_chapter(1, "Arrival", 70_000)
    player.play(30_000)
    player.send("stateStart", {"media.state.name": "fullScreen"})
    player.play(40_000)
    player.send("chapterComplete")
    player.start_chapter(2, "The storm", 110_000)
    player.play(60_000)
    player.send("stateEnd", {"media.state.name": "fullScreen"})
    player.play(20_000)
    player.send("sessionEnd")
    return player.sent


def _trouble(end_ts: int) -> list[Sent]:
    player = Player(end_ts - 113_000)
    player.open(SERIES)
    player.send("bufferStart")
    player.stand(3_000)
    player.send("play", qoeData={"media.qoe.bitrate": 3_200, "media.qoe.timeToStart": 2_900})
    player.play(40_000)
    player.send("pauseStart")
    player.stand(25_000)
    player.send("play")
    player.play(20_000)
    player.send("ping")
    player.stand(8_000, ping_ms=2_000)
    player.send("error", {"media.errorId": "network-timeout", "media.errorSource": "player"})
    player.send("bitrateChange", qoeData={"media.qoe.bitrate": 800, "media.qoe.droppedFrames": 42})
    player.play(17_000)
    player.send("sessionEnd")
    return player.sent


def _live(end_ts: int) -> list[Sent]:
    player = Player(end_ts - 100_000)
    player.open(NEWS)
    player.send("play")
    player.play(40_000)
    player.pod(1, "break", {"spot-d": 10_000})
    player.send("play")
    player.play(50_000)
    player.send("sessionEnd")
    return player.sent


def _offline(end_ts: int) -> list[Sent]:
    player = Player(end_ts - 7_290_000)
    player.open(EPISODE, {"media.downloaded": True})
    player.send("play")
    player.play(90_000)
    player.send("sessionComplete")
    return player.sent


def _left_in_preroll(end_ts: int) -> list[Sent]:
    player = Player(end_ts - 12_000)
    player.open(MOVIE)
    player.start_break(1, "pre-roll")
    player.start_ad("spot-a", 1, 15_000)
    player.stand(12_000, ping_ms=1_000)
    player.send("ping")
    return player.sent


def _late_and_doubled(end_ts: int) -> Sample:
    """Two events change places on the way, one comes twice, and one comes too late."""
    player = Player(end_ts - 60_000)
    player.open(EPISODE)
    player.send("play")
    player.play(50_000)
    sent = player.sent
    sent[3], sent[4] = sent[4], sent[3]
    sent.append(sent[-1])
    ts = player.start_ts + 25_000
    late = Sent(25_000, {"eventType": "ping", "playerTime": {"ts": ts, "playhead": 25}})
    player.send("ping")
    now = player.sent.pop()
    player.play(10_000)
    player.send("sessionEnd")
    end = player.sent.pop()
    return Sample("late, doubled, swapped", sent, late=(now, late, end))
