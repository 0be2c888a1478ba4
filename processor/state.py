"""The state of one session: everything the rules still need to know about it, and nothing more.

Part of the pure core: no clock, no I/O; imports models only. `session` changes a state it owns in
place, `evolve` works on a copy. Times are ms; `*_number` counts things from 1 in their table.
"""

from operator import attrgetter
from typing import Final, Literal

from models.records import Event
from models.rows import Activity, ChildRow, RowKey, StartRow
from processor.things import (
    NEVER,
    Closing,
    Errors,
    OpenAd,
    OpenBreak,
    OpenChapter,
    PlayerState,
    Quality,
    copy_of,
)

Player = Literal["starting", "playing", "paused", "buffering", "ended"]
Finding = tuple[int, int, str]
"""How often, ts of the first, its detail."""

NO_LIMIT: Final = 2**62


class _First:
    """The one field that a quiet ping touches (`quiet`).

    Slots lie in memory in order of their names, a base class's first: this one shares the cache
    line of the object's head, which is what an event of one of many sessions waits for
    (`tests/bench`).
    """

    __slots__ = ("quiet",)


class _Hot(_First):
    """The fields that the first and the last of a row of quiet pings read or write."""

    __slots__ = (
        "ad",
        "ad_break",
        "arrival_clock",
        "chapter",
        "clock",
        "clock_was_set_back",
        "closing",
        "content_ms",
        "content_started",
        "event_count",
        "first_arrival",
        "hashes",
        "last_offset",
        "max_playhead_ms",
        "moved_at",
        "played_from",
        "played_to",
        "player",
        "playhead_limit_ms",
        "playhead_ms",
        "run_events",
        "run_start",
        "span_activity",
        "stalled",
        "waiting",
    )


