"""From a session's state to the rows that SQL shows (docs/sql.md).

Part of the pure core. A summary tells what would be if the session closed now: what waits is
applied to a copy, an open break counts as void. `settle` then marks as written what it told.
"""

from typing import Any

from models.limits import CHILD_ROWS_MAX
from models.policy import DEFAULT_POLICY, Policy
from models.rows import ChildRow, FindingRow, RowKey, SessionFigures, Status, Summary
from processor.child_rows import ad_row, break_row, chapter_row
from processor.intervals import played_intervals, total_ms
from processor.player_states import player_state_rows
from processor.quality import average_bitrate
from processor.session import apply_waiting, exit_stage
from processor.spans import open_span
from processor.state import NO_LIMIT, SessionState
from processor.things import NEVER

_STREAM_MS = 1_800_000
_SEGMENT_MS = 300_000


def summarize(state: SessionState, policy: Policy = DEFAULT_POLICY) -> Summary:
    """All that the state says now, what waits included. The state stays as it is."""
    now, waiting_keys = _with_waiting(state, policy)
    rows: dict[RowKey, ChildRow] = dict(state.rows or {})
    rows.update(now.rows or {})
    rows.update(_open_rows(now, policy))
    gone = _take_back(state, now, rows)
    return Summary(
        session_id=state.session_id,
        figures=_figures(now, policy),
        open_span=open_span(now),
        start=state.start_row,
        rows=rows,
        gone=gone,
        loose=tuple(waiting_keys),
        closed=now.is_closed(),
        final=state.is_closed(),
    )


def settle(state: SessionState, summary: Summary) -> None:
    """Marks the rows of a written summary as written: they leave the state."""
    state.rows = None
    state.start_row = None
    state.loose = summary.loose
    closed_at = summary.figures.closed_at
    state.announced_close = NEVER if closed_at is None else closed_at


def _with_waiting(state: SessionState, policy: Policy) -> tuple[SessionState, set[RowKey]]:
    """The state with what waits applied, and the keys of rows that only this changed."""
    if not state.waiting and state.quiet is None:
        return state, set()
    now = _copy_without_rows(state)
    apply_waiting(now, policy)
    keys: set[RowKey] = set(now.rows or ())
    if now.ad_break is not None and now.break_number != state.break_number:
        keys.add(("ad_breaks", now.break_number))
    if now.ad is not None and now.ad_number != state.ad_number:
        keys.add(("ads", now.ad_number))
    if now.chapter is not None and now.chapter_count != state.chapter_count:
        keys.add(("chapters", now.chapter_count))
    known = len(state.player_states or ())
    keys.update(("player_states", n) for n in range(known + 1, len(now.player_states or ()) + 1))
    return now, keys


def _copy_without_rows(state: SessionState) -> SessionState:
    twin = state.copy()
    twin.rows = None
    return twin


def _open_rows(now: SessionState, policy: Policy) -> dict[RowKey, ChildRow]:
    """Rows of what is open or can still grow."""
    rows: dict[RowKey, ChildRow] = {}
    if now.ad_break is not None and now.ad_break.number <= CHILD_ROWS_MAX:
        tracked = policy.unclosed_break == "ad"
        row = break_row(now.ad_break, ended_at=None, tracked=tracked)
        rows["ad_breaks", now.ad_break.number] = row
    if now.ad is not None and now.ad.number <= CHILD_ROWS_MAX:
        rows["ads", now.ad.number] = ad_row(now.ad, ended_at=None, ended_by=None)
    if now.chapter is not None and now.chapter.number <= CHILD_ROWS_MAX:
        row_of_chapter = chapter_row(now.chapter, ended_at=None, completed=False)
        rows["chapters", now.chapter.number] = row_of_chapter
    for state_row in player_state_rows(now):
        rows["player_states", state_row.state_number] = state_row
    return rows


def _take_back(
    state: SessionState, now: SessionState, rows: dict[RowKey, ChildRow]
) -> tuple[RowKey, ...]:
    """What an earlier summary told because of what waited then: told anew, or gone."""
    gone = []
    for key in state.loose:
        if key in rows:
            continue
        finding = (now.findings or {}).get(str(key[1])) if key[0] == "findings" else None
        if finding is None:
            gone.append(key)
        else:
            rows[key] = FindingRow(str(key[1]), *finding)
    return tuple(gone)


def _figures(now: SessionState, policy: Policy) -> SessionFigures:
    intervals = played_intervals(now)
    unique_ms = total_ms(intervals)
    times = _times(now, policy, unique_ms)
    content = _content_figures(now, policy, times["content_ms"], unique_ms)
    return SessionFigures(
        **_life(now),
        **times,
        **content,
        content_segment=_segment(intervals),
        estimated_streams=times["media_ms"] // _STREAM_MS + 1,
        **_counts(now, policy),
        **_quality(now),
    )


