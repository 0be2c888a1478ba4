"""The rows that `summarize` makes of a session's state: what the SQL tables hold.

Field names are column names (docs/sql.md). Durations and instants are whole ms; instants are ms
since the epoch and become UTC timestamps in SQL. Floats are seconds where the name ends in `_s`.
Imports nothing of the project.
"""

from typing import Any, Final, Literal, NamedTuple

CloseReason = Literal[
    "session_end", "inactive", "idle", "expired", "end_of_list", "too_many_events"
]
Status = Literal["live", "completed", "closed"]
ExitStage = Literal["before_start", "preroll", "before_content", "midroll", "content", "completed"]
EndedBy = Literal["adComplete", "adSkip", "adStart", "adBreakStart", "adBreakComplete", "close"]
Position = Literal["pre", "mid", "post"]
Activity = Literal[
    "content", "ad", "break", "pause", "buffer", "stall", "startup", "ended", "untracked"
]


class SessionFigures(NamedTuple):
    """The figures of one session that an event can move (`sessions_live`, `sessions_closed`)."""

    started_at: int | None
    last_event_at: int | None
    closed_at: int | None
    status: Status
    close_reason: CloseReason | None
    seconds_since_last_event: int | None
    event_count: int
    late_event_count: int
    duplicate_event_count: int
    events_after_close_count: int
    finding_count: int
    content_ms: int
    ad_ms: int
    media_ms: int
    unbookended_ad_ms: int
    pause_ms: int
    buffer_ms: int
    stall_ms: int
    ad_gap_ms: int
    startup_ms: int
    initial_startup_ms: int | None
    untracked_ms: int
    watched_ms: int
    unique_content_ms: int
    content_started: bool
    dropped_before_start: bool
    completed: bool
    progress_10: bool
    progress_25: bool
    progress_50: bool
    progress_75: bool
    progress_95: bool
    max_playhead_s: float | None
    content_segment: str | None
    exit_stage: ExitStage
    valid_play: bool
    complete_play: bool | None
    average_minute_audience: float | None
    estimated_streams: int
    ad_break_count: int
    void_ad_break_count: int
    ad_count: int
    ad_complete_count: int
    ad_skip_count: int
    unbookended_ad_count: int
    chapter_count: int
    chapter_complete_count: int
    pause_count: int
    buffer_count: int
    stall_count: int
    bitrate_change_count: int
    error_count: int
    time_to_start_ms: int | None
    average_bitrate: float | None
    dropped_frames: int | None
    frames_per_second: float | None
    player_error_ids: tuple[str, ...]
    external_error_ids: tuple[str, ...]


SUMMED: Final = tuple(
    name
    for name in SessionFigures._fields
    if (name.endswith("_ms") and name not in ("initial_startup_ms", "time_to_start_ms"))
    or name.endswith("_count")
)
"""The figures that add up."""


class StartRow(NamedTuple):
    """What the client said in `sessionStart` (table `session_starts`), written once."""

    report_suite: str | None
    org_id: str | None
    visitor_id: str | None
    customer_ids: dict[str, Any] | None
    resumed: bool | None
    downloaded: bool | None
    content_id: str | None
    content_name: str | None
    content_length_s: float | None
    content_type: str | None
    stream_type: str | None
    channel: str | None
    player_name: str | None
    app_version: str | None
    show: str | None
    season: str | None
    episode: str | None
    asset_id: str | None
    genre: str | None
    first_air_date: str | None
    first_digital_date: str | None
    rating: str | None
    originator: str | None
    network: str | None
    show_type: str | None
    ad_load: str | None
    mvpd: str | None
    authorized: str | None
    day_part: str | None
    feed: str | None
    stream_format: str | None
    artist: str | None
    album: str | None
    label: str | None
    author: str | None
    station: str | None
    publisher: str | None
    custom_metadata: dict[str, Any] | None
    other_params: dict[str, Any] | None


class BreakRow(NamedTuple):
    """One ad break (table `ad_breaks`), keyed by session and `break_number` (from 1)."""

    break_number: int
    pod_index: int | float | None
    pod_second: float | None
    name: str | None
    started_at: int
    ended_at: int | None
    playhead_s: float
    tracked: bool
    ad_count: int
    ad_ms: int
    gap_ms: int
    break_fill: float | None
    position: Position


