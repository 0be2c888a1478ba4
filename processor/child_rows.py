"""Rows of the child tables out of the things of a session (docs/sql.md).

Part of the pure core.
"""

from models.limits import CHILD_ROWS_MAX, ERROR_ID_LENGTH_MAX, ERROR_IDS_MAX
from models.records import Event
from models.rows import AdRow, BreakRow, ChapterRow, EndedBy, ErrorRow
from processor.fields import read_error
from processor.findings import find
from processor.state import SessionState
from processor.things import Errors, OpenAd, OpenBreak, OpenChapter


def break_row(ad_break: OpenBreak, *, ended_at: int | None, tracked: bool) -> BreakRow:
    """The row of a break as it is now; `ended_at` is null while it is open."""
    filled_ms = ad_break.ad_ms + ad_break.gap_ms
    return BreakRow(
        ad_break.number,
        ad_break.pod_index,
        ad_break.pod_second,
        ad_break.name,
        ad_break.started_at,
        ended_at,
        ad_break.playhead_ms / 1000,
        tracked,
        ad_break.ad_count,
        ad_break.ad_ms,
        ad_break.gap_ms,
        ad_break.ad_ms / filled_ms if filled_ms else None,
        ad_break.position,
    )


def ad_row(ad: OpenAd, *, ended_at: int | None, ended_by: EndedBy | None) -> AdRow:
    """The row of an ad as it is now; `ended_at` and `ended_by` are null while it is open."""
    return AdRow._make(
        (
            ad.number,
            ad.break_number,
            *ad.fields,
            ad.started_at,
            ended_at,
            ad.playing_ms,
            ad.pause_ms,
            ad.buffer_ms,
            ended_by == "adComplete",
            ended_by,
            *_quartiles(ad.playing_ms, ad.fields[2]),
        )
    )


def _quartiles(playing_ms: int, length_s: float | None) -> tuple[bool | None, ...]:
    if length_s is None or length_s <= 0:
        return (None, None, None, None)
    return tuple([playing_ms >= length_s * 10 * percent for percent in (25, 50, 75, 100)])


def chapter_row(chapter: OpenChapter, *, ended_at: int | None, completed: bool) -> ChapterRow:
    """The row of a chapter as it is now; `ended_at` is null while it is open."""
    return ChapterRow._make(
        (
            chapter.number,
            *chapter.fields,
            chapter.started_at,
            ended_at,
            chapter.content_ms,
            completed,
        )
    )


def keep_error(state: SessionState, event: Event) -> None:
    """Counts an error, and keeps its row, and its id among the distinct ones."""
    if state.errors is None:
        state.errors = Errors()
    errors = state.errors
    errors.count += 1
    error_id, source = read_error(state, event)
    if errors.count <= CHILD_ROWS_MAX:
        row = ErrorRow(errors.count, event.ts, error_id, source, event.playhead_ms / 1000)
        state.keep_row(("errors", errors.count), row)
    if error_id is not None:
        _keep_error_id(state, event, error_id[:ERROR_ID_LENGTH_MAX], source == "external")


def _keep_error_id(state: SessionState, event: Event, error_id: str, is_external: bool) -> None:
    errors = state.errors
    if errors is None or error_id in (errors.external_ids if is_external else errors.player_ids):
        return
    if len(errors.external_ids) + len(errors.player_ids) >= ERROR_IDS_MAX:
        find(state, "too_many_rows", event.ts, f"more than {ERROR_IDS_MAX} distinct error ids")
    elif is_external:
        errors.external_ids = [*errors.external_ids, error_id]
    else:
        errors.player_ids = [*errors.player_ids, error_id]