class SessionState(_Hot):
    """The live state of one session.

    `origin` is chosen so that `clock - origin` is the sum of all `dt` so far, whatever was set
    back. `rows` are child rows that changed for good since the last `settle`; `loose` are the keys
    of rows that the last summary told only because of what waits, so that the next one takes them
    back. `span_number` counts the spans so far, the open one (`span_activity`) included. While
    `quiet` is set, what waits and the hashes are in it, and the fields that a ping changes are as
    they were when it began (`processor.quiet`).
    """

    __slots__ = (
        "ad_break_count",
        "ad_complete_count",
        "ad_count",
        "ad_gap_ms",
        "ad_ms",
        "ad_number",
        "ad_skip_count",
        "announced_close",
        "bitrate_change_count",
        "break_completed_last",
        "break_number",
        "buffer_count",
        "buffer_ms",
        "chapter_complete_count",
        "chapter_count",
        "completed",
        "duplicate_count",
        "ended_ms",
        "errors",
        "findings",
        "first_offset",
        "first_start_ms",
        "late_count",
        "length_s",
        "loose",
        "offline",
        "origin",
        "partition",
        "pause_count",
        "pause_ms",
        "played_before",
        "player_states",
        "quality",
        "rows",
        "session_id",
        "span_number",
        "span_playhead_ms",
        "span_started_at",
        "stall_count",
        "stall_ms",
        "start_row",
        "start_ts",
        "started_at",
        "startup_ms",
        "unbookended_ad_count",
        "unbookended_ad_ms",
        "untracked_ms",
        "void_ad_break_count",
    )

    def __init__(self, session_id: str, arrived_at: int, *, offline: bool = False) -> None:
        self.session_id = session_id
        self.offline = offline
        self._init_place_and_order(arrived_at)
        self._init_figures()
        self._init_things()

    def _init_place_and_order(self, arrived_at: int) -> None:
        self.partition = 0
        self.first_offset = NEVER
        self.last_offset = NEVER
        self.first_arrival = arrived_at
        self.arrival_clock = arrived_at
        self.waiting: tuple[Event, ...] = ()
        self.hashes = b""
        self.quiet: bytes | None = None
        self.event_count = 0
        self.late_count = 0
        self.duplicate_count = 0
        self.started_at = NEVER
        self.clock = NEVER
        self.origin = NEVER
        self.playhead_ms = 0
        self.moved_at = NEVER
        self.clock_was_set_back = False
        self.closing: Closing | None = None
        self.announced_close = NEVER

    def _init_figures(self) -> None:
        self.content_ms = 0
        self.ad_ms = 0
        self.unbookended_ad_ms = 0
        self.pause_ms = 0
        self.buffer_ms = 0
        self.stall_ms = 0
        self.ad_gap_ms = 0
        self.startup_ms = 0
        self.untracked_ms = 0
        self.ended_ms = 0
        self.first_start_ms = NEVER
        self.played_from = NEVER
        self.played_to = NEVER
        self.played_before: list[int] | None = None
        self.max_playhead_ms = NEVER
        self.ad_break_count = 0
        self.void_ad_break_count = 0
        self.ad_count = 0
        self.ad_complete_count = 0
        self.ad_skip_count = 0
        self.unbookended_ad_count = 0
        self.chapter_count = 0
        self.chapter_complete_count = 0
        self.pause_count = 0
        self.buffer_count = 0
        self.stall_count = 0
        self.bitrate_change_count = 0

    def _init_things(self) -> None:
        self.player: Player = "starting"
        self.content_started = False
        self.completed = False
        self.ad_break: OpenBreak | None = None
        self.ad: OpenAd | None = None
        self.chapter: OpenChapter | None = None
        self.break_number = 0
        self.ad_number = 0
        self.break_completed_last = False
        self.run_start = NEVER
        self.run_events = 0
        self.stalled = False
        self.span_activity: Activity | None = None
        self.span_number = 0
        self.span_started_at = NEVER
        self.span_playhead_ms = 0
        self.quality: Quality | None = None
        self.player_states: dict[str, PlayerState] | None = None
        self.errors: Errors | None = None
        self.findings: dict[str, Finding] | None = None
        self.start_ts = NEVER
        self.length_s: int | float = 0
        self.playhead_limit_ms = NO_LIMIT
        self.start_row: StartRow | None = None
        self.rows: dict[RowKey, ChildRow] | None = None
        self.loose: tuple[RowKey, ...] = ()

    def copy(self) -> "SessionState":
        """A state of its own: folding into the copy leaves this one alone."""
        twin = SessionState.__new__(SessionState)
        for name, value in zip(STATE_FIELDS, _values(self), strict=True):
            setattr(twin, name, value)
        if self.played_before is not None:
            twin.played_before = self.played_before.copy()
        for name in ("ad_break", "ad", "chapter", "quality", "errors", "closing"):
            thing = getattr(self, name)
            if thing is not None:
                setattr(twin, name, copy_of(thing))
        if self.player_states is not None:
            twin.player_states = {
                name: copy_of(entered) for name, entered in self.player_states.items()
            }
        if self.findings is not None:
            twin.findings = self.findings.copy()
        if self.rows is not None:
            twin.rows = self.rows.copy()
        return twin

    def keep_row(self, key: RowKey, row: ChildRow) -> None:
        """Remembers a child row that changed for good since the last `settle`."""
        if self.rows is None:
            self.rows = {}
        self.rows[key] = row

    def is_closed(self) -> bool:
        """Closed for good: nothing can take the close back."""
        return self.closing is not None

    @property
    def elapsed_ms(self) -> int:
        """Sum of all `dt` so far."""
        return self.clock - self.origin

    @property
    def weight_clock(self) -> int:
        """Content, ad, tentative ad and stall time: what an average bitrate is weighted by."""
        tentative_ms = self.ad_break.ad_ms if self.ad_break is not None else 0
        return self.content_ms + self.ad_ms + self.stall_ms + tentative_ms

    def in_main_content(self) -> bool:
        """Playing, with no break and no ad open."""
        return self.player == "playing" and self.ad_break is None and self.ad is None


STATE_FIELDS: Final = (*_First.__slots__, *_Hot.__slots__, *SessionState.__slots__)
_values: Final = attrgetter(*STATE_FIELDS)
