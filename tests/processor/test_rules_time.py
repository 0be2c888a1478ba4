"""Elapsed time, stalls, bookends and the player state: one small session for each rule.

Beside docs/rules.md; the figures are worked out by hand. Whole sessions stand in tests/golden.
"""

import pytest

from models.policy import Policy
from models.records import Event, EventType
from tests.processor.sessions import at, event, records, session, start

AD_BREAK = (
    event("adBreakStart", 10, 10),
    event("adStart", 10, 10, id="a"),
    event("adComplete", 25, 10),
    event("adBreakComplete", 25, 10),
)


# --- elapsed time -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("playhead_s", "content_ms"), [(0, 0), (0.001, 1_000), (5, 1_000), (5.001, 0)]
)
def test_advanced_is_up_to_four_times_the_time_and_a_second(
    playhead_s: float, content_ms: int
) -> None:
    says = session(event("sessionStart", 0), event("ping", 1, playhead_s))
    assert (says.figures.content_ms, says.figures.startup_ms) == (content_ms, 1_000 - content_ms)
    assert says.figures.content_started == bool(content_ms)


def test_without_time_nothing_advances() -> None:
    says = session(event("sessionStart", 0), event("ping", 0, 0.5), event("ping", 1, 0.5))
    assert (says.figures.content_ms, says.figures.startup_ms) == (0, 1_000)


def test_a_playhead_that_goes_back_does_not_advance() -> None:
    says = session(event("sessionStart", 0, 10), event("ping", 1, 9))
    assert (says.figures.content_ms, says.figures.startup_ms) == (0, 1_000)


@pytest.mark.parametrize(("gap_s", "untracked_ms"), [(600, 0), (600.001, 600_001)])
@pytest.mark.parametrize("kind", ["play", "pauseStart", "bufferStart"])
def test_more_than_ten_minutes_between_events_are_untracked(
    gap_s: float, untracked_ms: int, kind: EventType
) -> None:
    says = session(event(kind, 0), event("ping", gap_s, 1))
    assert says.figures.untracked_ms == untracked_ms
    tracked_ms = says.figures.content_ms + says.figures.pause_ms + says.figures.buffer_ms
    assert tracked_ms + untracked_ms == round(gap_s * 1000)
    assert says.figures.unique_content_ms == 0 or kind == "play"


def test_untracked_time_adds_to_nothing_else() -> None:
    says = session(
        event("play", 0),
        event("chapterStart", 0, index=1),
        event("stateStart", 0, name="mute"),
        event("ping", 5, 5),
        event("ping", 700, 700),
    )
    assert (says.figures.untracked_ms, says.figures.content_ms) == (695_000, 5_000)
    assert says.figures.unique_content_ms == 5_000
    assert says.chapters[0].content_ms == 5_000
    assert says.player_states["mute"].total_ms == 5_000


def test_time_after_the_completion_goes_nowhere() -> None:
    says = session(
        event("play", 0),
        event("sessionComplete", 10, 10),
        event("ping", 20, 10),
        event("sessionEnd", 30, 10),
    )
    assert says.figures.content_ms == says.figures.watched_ms == 10_000
    assert says.figures.closed_at == at(30)


def test_durations_come_from_ts_and_never_from_the_playhead() -> None:
    assert session(event("play", 0), event("sessionEnd", 32.4, 35)).figures.content_ms == 32_400


def test_time_after_the_last_event_is_not_credited() -> None:
    says = session(event("play", 0, 0, 0), event("ping", 10, 10, 10), tick_s=900)
    assert (says.figures.content_ms, says.figures.last_event_at) == (10_000, at(10))


def test_more_pings_change_no_total() -> None:
    few = session(event("play", 0), event("sessionEnd", 20, 20))
    many = session(
        event("play", 0), *(event("ping", s, s) for s in range(1, 20)), event("sessionEnd", 20, 20)
    )
    count = many.figures.event_count
    assert few.figures._replace(event_count=count) == many.figures


@pytest.mark.parametrize("kind", ["pauseStart", "bufferStart"])
def test_a_pause_or_buffering_in_an_ad_is_no_ad_time(kind: EventType) -> None:
    says = session(
        event("play", 0),
        *AD_BREAK[:2],
        event(kind, 15, 10),
        event("play", 18, 10),
        *AD_BREAK[2:],
    )
    ad = says.ads[0]
    assert says.figures.ad_ms == ad.playing_ms == 12_000
    assert says.figures.pause_ms + says.figures.buffer_ms == ad.pause_ms + ad.buffer_ms == 3_000
    assert says.figures.pause_ms == (3_000 if kind == "pauseStart" else 0)