def _life(now: SessionState) -> dict[str, Any]:
    closing = now.closing
    status: Status = "live"
    if closing is not None:
        status = "completed" if now.completed else "closed"
    return {
        "started_at": _known(now.started_at),
        "last_event_at": _known(now.clock),
        "closed_at": closing.closed_at if closing else None,
        "status": status,
        "close_reason": closing.reason if closing else None,
        "seconds_since_last_event": closing.seconds_since if closing else None,
        "event_count": now.event_count,
        "late_event_count": now.late_count,
        "duplicate_event_count": now.duplicate_count,
        "events_after_close_count": closing.after_close_count if closing else 0,
        "finding_count": len(now.findings or ()),
    }


def _times(now: SessionState, policy: Policy, unique_ms: int) -> dict[str, Any]:
    """Milliseconds by bucket; an open break's tentative ad time goes where a close would put it."""
    content_ms, ad_ms, unbookended_ms = now.content_ms, now.ad_ms, now.unbookended_ad_ms
    if now.ad_break is not None:
        if policy.unclosed_break == "ad":
            ad_ms += now.ad_break.ad_ms
        else:
            content_ms += now.ad_break.ad_ms
            unbookended_ms += now.ad_break.ad_ms
    gap_ms = now.ad_gap_ms
    if policy.break_gap == "content":
        content_ms, gap_ms = content_ms + gap_ms, 0
    watched_ms = now.startup_ms + content_ms + ad_ms + gap_ms + now.buffer_ms + now.stall_ms
    return {
        "content_ms": content_ms,
        "ad_ms": ad_ms,
        "media_ms": content_ms + ad_ms,
        "unbookended_ad_ms": unbookended_ms,
        "pause_ms": now.pause_ms,
        "buffer_ms": now.buffer_ms,
        "stall_ms": now.stall_ms,
        "ad_gap_ms": gap_ms,
        "startup_ms": now.startup_ms,
        "initial_startup_ms": _known(now.first_start_ms),
        "untracked_ms": now.untracked_ms,
        "watched_ms": watched_ms,
        "unique_content_ms": unique_ms,
    }


def _content_figures(
    now: SessionState, policy: Policy, content_ms: int, unique_ms: int
) -> dict[str, Any]:
    length_s = now.length_s
    hundredth_ms = length_s * 10
    reached_ms = now.max_playhead_ms if now.playhead_limit_ms != NO_LIMIT else NEVER
    closed = now.is_closed()
    return {
        "content_started": now.content_started,
        "dropped_before_start": closed and not now.content_started,
        "completed": now.completed,
        "progress_10": reached_ms >= hundredth_ms * 10,
        "progress_25": reached_ms >= hundredth_ms * 25,
        "progress_50": reached_ms >= hundredth_ms * 50,
        "progress_75": reached_ms >= hundredth_ms * 75,
        "progress_95": reached_ms >= hundredth_ms * 95,
        "max_playhead_s": now.max_playhead_ms / 1000 if now.max_playhead_ms != NEVER else None,
        "exit_stage": now.closing.exit_stage if now.closing else exit_stage(now),
        "valid_play": content_ms >= policy.valid_play_ms,
        "complete_play": (
            unique_ms >= policy.complete_play_share * length_s * 1000 if length_s else None
        ),
        "average_minute_audience": content_ms / 1000 / length_s if length_s else None,
    }


def _segment(intervals: list[int]) -> str | None:
    """The five-minute brackets played, `[0-1]` for 48 s from the start."""
    if not intervals:
        return None
    first = intervals[0] // _SEGMENT_MS
    last = max(first + 1, -(-intervals[-1] // _SEGMENT_MS))
    return f"[{first}-{last}]"


def _counts(now: SessionState, policy: Policy) -> dict[str, Any]:
    counts: dict[str, Any] = {
        "ad_break_count": now.ad_break_count,
        "void_ad_break_count": now.void_ad_break_count,
        "ad_count": now.ad_count,
        "ad_complete_count": now.ad_complete_count,
        "ad_skip_count": now.ad_skip_count,
        "unbookended_ad_count": now.unbookended_ad_count,
        "chapter_count": now.chapter_count,
        "chapter_complete_count": now.chapter_complete_count,
        "pause_count": now.pause_count,
        "buffer_count": now.buffer_count,
        "stall_count": now.stall_count,
        "bitrate_change_count": now.bitrate_change_count,
        "error_count": now.errors.count if now.errors else 0,
    }
    open_break = now.ad_break
    if open_break is None:
        counts["unbookended_ad_count"] += now.ad is not None
    elif policy.unclosed_break == "ad":
        counts["ad_break_count"] += 1
        counts["ad_count"] += open_break.ad_count
        counts["ad_complete_count"] += open_break.ad_complete_count
        counts["ad_skip_count"] += open_break.ad_skip_count
    else:
        counts["void_ad_break_count"] += 1
        counts["unbookended_ad_count"] += open_break.ad_count
    return counts


def _quality(now: SessionState) -> dict[str, Any]:
    quality = now.quality
    return {
        "time_to_start_ms": quality.time_to_start_ms if quality else None,
        "average_bitrate": average_bitrate(now),
        "dropped_frames": quality.dropped_frames if quality else None,
        "frames_per_second": quality.frames_per_second if quality else None,
        "player_error_ids": tuple(now.errors.player_ids) if now.errors else (),
        "external_error_ids": tuple(now.errors.external_ids) if now.errors else (),
    }


def _known(value: int) -> int | None:
    return None if value == NEVER else value
