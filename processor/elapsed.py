"""Where the time between two events goes (docs/rules.md "Elapsed time" and "Stalls").

Part of the pure core. `account` is the table of the rules, row for row: the first that fits
decides, by the state before the second event.
"""

from typing import Final

from models.limits import PING_GAP_MS, STALL_MIN_EVENTS, STALL_MIN_MS
from models.policy import Policy
from models.records import Event
from models.rows import Activity
from processor.findings import find
from processor.intervals import add_played
from processor.player_states import break_off
from processor.spans import end_span, end_span_at, go_on, split_off_stall
from processor.state import SessionState
from processor.things import NEVER, OpenAd

CHAPTER_EVENTS: Final = frozenset(("chapterStart", "chapterComplete", "chapterSkip"))


def advanced(dt: int, moved_ms: int) -> bool:
    """The playhead went forward as playback does, not as a seek (fast playback counts)."""
    return dt > 0 and 0 < moved_ms <= 4 * dt + 1000


def played_on(dt: int, moved_ms: int) -> bool:
    """All that the playhead passed was played; else it was a seek (docs/rules.md "Unique")."""
    return 0 <= 2 * moved_ms <= 3 * dt + 2000


def account(state: SessionState, event: Event, dt: int, policy: Policy) -> None:
    """Adds `dt` ms to the one bucket that the table gives, and to the time line. Changes the player
    by inferred play."""
    moved_ms = event.playhead_ms - state.playhead_ms
    if state.player == "playing" and dt > PING_GAP_MS:
        find(state, "ping_gap", event.ts, f"{dt} ms without an event")
    activity = _spend(state, event, dt, moved_ms, policy)
    if dt > 0:
        go_on(state, activity, event.ts)
        if activity == "content" and not played_on(dt, moved_ms):
            end_span_at(state, event.ts, state.playhead_ms + dt)
    elif moved_ms != 0:
        end_span(state)


def _spend(state: SessionState, event: Event, dt: int, moved_ms: int, policy: Policy) -> Activity:
    """The table of the rules. Returns what was on screen meanwhile."""
    player = state.player
    if dt > policy.inactive_ms:
        state.untracked_ms += dt
        break_off(state, event.ts)
        return "untracked"
    if player == "ended":
        state.ended_ms += dt
        return "ended"
    if player == "paused":
        return _account_pause(state, dt)
    if player == "buffering":
        return _account_buffer(state, dt)
    if state.ad_break is not None and state.ad is None:
        return _account_gap(state, event, dt, moved_ms, policy)
    if player == "starting":
        return _account_start(state, event, dt, moved_ms)
    if state.ad is not None:
        return _account_ad(state, state.ad, event, dt, moved_ms)
    return _account_main(state, event, dt, moved_ms, policy)


def _account_pause(state: SessionState, dt: int) -> Activity:
    state.pause_ms += dt
    if state.ad is not None:
        state.ad.pause_ms += dt
    return "pause"


def _account_buffer(state: SessionState, dt: int) -> Activity:
    state.buffer_ms += dt
    if state.ad is not None:
        state.ad.buffer_ms += dt
    return "buffer"


def _account_gap(
    state: SessionState, event: Event, dt: int, moved_ms: int, policy: Policy
) -> Activity:
    """In a break, between ads: content that runs on is content, anything else neither."""
    if advanced(dt, moved_ms):
        if state.player == "starting":
            infer_play(state, event, dt)
        state.content_started = True
        find(state, "playhead_moved_in_ad", event.ts, f"{moved_ms} ms in a break, between ads")
        return _account_content(state, event, dt, moved_ms)
    state.ad_gap_ms += dt  # `summarize` adds it to content where the policy says so
    if state.ad_break is not None and policy.break_gap == "excluded":
        state.ad_break.gap_ms += dt
    return "break"


def _account_start(state: SessionState, event: Event, dt: int, moved_ms: int) -> Activity:
    if advanced(dt, moved_ms):
        infer_play(state, event, dt)
        return _account_content(state, event, dt, moved_ms)
    state.startup_ms += dt
    return "startup"


def _account_ad(state: SessionState, ad: OpenAd, event: Event, dt: int, moved_ms: int) -> Activity:
    ad_break = state.ad_break
    ad.playing_ms += dt
    if ad_break is not None:
        ad_break.ad_ms += dt
    else:
        state.content_ms += dt
        state.unbookended_ad_ms += dt
    if advanced(dt, moved_ms):
        find(state, "playhead_moved_in_ad", event.ts, f"{moved_ms} ms in ad {ad.number}")
    return "ad"


def _account_content(state: SessionState, event: Event, dt: int, moved_ms: int) -> Activity:
    """Main content time, in the open chapter too, and the playheads it played."""
    state.content_ms += dt
    if state.chapter is not None:
        state.chapter.content_ms += dt
    if dt > 0 and moved_ms != 0:
        start = state.playhead_ms
        add_played(state, start, event.playhead_ms if played_on(dt, moved_ms) else start + dt)
    return "content"


def _account_main(
    state: SessionState, event: Event, dt: int, moved_ms: int, policy: Policy
) -> Activity:
    """Playing main content: content, unless the playhead stands still long enough to be a stall."""
    if moved_ms != 0:
        start_run(state, event.ts)
        return _account_content(state, event, dt, moved_ms)
    if dt > 0:
        state.run_events += 1
    if state.stalled:
        state.stall_ms += dt
        return "stall"
    _account_content(state, event, dt, moved_ms)
    run_ms = event.ts - state.run_start
    if (
        state.run_events >= STALL_MIN_EVENTS
        and run_ms >= STALL_MIN_MS
        and policy.stall_detection == "on"
    ):
        _start_stall(state, run_ms, event.ts)
        return "stall"
    return "content"


def _start_stall(state: SessionState, run_ms: int, ts: int) -> None:
    """Moves the run's time, all of it counted as content of one chapter so far, to stall."""
    state.stalled = True
    state.stall_count += 1
    state.stall_ms += run_ms
    state.content_ms -= run_ms
    if state.chapter is not None:
        state.chapter.content_ms -= run_ms
    split_off_stall(state, ts)


def start_run(state: SessionState, at: int) -> None:
    """A new unmoved run begins with the event at `at`."""
    state.run_start = at
    state.run_events = 1
    state.stalled = False


def settle_run(
    state: SessionState, event: Event, at: int, *, was_main: bool, untracked: bool
) -> None:
    """After an event's effect: what became of the unmoved run (docs/rules.md "Stalls")."""
    if not state.in_main_content():
        state.run_events = 0
        state.run_start = NEVER
        state.stalled = False
    elif untracked or not was_main or event.type in CHAPTER_EVENTS:
        start_run(state, at)


def infer_play(state: SessionState, event: Event, dt: int) -> None:
    """The playhead advanced while starting: the content has been playing for the last `dt` ms."""
    note_start(state, event.ts - dt)
    state.player = "playing"
    state.content_started = True
    find(state, "inferred_play", event.ts, "the playhead advanced, but no play was sent")


def note_start(state: SessionState, at: int) -> None:
    """The first start of anything gives `initial_startup_ms`; `at` is the session clock then."""
    if state.first_start_ms == NEVER:
        state.first_start_ms = at - state.origin