def test_content_that_runs_on_in_a_break_starts_content() -> None:
    says = session(
        event("sessionStart", 0),
        event("adBreakStart", 0),
        event("ping", 4, 0),
        event("ping", 10, 6),
    )
    assert (says.figures.ad_gap_ms, says.figures.content_ms) == (4_000, 6_000)
    assert says.figures.unique_content_ms == 6_000
    assert says.figures.content_started
    assert says.figures.initial_startup_ms == 4_000
    assert {"inferred_play", "playhead_moved_in_ad"} <= says.findings.keys()


def test_a_late_pause_leaves_the_time_before_it_alone() -> None:
    says = session(
        event("play", 0, 0, 0),
        event("ping", 10, 10, 10),
        event("ping", 20, 20, 20),
        event("pauseStart", 5, 5, 20),
    )
    assert (says.figures.content_ms, says.figures.pause_ms) == (10_000, 10_000)


# --- bookends -----------------------------------------------------------------------------------


def test_an_open_break_is_told_as_if_the_session_closed_now() -> None:
    says = session(event("play", 0), *AD_BREAK[:2], event("ping", 15, 10))
    f = says.figures
    assert (f.content_ms, f.unbookended_ad_ms, f.ad_ms) == (15_000, 5_000, 0)
    assert (f.void_ad_break_count, f.unbookended_ad_count, f.ad_break_count) == (1, 1, 0)
    assert (says.breaks[0].tracked, says.breaks[0].ended_at) == (False, None)
    assert says.findings == {}, "nothing is wrong yet"


def test_an_open_unbookended_ad_is_counted_without_a_finding_yet() -> None:
    says = session(event("play", 0), AD_BREAK[1], event("ping", 15, 10))
    assert (says.figures.content_ms, says.figures.unbookended_ad_ms) == (15_000, 5_000)
    assert says.figures.unbookended_ad_count == 1
    assert says.findings == {}


def test_the_closing_bookend_makes_it_ad_time() -> None:
    says = session(event("play", 0), *AD_BREAK)
    f = says.figures
    assert (f.content_ms, f.unbookended_ad_ms, f.ad_ms) == (10_000, 0, 15_000)
    assert (f.void_ad_break_count, f.unbookended_ad_count, f.ad_break_count) == (0, 0, 1)
    assert (f.ad_count, f.ad_complete_count, f.media_ms) == (1, 1, 25_000)
    assert says.breaks[0].tracked


def test_a_limit_does_not_stand_in_for_the_closing_bookend() -> None:
    events = [event("play", 0, 0, 0), *(each._replace(received_at=each.ts) for each in AD_BREAK)]
    says = session(*events[:-1], tick_s=700)
    assert says.figures.close_reason == "inactive"
    assert (says.figures.ad_ms, says.figures.unbookended_ad_ms) == (0, 15_000)
    assert says.findings["break_not_completed"][1:3] == (1, at(10))


def test_a_void_break_counts_as_ads_by_policy() -> None:
    events = (event("play", 0), *AD_BREAK[:3], event("sessionEnd", 25, 10))
    says = session(*events, policy=Policy(unclosed_break="ad"))
    f = says.figures
    assert (f.content_ms, f.ad_ms, f.unbookended_ad_ms) == (10_000, 15_000, 0)
    assert (f.ad_break_count, f.ad_count, f.ad_complete_count) == (1, 1, 1)
    assert (f.void_ad_break_count, f.unbookended_ad_count) == (0, 0)
    assert says.breaks[0].tracked
    assert "break_not_completed" in says.findings, "the finding stays"


def test_a_break_gap_counts_as_content_by_policy_and_to_nothing_else() -> None:
    events = (
        event("play", 0),
        event("chapterStart", 0, index=1),
        event("adBreakStart", 10, 10),
        event("adBreakComplete", 14, 10),
    )
    f = session(*events).figures
    assert (f.content_ms, f.ad_gap_ms, f.watched_ms) == (10_000, 4_000, 14_000)
    says = session(*events, policy=Policy(break_gap="content"))
    f = says.figures
    assert (f.content_ms, f.ad_gap_ms, f.watched_ms) == (14_000, 0, 14_000)
    assert (f.unique_content_ms, says.chapters[0].content_ms) == (10_000, 10_000)
    assert says.breaks[0].gap_ms == 0


# --- player state -------------------------------------------------------------------------------