class AdRow(NamedTuple):
    """One ad (table `ads`), keyed by session and `ad_number` (from 1).

    Whether it is tracked follows from the row of its break: `break_number` is `None` for an ad
    that started outside any break. The view `ads` adds `tracked` and `untracked_reason`.
    """

    ad_number: int
    break_number: int | None
    ad_id: str | None
    name: str | None
    length_s: float | None
    pod_position: int | float | None
    player_name: str | None
    advertiser: str | None
    campaign_id: str | None
    creative_id: str | None
    site_id: str | None
    creative_url: str | None
    placement_id: str | None
    custom_metadata: dict[str, Any] | None
    started_at: int
    ended_at: int | None
    playing_ms: int
    pause_ms: int
    buffer_ms: int
    completed: bool
    ended_by: EndedBy | None
    quartile_25: bool | None
    quartile_50: bool | None
    quartile_75: bool | None
    quartile_100: bool | None


class ChapterRow(NamedTuple):
    """One chapter (table `chapters`), keyed by session and `chapter_number` (from 1)."""

    chapter_number: int
    chapter_index: int | float | None
    offset_s: float | None
    length_s: float | None
    name: str | None
    custom_metadata: dict[str, Any] | None
    started_at: int
    ended_at: int | None
    content_ms: int
    completed: bool


class PlayerStateRow(NamedTuple):
    """One player state (table `player_states`), keyed by session and `state_number` (from 1).

    `periods`: from when to when it was on, ms since the epoch; None in rows of version 2 of the
    fold, which knew none.
    """

    state_number: int
    name: str
    count: int  # type: ignore[assignment]  # the column is named so; nobody counts in a row
    total_ms: int
    periods: tuple[tuple[int, int], ...] | None


class ErrorRow(NamedTuple):
    """One error event (table `errors`), keyed by session and `error_number` (from 1)."""

    error_number: int
    at: int
    error_id: str | None
    source: str | None
    playhead_s: float


class FindingRow(NamedTuple):
    """One kind of finding in a session (table `findings`), keyed by session and `code`."""

    code: str
    count: int  # type: ignore[assignment]  # as in PlayerStateRow
    first_ts: int
    detail: str


class SpanRow(NamedTuple):
    """One stretch of a session's time (table `spans`), keyed by session and `span_number` (from 1).

    What it counts as follows from the rows of its ad and break: the view `spans` adds `counted_as`.
    """

    span_number: int
    started_at: int
    ended_at: int
    duration_ms: int
    activity: Activity
    playhead_from_s: float
    playhead_to_s: float
    break_number: int | None
    ad_number: int | None
    chapter_number: int | None


class OpenSpan(NamedTuple):
    """The stretch of time that goes on, beside the figures of a live session; all null if none.

    It ends at `last_event_at`. A ping changes the session's row, and no row of `spans`.
    """

    span_number: int | None
    span_started_at: int | None
    span_duration_ms: int | None
    span_activity: Activity | None
    span_playhead_from_s: float | None
    span_playhead_to_s: float | None
    span_break_number: int | None
    span_ad_number: int | None
    span_chapter_number: int | None


NO_OPEN_SPAN: Final = OpenSpan(*(None,) * len(OpenSpan._fields))

ChildRow = BreakRow | AdRow | ChapterRow | PlayerStateRow | ErrorRow | FindingRow | SpanRow
RowKey = tuple[str, int | str]
"""(table name without projection, number or code within the session)."""


class Summary(NamedTuple):
    """All that a session's state says now, what waits included.

    `rows`: child rows that may differ from what an earlier summary said, by key. `gone`: keys that
    an earlier summary had and that are no more. `loose`: keys of rows that rest on what waits, so
    that the next summary tells them anew. `start`: only when `sessionStart` just came.
    `closed`: the session is closed as far as is known; `final`: nothing waits, so no reordering
    can take the close back.
    """

    session_id: str
    figures: SessionFigures
    open_span: OpenSpan
    start: StartRow | None
    rows: dict[RowKey, ChildRow]
    gone: tuple[RowKey, ...]
    loose: tuple[RowKey, ...]
    closed: bool
    final: bool
