"""Where the time between two events goes (docs/rules.md "Elapsed time" and "Stalls").

Part of the pure core. `account` is the table of the rules, row for row: the first that fits
decides, by the state before the second event.
"""

from typing import Final

from models.limits import INACTIVE_MS, PING_GAP_MS, STALL_MIN_EVENTS, STALL_MIN_MS
from models.policy import Policy
from models.records import Event
from processor.findings import find
from processor.intervals import add_played
from processor.state import SessionState
from processor.things import NEVER

CHAPTER_EVENTS: Final = frozenset(("chapterStart", "chapterComplete", "chapterSkip"))


def advanced(dt: int, moved_ms: int) -> bool:
    """The playhead went forward as playback does, not as a seek (fast playback counts)."""
    return dt > 0 and 0 < moved_ms <= 4 * dt + 1000


def account(state: SessionState, event: Event, dt: int, policy: Policy) -> None:
    """Adds `dt` ms to the one bucket that the table gives. Changes the player by inferred play."""
    moved_ms = event.playhead_ms - state.playhead_ms
    player = state.player
    if player == "playing" and dt > PING_GAP_MS:
        find(state, "ping_gap", event.ts, f"{dt} ms without an event")
    if dt > INACTIVE_MS:
        state.untracked_ms += dt
    elif player == "ended":
        state.ended_ms += dt
    elif player == "paused":
        _account_pause(state, dt)
    elif player == "buffering":
        _account_buffer(state, dt)
    elif state.ad_break is not None and state.ad is None:
        _account_gap(state, event, dt, moved_ms, policy)
    elif player == "starting":
        if advanced(dt, moved_ms):
            infer_play(state, event, dt)
            _account_content(state, event, dt, moved_ms)
        else:
            state.startup_ms += dt
    elif state.ad is not None:
        _account_ad(state, event, dt, moved_ms)
    else:
        _account_main(state, event, dt, moved_ms, policy)


def _account_pause(state: SessionState, dt: int) -> None:
    state.pause_ms += dt
    if state.ad is not None:
        state.ad.pause_ms += dt


def _account_buffer(state: SessionState, dt: int) -> None:
    state.buffer_ms += dt
    if state.ad is not None:
        state.ad.buffer_ms += dt


def _account_gap(state: SessionState, event: Event, dt: int, moved_ms: int, policy: Policy) -> None:
    """In a break, between ads: content that runs on is content, anything else neither."""
    if advanced(dt, moved_ms):
        if state.player == "starting":
            infer_play(state, event, dt)
        state.content_started = True
        find(state, "playhead_moved_in_ad", event.ts, f"{moved_ms} ms in a break, between ads")
        _account_content(state, event, dt, moved_ms)
        return
    state.ad_gap_ms += dt  # `summarize` adds it to content where the policy says so
    if state.ad_break is not None and policy.break_gap == "excluded":
        state.ad_break.gap_ms += dt


def _account_ad(state: SessionState, event: Event, dt: int, moved_ms: int) -> None:
    ad, ad_break = state.ad, state.ad_break
    if ad is None:
        return
    ad.playing_ms += dt
    if ad_break is not None:
        ad_break.ad_ms += dt
    else:
        state.content_ms += dt
        state.unbookended_ad_ms += dt
    if advanced(dt, moved_ms):
        find(state, "playhead_moved_in_ad", event.ts, f"{moved_ms} ms in ad {ad.number}")


def _account_content(state: SessionState, event: Event, dt: int, moved_ms: int) -> None:
    """Main content time, in the open chapter too, and the playheads it played."""
    state.content_ms += dt
    if state.chapter is not None:
        state.chapter.content_ms += dt
    if dt > 0 and moved_ms != 0:
        start = state.playhead_ms
        played = moved_ms >= 0 and 2 * moved_ms <= 3 * dt + 2000
        add_played(state, start, event.playhead_ms if played else start + dt)


def _account_main(
    state: SessionState, event: Event, dt: int, moved_ms: int, policy: Policy
) -> None:
    """Playing main content: content, unless the playhead stands still long enough to be a stall."""
    if moved_ms != 0:
        _account_content(state, event, dt, moved_ms)
        start_run(state, event.ts)
        return
    if dt > 0:
        state.run_events += 1
    if state.stalled:
        state.stall_ms += dt
        return
    _account_content(state, event, dt, moved_ms)
    run_ms = event.ts - state.run_start
    if (
        state.run_events >= STALL_MIN_EVENTS
        and run_ms >= STALL_MIN_MS
        and policy.stall_detection == "on"
    ):
        _start_stall(state, run_ms)


def _start_stall(state: SessionState, run_ms: int) -> None:
    """Moves the run's time, all of it counted as content of one chapter so far, to stall."""
    state.stalled = True
    state.stall_count += 1
    state.stall_ms += run_ms
    state.content_ms -= run_ms
    if state.chapter is not None:
        state.chapter.content_ms -= run_ms


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
