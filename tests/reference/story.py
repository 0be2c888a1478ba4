"""The words of stage 2: what a walk over the applied events writes down, to be summed up later.

A `Story` holds the player's situation while the walk goes on, and the things and stretches of time
it has met. Which stretch counts as what in the end (tracked ad or content, content or stall) is
not decided here: `sums` looks at the whole. Only for tests; imports no `processor`.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from models.policy import Policy
from models.records import Event
from models.rows import EndedBy, ErrorRow, ExitStage, Position
from tests.reference.ordering import Told

PlayerState = Literal["starting", "playing", "paused", "buffering", "ended"]
Activity = Literal[
    "untracked",
    "ended",
    "pause",
    "buffer",
    "content in break",
    "gap",
    "inferred",
    "startup",
    "ad",
    "main",
]


@dataclass(eq=False)
class Break:
    """An ad break from its opening bookend on; `complete` once the closing one came."""

    number: int
    event: Event
    started_at: int
    was_ended: bool
    position: Position
    ended_at: int | None = None
    complete: bool = False


@dataclass(eq=False)
class Ad:
    """An ad; `within` is its break, or `None` for an unbookended one."""

    number: int
    event: Event
    started_at: int
    was_ended: bool
    within: Break | None
    ended_at: int | None = None
    ended_by: EndedBy | None = None


@dataclass(eq=False)
class Chapter:
    number: int
    event: Event
    started_at: int
    ended_at: int | None = None
    completed: bool = False


@dataclass(eq=False)
class Spell:
    """One stay in a player state (§8): the stretches from number `begin` up to, not with, `end`.

    `at`: the session's clock when it began.
    """

    name: str
    begin: int
    at: int
    end: int | None = None


@dataclass(eq=False)
class Run:
    """An unmoved run: the `ts` of its events (§6)."""

    events: list[int]


class Stretch(NamedTuple):
    """The time between two neighbouring applied events, and the situation it was spent in.

    `at`: the session's clock at its begin. `begun`: how many ads, breaks and chapters had begun.
    A clock set back is an untracked one of no time, at the clock's new place.
    """

    at: int
    dt: int
    p0: int
    p1: int
    activity: Activity
    ad: Ad | None
    within: Break | None
    chapter: Chapter | None
    run: Run | None
    bitrate: float | None
    begun: int


class Heard(NamedTuple):
    """A playhead of a non-late event, and whether content had started after the event."""

    playhead_ms: int
    content_started: bool


@dataclass
class Story:
    """All that is told of a session so far, and the player's situation after the last event."""

    policy: Policy
    player: PlayerState = "starting"
    within: Break | None = None
    ad: Ad | None = None
    chapter: Chapter | None = None
    run: Run | None = None
    content_started: bool = False
    completed: bool = False
    clock: int | None = None
    playhead_ms: int = 0
    first_start_ms: int | None = None
    ads_when_break_completed: int | None = None
    stage: ExitStage = "before_start"
    pauses: int = 0
    buffers: int = 0
    bitrate_changes: int = 0
    quality: dict[str, float] = field(default_factory=dict)
    stretches: list[Stretch] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    breaks: list[Break] = field(default_factory=list)
    ads: list[Ad] = field(default_factory=list)
    chapters: list[Chapter] = field(default_factory=list)
    spells: list[Spell] = field(default_factory=list)
    errors: list[ErrorRow] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    traits: set[str] = field(default_factory=set)


def elapsed_ms(story: Story) -> int:
    """The sum of all `dt` so far."""
    return sum(s.dt for s in story.stretches)


def in_main_content(story: Story) -> bool:
    """Playing, no break and no ad of either kind open (§6)."""
    return story.player == "playing" and story.within is None and story.ad is None
