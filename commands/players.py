"""A scripted player: writes the events of one session the way a player's connector sends them.

Before the record's way: what `demo` and `simulate` play over HTTP. Pure: times come from the
caller, chance from the caller's generator. Imports nothing of the project.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

PING_MS: Final = 10_000
AD_PING_MS: Final = 1_000
Params = Mapping[str, Any]


class Sent(NamedTuple):
    """One event as it goes over the wire; `at_ms` is the player's time since its session began."""

    at_ms: int
    body: dict[str, Any]

    @property
    def type(self) -> str:
        return str(self.body["eventType"])


class Content(NamedTuple):
    """What is played. `length_s` 0 stands for a live stream of unknown end."""

    id: str
    name: str
    length_s: int
    type: str = "VOD"
    channel: str = "web"


@dataclass(slots=True)
class Player:
    """One player at work: its clock (`at_ms`), its playhead, and what it has sent so far.

    `start_ts`: ms since the epoch at which the session begins. `ping_ms`: between pings in content.
    """

    start_ts: int
    ping_ms: int = PING_MS
    ad_ping_ms: int = AD_PING_MS
    at_ms: int = 0
    playhead_ms: int = 0
    sent: list[Sent] = field(default_factory=list)

    def send(self, event_type: str, params: Params | None = None, **more: Params) -> None:
        """One event now. `more`: `qoeData`, `customMetadata`."""
        body: dict[str, Any] = {
            "eventType": event_type,
            "playerTime": {"ts": self.start_ts + self.at_ms, "playhead": self.playhead_ms / 1000},
        }
        if params:
            body["params"] = dict(params)
        body |= {key: dict(value) for key, value in more.items()}
        self.sent.append(Sent(self.at_ms, body))

    def open(self, content: Content, extra: Params | None = None, **more: Params) -> None:
        """`sessionStart`."""
        params: dict[str, Any] = {
            "media.id": content.id,
            "media.name": content.name,
            "media.length": content.length_s or 86_400,
            "media.contentType": content.type,
            "media.playerName": "bookended sample player",
            "media.channel": content.channel,
            "media.sdkVersion": "1.0",
            "analytics.trackingServer": "localhost",
            "analytics.reportSuite": "samples",
            "visitor.marketingCloudOrgId": "samples@bookended",
        }
        self.send("sessionStart", params | dict(extra or {}), **more)

    def play(self, duration_ms: int) -> None:
        """The playhead runs for so long, with the pings that fall into it."""
        self._pass(duration_ms, self.ping_ms, moves=True)

    def stand(self, duration_ms: int, ping_ms: int | None = None) -> None:
        """Time passes and the playhead stands still: a pause, a buffer, a stall."""
        self._pass(duration_ms, ping_ms or self.ping_ms, moves=False)

    def _pass(self, duration_ms: int, ping_ms: int, *, moves: bool) -> None:
        end_ms = self.at_ms + duration_ms
        while self.at_ms + ping_ms < end_ms:
            self._advance(ping_ms, moves)
            self.send("ping")
        self._advance(end_ms - self.at_ms, moves)

    def _advance(self, duration_ms: int, moves: bool) -> None:
        self.at_ms += duration_ms
        self.playhead_ms += duration_ms if moves else 0

    def start_break(self, index: int, name: str) -> None:
        self.send(
            "adBreakStart",
            {
                "media.ad.podIndex": index,
                "media.ad.podSecond": self.playhead_ms / 1000,
                "media.ad.podFriendlyName": name,
            },
        )

    def ad(
        self, ad_id: str, position: int, length_ms: int, skip_after_ms: int | None = None
    ) -> None:
        """One ad from start to end, or to where the viewer skips it."""
        self.start_ad(ad_id, position, length_ms)
        self.stand(length_ms if skip_after_ms is None else skip_after_ms, self.ad_ping_ms)
        self.send("adComplete" if skip_after_ms is None else "adSkip")

    def start_ad(self, ad_id: str, position: int, length_ms: int) -> None:
        self.send(
            "adStart",
            {
                "media.ad.id": ad_id,
                "media.ad.name": f"Ad {ad_id}",
                "media.ad.length": length_ms / 1000,
                "media.ad.podPosition": position,
                "media.ad.playerName": "bookended sample player",
                "media.ad.advertiser": "Sample Brand",
            },
        )

    def pod(self, index: int, name: str, ads: Mapping[str, int]) -> None:
        """A whole ad break with both bookends; `ads` are lengths in ms by id."""
        self.start_break(index, name)
        for position, (ad_id, length_ms) in enumerate(ads.items(), start=1):
            self.ad(ad_id, position, length_ms)
        self.send("adBreakComplete")

    def start_chapter(self, index: int, name: str, length_ms: int) -> None:
        self.send(
            "chapterStart",
            {
                "media.chapter.index": index,
                "media.chapter.offset": self.playhead_ms / 1000,
                "media.chapter.length": length_ms / 1000,
                "media.chapter.friendlyName": name,
            },
        )


def without(sent: list[Sent], *event_types: str) -> list[Sent]:
    """The same session with all events of these types missing."""
    return [item for item in sent if item.type not in event_types]