def test_a_pause_ends_with_play_and_with_nothing_else() -> None:
    says = session(
        event("play", 0),
        event("pauseStart", 5, 5),
        event("ping", 10, 5),
        event("bitrateChange", 12, 5),
        event("error", 14, 5),
        event("play", 20, 5),
        event("ping", 25, 10),
    )
    assert (says.figures.pause_ms, says.figures.content_ms) == (15_000, 10_000)


def test_entries_into_a_state_are_counted() -> None:
    says = session(
        event("play", 0),
        event("pauseStart", 5),
        event("pauseStart", 6),
        event("bufferStart", 7),
        event("bufferStart", 8),
        event("pauseStart", 9),
    )
    assert (says.figures.pause_count, says.figures.buffer_count) == (2, 1)


def test_an_ad_that_starts_in_a_pause_plays() -> None:
    says = session(event("play", 0), event("pauseStart", 2, 2), *AD_BREAK)
    assert (says.figures.pause_ms, says.figures.ad_ms) == (8_000, 15_000)


def test_a_play_inside_the_pre_roll_belongs_to_the_ad() -> None:
    says = session(
        event("adBreakStart", 0),
        event("adStart", 0),
        event("play", 1),
        event("adComplete", 10),
        event("adBreakComplete", 10),
        event("ping", 12),
    )
    assert (says.figures.ad_ms, says.figures.startup_ms) == (10_000, 2_000)
    assert not says.figures.content_started


def test_after_a_break_the_player_goes_on_as_it_was() -> None:
    paused = session(
        event("play", 0),
        *AD_BREAK[:3],
        event("pauseStart", 25, 10),
        AD_BREAK[3],
        event("ping", 30, 10),
    )
    assert (paused.figures.pause_ms, paused.figures.content_ms) == (5_000, 10_000)
    playing = session(event("play", 0), *AD_BREAK, event("ping", 30, 15))
    assert playing.figures.content_ms == 15_000


def test_a_void_pre_roll_leaves_the_player_starting() -> None:
    says = session(
        event("adBreakStart", 0),
        event("adStart", 0),
        event("adBreakStart", 10),
        event("adBreakComplete", 12),
        event("ping", 15),
    )
    f = says.figures
    assert (f.content_ms, f.unbookended_ad_ms, f.ad_gap_ms, f.startup_ms) == (
        10_000,
        10_000,
        2_000,
        3_000,
    )


def test_an_unbookended_pre_roll_leaves_the_player_starting() -> None:
    says = session(event("adStart", 0), event("adComplete", 10), event("ping", 13))
    assert (says.figures.content_ms, says.figures.startup_ms) == (10_000, 3_000)
    assert not says.figures.content_started


@pytest.mark.parametrize("kind", ["pauseStart", "bufferStart"])
def test_nothing_but_play_and_an_ad_leaves_the_end(kind: EventType) -> None:
    says = session(
        event("play", 0),
        event("sessionComplete", 10, 10),
        event(kind, 11, 10),
        event("ping", 20, 10),
    )
    assert (says.figures.pause_count, says.figures.buffer_count) == (0, 0)
    assert says.figures.watched_ms == 10_000


def test_play_after_the_end_plays_again() -> None:
    says = session(
        event("play", 0),
        event("sessionComplete", 10, 10),
        event("play", 20, 0),
        event("ping", 25, 5),
    )
    assert says.figures.content_ms == 15_000
    assert says.figures.completed
    assert says.figures.status == "live", "open until sessionEnd or a limit"


def test_two_unbookended_ads_after_the_end() -> None:
    says = session(
        event("play", 0),
        event("sessionComplete", 10, 10),
        event("adStart", 10, 10),
        event("adStart", 15, 10),
        event("adComplete", 20, 10),
        event("ping", 30, 10),
    )
    assert (says.figures.content_ms, says.figures.unbookended_ad_ms) == (20_000, 10_000)


@pytest.mark.parametrize(
    ("events", "has_started"),
    [
        ([event("play", 0)], True),
        ([event("adStart", 0)], False),
        ([event("adBreakStart", 0), event("play", 0)], False),
        ([event("adStart", 0), event("play", 0)], False),
        ([event("bufferStart", 0)], False),
        ([event("sessionStart", 0), event("ping", 5, 5)], True),
        ([event("adBreakStart", 0), event("play", 0), event("ping", 5, 5)], True),
    ],
)
def test_content_starts_with_play_outside_ads_or_a_moving_playhead(
    events: list[Event], has_started: bool
) -> None:
    says = session(*events, event("sessionEnd", 6))
    assert says.figures.content_started == has_started
    assert says.figures.dropped_before_start == (not has_started)


def test_dropped_before_start_is_not_said_of_an_open_session() -> None:
    assert not session(start(0)).figures.dropped_before_start


