"""What each event does in a session (docs/rules.md "Player state", "What closes what").

Part of the pure core. `EFFECTS` is the table; an effect takes place at `at`: the event's `ts`, or
the session clock when the event is late. Effects never account time: `elapsed` has done that.
"""

from collections.abc import Callable
from typing import Final

from models.limits import CHILD_ROWS_MAX
from models.policy import Policy
from models.records import Event
from models.rows import EndedBy, Position
from processor.child_rows import ad_row, break_row, chapter_row, keep_error
from processor.elapsed import note_start
from processor.fields import (
    AD_COLUMNS,
    BREAK_COLUMNS,
    CHAPTER_COLUMNS,
    columns,
    custom_metadata,
    state_names,
    wrong_type,
)
from processor.findings import find
from processor.player_states import enter_state, leave_state
from processor.spans import end_span
from processor.state import SessionState
from processor.things import OpenAd, OpenBreak, OpenChapter

Effect = Callable[[SessionState, Event, int, Policy], None]


def _nothing(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    """`ping` and, but for its fields (which count from its arrival), `sessionStart`."""


# --- player state -------------------------------------------------------------------------------


def _play(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    note_start(state, at)
    state.player = "playing"
    if state.ad_break is None and state.ad is None:
        state.content_started = True


def _pause(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    if state.player not in ("paused", "ended"):
        state.player = "paused"
        state.pause_count += 1


def _buffer(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    if state.player not in ("buffering", "ended"):
        state.player = "buffering"
        state.buffer_count += 1


def _session_complete(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    state.completed = True
    state.player = "ended"


def _leave_ads(state: SessionState, *, was_ended: bool) -> None:
    """The player goes on as it is, but a `play` inside a pre- or post-roll belonged to the ad."""
    if state.player == "playing":
        if was_ended:
            state.player = "ended"
        elif not state.content_started:
            state.player = "starting"


# --- breaks -------------------------------------------------------------------------------------


def _ad_break_start(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    swapped = None
    if state.ad_break is not None:
        end_ad(state, at, "adBreakStart", event.ts)
        void_break(state, at, policy)
    elif state.ad is not None:
        if state.ad.sent_ts == event.ts:
            swapped = state.ad
        else:
            end_ad(state, at, "adBreakStart", event.ts)
    _open_break(state, event, at, swapped)


def _open_break(state: SessionState, event: Event, at: int, swapped: OpenAd | None) -> None:
    end_span(state)
    if swapped is None:
        _warn_of_early_play(state, event)
    state.break_number += 1
    was_ended = state.player == "ended" if swapped is None else swapped.was_ended
    opened = OpenBreak(state.break_number, at, event, _position(state, event), was_ended)
    opened.pod_index, opened.pod_second, opened.name = columns(state, event, BREAK_COLUMNS)
    if swapped is not None:
        _take_in(state, opened, swapped)
    state.ad_break = opened
    _warn_of_many_rows(state, event, opened.number, "ad_breaks")


def _take_in(state: SessionState, opened: OpenBreak, swapped: OpenAd) -> None:
    """adStart and adBreakStart were swapped on the way: the ad is the break's from its start."""
    swapped.break_number = opened.number
    opened.ad_count = 1
    opened.ad_ms = swapped.playing_ms
    state.content_ms -= swapped.playing_ms
    state.unbookended_ad_ms -= swapped.playing_ms


def _position(state: SessionState, event: Event) -> Position:
    if not state.content_started:
        return "pre"
    at_end = state.length_s > 0 and event.playhead_ms >= state.length_s * 1000 - 1000
    return "post" if state.completed or at_end else "mid"


def _warn_of_early_play(state: SessionState, event: Event) -> None:
    if state.content_started and state.content_ms == 0:
        find(state, "play_before_preroll", event.ts, "play came before the pre-roll started")


def _ad_break_complete(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    if state.ad_break is not None:
        end_ad(state, at, "adBreakComplete", event.ts)
        _complete_break(state, at)
    elif state.ad is not None:
        find(state, "break_without_start", event.ts, "adBreakComplete ended an unbookended ad")
        end_ad(state, at, "adBreakComplete", event.ts)
    elif state.break_completed_last:
        find(state, "break_completed_twice", event.ts, "adBreakComplete after adBreakComplete")
    else:
        find(state, "break_without_start", event.ts, "adBreakComplete without adBreakStart")


def _complete_break(state: SessionState, at: int) -> None:
    ended = state.ad_break
    if ended is None:
        return
    _count_as_ads(state, ended)
    state.break_completed_last = True
    _leave_break(state, ended, at, tracked=True)


def void_break(state: SessionState, at: int, policy: Policy) -> None:
    """The closing bookend is missing: the ads' time becomes content (or, by policy, stays ad)."""
    ended = state.ad_break
    if ended is None:
        return
    find(
        state,
        "break_not_completed",
        ended.sent_ts,
        f"break {ended.number}: {ended.ad_ms} ms of ads without adBreakComplete",
    )
    tracked = policy.unclosed_break == "ad"
    if tracked:
        _count_as_ads(state, ended)
    else:
        state.content_ms += ended.ad_ms
        state.unbookended_ad_ms += ended.ad_ms
        state.unbookended_ad_count += ended.ad_count
        state.void_ad_break_count += 1
    _leave_break(state, ended, at, tracked=tracked)


def _count_as_ads(state: SessionState, ended: OpenBreak) -> None:
    state.ad_ms += ended.ad_ms
    state.ad_break_count += 1
    state.ad_count += ended.ad_count
    state.ad_complete_count += ended.ad_complete_count
    state.ad_skip_count += ended.ad_skip_count


def _leave_break(state: SessionState, ended: OpenBreak, at: int, *, tracked: bool) -> None:
    end_span(state)
    state.ad_break = None
    if ended.number <= CHILD_ROWS_MAX:
        row = break_row(ended, ended_at=at, tracked=tracked)
        state.keep_row(("ad_breaks", ended.number), row)
    _leave_ads(state, was_ended=ended.was_ended)


# --- ads ----------------------------------------------------------------------------------------


def _ad_start(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    end_ad(state, at, "adStart", event.ts)
    end_span(state)
    if state.ad_break is None:
        _warn_of_early_play(state, event)
    note_start(state, at)
    state.break_completed_last = False
    state.ad_number += 1
    break_number = None
    if state.ad_break is not None:
        state.ad_break.ad_count += 1
        break_number = state.ad_break.number
    fields = (*columns(state, event, AD_COLUMNS), custom_metadata(event))
    state.ad = OpenAd(state.ad_number, break_number, at, event.ts, state.player == "ended", fields)
    state.player = "playing"
    _warn_of_many_rows(state, event, state.ad_number, "ads")


def _ad_complete(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    if state.ad is None:
        find(state, "end_without_ad", event.ts, "adComplete with no ad open")
    else:
        end_ad(state, at, "adComplete", event.ts)


def _ad_skip(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    if state.ad is None:
        find(state, "end_without_ad", event.ts, "adSkip with no ad open")
    else:
        end_ad(state, at, "adSkip", event.ts)


def end_ad(state: SessionState, at: int, ended_by: EndedBy, ts: int) -> None:
    """Ends the open ad, if any. `ts` is the time of the event that ended it, for findings."""
    ad = state.ad
    if ad is None:
        return
    end_span(state)
    state.ad = None
    if ended_by in ("adStart", "adBreakStart", "adBreakComplete"):
        find(state, "ad_not_ended", ts, f"ad {ad.number} was ended by {ended_by}")
    if ad.number <= CHILD_ROWS_MAX:
        state.keep_row(("ads", ad.number), ad_row(ad, ended_at=at, ended_by=ended_by))
    if state.ad_break is not None:
        state.ad_break.ad_complete_count += ended_by == "adComplete"
        state.ad_break.ad_skip_count += ended_by == "adSkip"
        return
    state.unbookended_ad_count += 1
    find(
        state,
        "ad_without_break",
        ad.sent_ts,
        f"ad {ad.number}: {ad.playing_ms} ms without adBreakStart",
    )
    _leave_ads(state, was_ended=ad.was_ended)


# --- chapters, player states, errors ------------------------------------------------------------


def _chapter_start(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    end_chapter(state, at, completed=False)
    end_span(state)
    state.chapter_count += 1
    fields = (*columns(state, event, CHAPTER_COLUMNS), custom_metadata(event))
    state.chapter = OpenChapter(state.chapter_count, at, fields)
    _warn_of_many_rows(state, event, state.chapter_count, "chapters")


def _chapter_complete(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    if state.chapter is None:
        find(state, "end_without_chapter", event.ts, "chapterComplete with no chapter open")
    end_chapter(state, at, completed=True)


def _chapter_skip(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    if state.chapter is None:
        find(state, "end_without_chapter", event.ts, "chapterSkip with no chapter open")
    end_chapter(state, at, completed=False)


def end_chapter(state: SessionState, at: int, *, completed: bool) -> None:
    """Ends the open chapter, if any."""
    chapter = state.chapter
    if chapter is None:
        return
    end_span(state)
    state.chapter = None
    state.chapter_complete_count += completed
    if chapter.number <= CHILD_ROWS_MAX:
        row = chapter_row(chapter, ended_at=at, completed=completed)
        state.keep_row(("chapters", chapter.number), row)


def _state_start(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    name = _one_state_name(state, event)
    if name is not None:
        enter_state(state, event, name)


def _state_end(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    name = _one_state_name(state, event)
    if name is not None:
        leave_state(state, name)


def _states_update(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    for name in state_names(state, event, "statesEnd"):
        leave_state(state, name)
    for name in state_names(state, event, "statesStart"):
        enter_state(state, event, name)


def _one_state_name(state: SessionState, event: Event) -> str | None:
    name = event.params.get("media.state.name") if event.params else None
    if isinstance(name, str):
        return name.lower()
    wrong_type(state, event, "media.state.name", name)
    return None


def _bitrate_change(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    state.bitrate_change_count += 1


def _error(state: SessionState, event: Event, at: int, policy: Policy) -> None:
    keep_error(state, event)
    if state.errors is not None:
        _warn_of_many_rows(state, event, state.errors.count, "errors")


def _warn_of_many_rows(state: SessionState, event: Event, number: int, table: str) -> None:
    if number > CHILD_ROWS_MAX:
        find(state, "too_many_rows", event.ts, f"{table}: more than {CHILD_ROWS_MAX} rows")


EFFECTS: Final[dict[str, Effect]] = {
    "sessionStart": _nothing,
    "play": _play,
    "ping": _nothing,
    "pauseStart": _pause,
    "bufferStart": _buffer,
    "bitrateChange": _bitrate_change,
    "adBreakStart": _ad_break_start,
    "adBreakComplete": _ad_break_complete,
    "adStart": _ad_start,
    "adComplete": _ad_complete,
    "adSkip": _ad_skip,
    "chapterStart": _chapter_start,
    "chapterComplete": _chapter_complete,
    "chapterSkip": _chapter_skip,
    "stateStart": _state_start,
    "stateEnd": _state_end,
    "statesUpdate": _states_update,
    "error": _error,
    "sessionComplete": _session_complete,
    "sessionEnd": _nothing,
}
"""Event type to effect. What `sessionEnd` does, closing, is `session.close`'s."""
