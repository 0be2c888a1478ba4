"""The session's time line: stretches of time, each once (docs/rules.md "Time line").

Part of the pure core. A span is a run of neighbouring intervals with one activity, in the same
break, ad and chapter, without a jump of the clock or the playhead. The state keeps where the open
one began; it ends where the state's `clock` and `playhead_ms` are, so that a ping moves nothing
here. Whoever changes the open break, ad or chapter, or sets the clock back, ends it first.
"""

from models.limits import CHILD_ROWS_MAX, SPANS_MAX
from models.rows import NO_OPEN_SPAN, Activity, OpenSpan, SpanRow
from processor.findings import find
from processor.state import SessionState


def go_on(state: SessionState, activity: Activity, ts: int) -> None:
    """Some time from `clock` on, up to the event of `ts`, was spent with `activity`."""
    if activity != state.span_activity:
        end_span(state)
        _begin_span(state, activity, state.clock, ts)


def end_span(state: SessionState) -> None:
    """Ends the open span, if any, at the session's clock and playhead."""
    if state.span_activity is not None:
        end_span_at(state, state.clock, state.playhead_ms)


def end_span_at(state: SessionState, at: int, playhead_ms: int) -> None:
    """Ends the open span where it really ended."""
    if state.span_activity is None:
        return
    if _is_kept(state):
        state.keep_row(("spans", state.span_number), _row(state, at, playhead_ms))
    state.span_activity = None


def split_off_stall(state: SessionState, ts: int) -> None:
    """The unmoved run at the end of the open content span was a stall from its first event on."""
    if state.run_start == state.span_started_at:
        state.span_activity = "stall"
    else:
        end_span_at(state, state.run_start, state.playhead_ms)
        _begin_span(state, "stall", state.run_start, ts)


def open_span(state: SessionState) -> OpenSpan:
    """The columns that complete the time line up to now."""
    if state.span_activity is None or not _is_kept(state):
        return NO_OPEN_SPAN
    row = _row(state, state.clock, state.playhead_ms)
    return OpenSpan._make((*row[:2], *row[3:]))


def _begin_span(state: SessionState, activity: Activity, at: int, ts: int) -> None:
    state.span_activity = activity
    state.span_started_at = at
    state.span_playhead_ms = state.playhead_ms
    state.span_number += 1
    if state.span_number > SPANS_MAX:
        find(state, "too_many_rows", ts, f"spans: more than {SPANS_MAX} rows")


def _is_kept(state: SessionState) -> bool:
    """What a span counts as follows from its ad's and break's rows: without them it has none."""
    ad, ad_break = state.ad, state.ad_break
    return (
        state.span_number <= SPANS_MAX
        and (ad is None or ad.number <= CHILD_ROWS_MAX)
        and (ad_break is None or ad_break.number <= CHILD_ROWS_MAX)
    )


def _row(state: SessionState, ended_at: int, playhead_ms: int) -> SpanRow:
    assert state.span_activity is not None
    ad, ad_break, chapter = state.ad, state.ad_break, state.chapter
    return SpanRow(
        state.span_number,
        state.span_started_at,
        ended_at,
        ended_at - state.span_started_at,
        state.span_activity,
        state.span_playhead_ms / 1000,
        playhead_ms / 1000,
        None if ad_break is None else ad_break.number,
        None if ad is None else ad.number,
        None if chapter is None else chapter.number,
    )
