"""Sane sessions from a plan: what a good player sends for a list of things that happen on screen.

The playhead advances on content and stands otherwise. Used by the seeded generator (`wild`) and by
the hypothesis strategies. Only for tests; imports no `processor`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from models.records import Event, EventType, Fields, Record
from tests.reference.arrivals import Arrival, Step

T0 = 1_760_000_000_000
SESSION_ID = "a" * 64
PING_MS = 10_000


class Play(NamedTuple):
    """`play`, then content for `ms`, at `permille` of real time (1000: as fast as it is)."""

    ms: int
    permille: int = 1000


class Pause(NamedTuple):
    ms: int


class Buffer(NamedTuple):
    ms: int


class AdPlan(NamedTuple):
    """An ad that plays `ms`, paused once for `pause_ms` where that is not 0."""

    ms: int
    pause_ms: int = 0
    end: EventType | None = "adComplete"


class Pod(NamedTuple):
    """A break; `gap_ms` stands before each of its ads."""

    ads: tuple[AdPlan, ...]
    gap_ms: int = 0


class Chapter(NamedTuple):
    """A chapter begins (and an open one ends with `chapterComplete` or `chapterSkip`)."""

    end: EventType | None = "chapterComplete"


class Seek(NamedTuple):
    """The playhead jumps to this place, in a pause of no length."""

    to_ms: int


class Wait(NamedTuple):
    """Nothing happens but pings, in whatever state the player is."""

    ms: int


class Send(NamedTuple):
    """Some other event, now."""

    type: EventType
    params: Fields | None = None
    qoe: Fields | None = None


Part = Play | Pause | Buffer | Pod | Chapter | Seek | Wait | Send


@dataclass
class Player:
    """A player that follows a plan and pings every `ping_ms`."""

    now: int = T0
    playhead_ms: int = 0
    ping_ms: int = PING_MS
    pods: int = 0
    ads: int = 0
    chapters: int = 0
    events: list[Event] = field(default_factory=list)

    def send(
        self, kind: EventType, params: Fields | None = None, qoe: Fields | None = None
    ) -> None:
        self.events.append(Event(kind, self.now, self.playhead_ms, params, qoe))

    def pass_time(self, ms: int, permille: int = 0) -> None:
        """Time passes with pings on the way; the playhead moves by `permille` of it."""
        begun, p0 = self.now, self.playhead_ms
        for at in range(self.ping_ms, ms, self.ping_ms):
            self.now, self.playhead_ms = begun + at, p0 + at * permille // 1000
            self.send("ping")
        self.now, self.playhead_ms = begun + ms, p0 + ms * permille // 1000

    def follow(self, part: Part) -> None:
        if isinstance(part, Play):
            self.send("play")
            self.pass_time(part.ms, part.permille)
        elif isinstance(part, Pause):
            self.send("pauseStart")
            self.pass_time(part.ms)
        elif isinstance(part, Buffer):
            self.send("bufferStart")
            self.pass_time(part.ms)
        elif isinstance(part, Pod):
            self.run_pod(part)
        elif isinstance(part, Chapter):
            self.begin_chapter(part)
        elif isinstance(part, Seek):
            self.send("pauseStart")
            self.playhead_ms = part.to_ms
        elif isinstance(part, Wait):
            self.pass_time(part.ms)
        else:
            self.send(part.type, part.params, part.qoe)

    def run_pod(self, pod: Pod) -> None:
        self.pods += 1
        params = {"media.ad.podIndex": self.pods, "media.ad.podSecond": self.playhead_ms / 1000}
        self.send("adBreakStart", params)
        for position, ad in enumerate(pod.ads, 1):
            self.pass_time(pod.gap_ms)
            self.run_ad(ad, position)
        self.send("adBreakComplete")

    def run_ad(self, ad: AdPlan, position: int) -> None:
        self.ads += 1
        about = {
            "media.ad.id": f"ad-{self.ads}",
            "media.ad.length": ad.ms / 1000,
            "media.ad.podPosition": position,
        }
        self.send("adStart", about)
        self.pass_time(ad.ms // 2)
        if ad.pause_ms:
            self.send("pauseStart")
            self.pass_time(ad.pause_ms)
            self.send("play")
        self.pass_time(ad.ms - ad.ms // 2)
        if ad.end is not None:
            self.send(ad.end)

    def begin_chapter(self, part: Chapter) -> None:
        if self.chapters and part.end is not None:
            self.send(part.end)
        self.chapters += 1
        self.send(
            "chapterStart",
            {
                "media.chapter.index": self.chapters,
                "media.chapter.offset": self.playhead_ms / 1000,
                "media.chapter.length": 60,
            },
        )


def start_params(length_s: float = 600, content_type: str = "VOD") -> dict[str, object]:
    """What a good client says in `sessionStart`."""
    return {
        "media.id": "movie-1",
        "media.name": "Movie One",
        "media.length": length_s,
        "media.contentType": content_type,
        "media.playerName": "plan",
        "media.channel": "web",
        "analytics.reportSuite": "plan.rsid",
        "visitor.marketingCloudOrgId": "org@example",
    }


def events_of_plan(parts: Iterable[Part], ping_ms: int = PING_MS) -> list[Event]:
    """`sessionStart`, then what the plan says; the caller's plan sends the close."""
    player = Player(ping_ms=ping_ms)
    player.send("sessionStart", start_params())
    for part in parts:
        player.follow(part)
    return player.events


def arriving(events: Sequence[Event], delay_ms: int = 50) -> list[Step]:
    """Each event in a record of its own, received `delay_ms` after its `ts`."""
    return list(one_by_one(e._replace(received_at=e.ts + delay_ms) for e in events))


def one_by_one(events: Iterable[Event]) -> Iterator[Step]:
    for event in events:
        yield Arrival(Record(SESSION_ID, False, (event,)))