# --- stalls -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "stall_ms"),
    [((0, 1, 2), 2_000), ((0, 1, 1.999), 0), ((0, 10), 0), ((0, 1, 30), 30_000)],
)
def test_a_stall_has_three_events_that_span_two_seconds(
    seconds: tuple[float, ...], stall_ms: int
) -> None:
    first, *others = seconds
    says = session(event("play", first), *(event("ping", second) for second in others))
    assert says.figures.stall_ms == stall_ms
    assert says.figures.content_ms == round(seconds[-1] * 1000) - stall_ms
    assert says.figures.stall_count == (1 if stall_ms else 0)


def test_events_of_one_ts_are_one_event_of_a_run() -> None:
    says = session(event("play", 0), event("ping", 10), event("bitrateChange", 10))
    assert (says.figures.stall_ms, says.figures.content_ms) == (0, 10_000)


def test_a_stall_ends_when_the_playhead_moves() -> None:
    says = session(event("play", 0), event("ping", 1), event("ping", 2), event("ping", 5, 3))
    assert (says.figures.stall_ms, says.figures.content_ms) == (2_000, 3_000)


@pytest.mark.parametrize("kind", ["pauseStart", "bufferStart", "adBreakStart", "sessionComplete"])
def test_a_stall_ends_with_main_content(kind: EventType) -> None:
    says = session(
        event("play", 0), event("ping", 1), event("ping", 2), event(kind, 5), event("ping", 9)
    )
    assert says.figures.stall_ms == 5_000
    assert says.figures.content_ms == 0


def test_play_and_late_pings_are_nothing_new_to_a_run() -> None:
    says = session(event("play", 0), event("play", 1), event("ping", 2))
    assert says.figures.stall_ms == 2_000


def test_no_stall_where_the_playhead_stands_by_design() -> None:
    stands = [event("ping", second, 10) for second in range(11, 25)]
    in_a_break = session(event("play", 0), *AD_BREAK[:2], *stands, *AD_BREAK[2:])
    assert (in_a_break.figures.stall_count, in_a_break.figures.ad_ms) == (0, 15_000)
    unbookended = session(event("play", 0), AD_BREAK[1], *stands, AD_BREAK[2])
    assert (unbookended.figures.stall_count, unbookended.figures.content_ms) == (0, 25_000)
    paused = session(event("play", 0), event("pauseStart", 10, 10), *stands)
    assert (paused.figures.stall_count, paused.figures.pause_ms) == (0, 14_000)


@pytest.mark.parametrize("kind", ["chapterStart", "chapterComplete", "chapterSkip"])
def test_a_chapter_event_starts_a_new_run(kind: EventType) -> None:
    says = session(event("play", 0), event("ping", 1), event(kind, 1.5), event("ping", 3))
    assert (says.figures.stall_ms, says.figures.content_ms) == (0, 3_000)


def test_an_untracked_gap_starts_a_new_run() -> None:
    says = session(event("play", 0), event("ping", 1), event("ping", 700), event("ping", 710))
    f = says.figures
    assert (f.stall_ms, f.content_ms, f.untracked_ms) == (0, 11_000, 699_000)


def test_no_stalls_by_policy() -> None:
    events = (event("play", 0), event("ping", 1), event("ping", 20))
    f = session(*events, policy=Policy(stall_detection="off")).figures
    assert (f.stall_ms, f.stall_count, f.content_ms) == (0, 0, 20_000)


def test_stalls_in_an_offline_list_are_found_too() -> None:
    says = records([start(0), event("play", 0), event("ping", 1), event("ping", 4)], offline=True)
    assert says.figures.stall_ms == 4_000


def test_the_timeouts_can_be_set() -> None:
    policy = Policy(inactive_ms=60_000, idle_ms=120_000, expired_ms=3_600_000)
    silent = session(event("play", 0, 0, 0), event("ping", 61, 61, 61), policy=policy).figures
    assert (silent.close_reason, silent.seconds_since_last_event) == ("inactive", 60)
    still = [event("ping", at, 0, at) for at in range(30, 151, 30)]
    idle = session(event("play", 0, 0, 0), *still, policy=policy).figures
    assert (idle.close_reason, idle.closed_at) == ("idle", event("ping", 120).ts)
    long = [event("ping", at, at, at) for at in range(50, 3_700, 50)]
    expired = session(event("play", 0, 0, 0), *long, policy=policy).figures
    assert expired.close_reason == "expired"
    gap = [event("play", 0, 0, 0), event("ping", 61, 61, 30)]
    assert session(*gap, policy=policy).figures.untracked_ms == 61_000
