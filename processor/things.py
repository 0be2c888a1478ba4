"""The things in a session's state: open break, ad and chapter, player states, QoE, errors, close.

Part of the pure core; imports models only. Each is its slots and nothing else, so that it copies
and serialises. Times are ms.
"""

from typing import Any, Final, TypeVar

from models.records import Event
from models.rows import CloseReason, ExitStage, Position

NEVER: Final = -1
"""A time or playhead that is not known yet. Real ones are 0 or more."""


class Slotted:
    """A thing of a session whose slots are all there is to it, so that it copies and serialises."""

    __slots__: tuple[str, ...] = ()


class OpenBreak(Slotted):
    """An ad break between its bookends. `ad_ms` is tentative ad time (docs/rules.md "Bookends")."""

    __slots__ = (
        "ad_complete_count",
        "ad_count",
        "ad_ms",
        "ad_skip_count",
        "gap_ms",
        "name",
        "number",
        "playhead_ms",
        "pod_index",
        "pod_second",
        "position",
        "sent_ts",
        "started_at",
        "was_ended",
    )

    def __init__(
        self, number: int, started_at: int, opened: Event, position: Position, was_ended: bool
    ) -> None:
        self.number = number
        self.started_at = started_at
        self.sent_ts = opened.ts
        self.playhead_ms = opened.playhead_ms
        self.position: Position = position
        self.was_ended = was_ended
        self.pod_index: int | float | None = None
        self.pod_second: float | None = None
        self.name: str | None = None
        self.ad_count = 0
        self.ad_complete_count = 0
        self.ad_skip_count = 0
        self.ad_ms = 0
        self.gap_ms = 0


class OpenAd(Slotted):
    """An ad that has not ended. `break_number` is None for one that started outside any break.

    `sent_ts` is the `ts` its adStart was sent with: a break that opens with the same one takes the
    ad in. `was_ended` matters only outside a break; inside, the break knows.
    """

    __slots__ = (
        "break_number",
        "buffer_ms",
        "fields",
        "number",
        "pause_ms",
        "playing_ms",
        "sent_ts",
        "started_at",
        "was_ended",
    )

    def __init__(
        self,
        number: int,
        break_number: int | None,
        started_at: int,
        sent_ts: int,
        was_ended: bool,
        fields: tuple[Any, ...],
    ) -> None:
        self.number = number
        self.break_number = break_number
        self.started_at = started_at
        self.sent_ts = sent_ts
        self.was_ended = was_ended
        self.fields = fields
        self.playing_ms = 0
        self.pause_ms = 0
        self.buffer_ms = 0


class OpenChapter(Slotted):
    """A chapter that has not ended; `fields` are the columns its chapterStart gave."""

    __slots__ = ("content_ms", "fields", "number", "started_at")

    def __init__(self, number: int, started_at: int, fields: tuple[Any, ...]) -> None:
        self.number = number
        self.started_at = started_at
        self.fields = fields
        self.content_ms = 0


class PlayerState(Slotted):
    """One named player state. `since`: where its open period began, `NEVER` while outside.
    `periods`: begin and end of each that is over, in turn."""

    __slots__ = ("count", "number", "periods", "since", "total_ms")

    def __init__(self, number: int) -> None:
        self.number = number
        self.count = 0
        self.total_ms = 0
        self.since = NEVER
        self.periods: tuple[int, ...] = ()


class Quality(Slotted):
    """Latest QoE values. `weighted` is Σ bitrate × ms up to the weight clock `since`."""

    __slots__ = (
        "bitrate",
        "dropped_frames",
        "frames_per_second",
        "since",
        "time_to_start_ms",
        "weight_ms",
        "weighted",
    )

    def __init__(self) -> None:
        self.bitrate: int | float | None = None
        self.since = 0
        self.weight_ms = 0
        self.weighted: int | float = 0
        self.dropped_frames: int | None = None
        self.frames_per_second: float | None = None
        self.time_to_start_ms: int | None = None


_Thing = TypeVar("_Thing", bound=Slotted)


class Errors(Slotted):
    """Errors so far, and their distinct ids. The lists are replaced, never changed."""

    __slots__ = ("count", "external_ids", "player_ids")

    def __init__(self) -> None:
        self.count = 0
        self.player_ids: list[str] = []
        self.external_ids: list[str] = []


class Closing(Slotted):
    """How the session closed for good. `seconds_since`: from its last event to the close."""

    __slots__ = ("after_close_count", "closed_at", "exit_stage", "reason", "seconds_since")

    def __init__(
        self, reason: CloseReason, closed_at: int, seconds_since: int, exit_stage: ExitStage
    ) -> None:
        self.reason: CloseReason = reason
        self.closed_at = closed_at
        self.seconds_since = seconds_since
        self.exit_stage: ExitStage = exit_stage
        self.after_close_count = 0


def copy_of(thing: _Thing) -> _Thing:
    """A thing of its own with the same values; lists in it are shared and never changed."""
    twin = object.__new__(type(thing))
    for name in thing.__slots__:
        setattr(twin, name, getattr(thing, name))
    return twin
