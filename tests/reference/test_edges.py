"""Edges of the rules, worked out by hand: the second reading and the fold must both give them.

Where docs/rules.md leaves room, these sessions say how it is read.
"""

from models.policy import DEFAULT_POLICY, Policy
from models.records import Event, EventType, Fields
from tests.production import fold_arrivals
from tests.reference.arrivals import Step, Tick
from tests.reference.compare import differences
from tests.reference.plans import T0, one_by_one, start_params
from tests.reference.reading import Reading, read

START = Event("sessionStart", T0, 0, start_params(), received_at=T0)
HOUR_MS = 3_600_000


def at(
    ms: int,
    kind: EventType,
    playhead_ms: int = 0,
    params: Fields | None = None,
    qoe: Fields | None = None,
    *,
    received_ms: int | None = None,
) -> Event:
    """An event `ms` after the start, received at once unless told."""
    received = ms if received_ms is None else received_ms
    return Event(kind, T0 + ms, playhead_ms, params, qoe, received_at=T0 + received)


def log(*events: Event, tick_ms: int | None = None) -> list[Step]:
    tail: list[Step] = [] if tick_ms is None else [Tick(T0 + tick_ms)]
    return [*one_by_one(events), *tail]


def both(steps: list[Step], policy: Policy = DEFAULT_POLICY) -> Reading:
    reading = read(steps, policy)
    assert differences(reading, fold_arrivals(steps, policy)) == {}
    return reading


def codes(reading: Reading) -> dict[str, int]:
    return {f.code: f.count for f in reading.findings}


# --- limits ----------------------------------------------------------------------------------


def test_ten_minutes_are_not_over_ten_minutes() -> None:
    steps = log(START, at(600_000, "ping"), tick_ms=1_200_000)
    assert both(steps).figures.close_reason is None
    assert both([*steps, Tick(T0 + 1_200_001)]).figures.close_reason == "inactive"


def test_the_earlier_deadline_is_the_reason() -> None:
    last = 24 * HOUR_MS - 600_000
    for ms, reason, left_s in ((last, "inactive", 600), (last + 2500, "expired", 597)):
        beat = [at(t, "ping", t) for t in range(500_000, ms, 500_000)]
        steps = log(START, *beat, at(ms, "ping", ms), tick_ms=25 * HOUR_MS)
        figures = both(steps).figures
        assert (figures.close_reason, figures.seconds_since_last_event) == (reason, left_s)
        assert figures.closed_at == T0 + ms


def test_a_waiting_close_stands_when_a_limit_is_over() -> None:
    figures = both(log(START, at(5000, "sessionEnd"), at(700_000, "ping"))).figures
    assert (figures.close_reason, figures.events_after_close_count) == ("session_end", 1)


def test_the_event_that_shows_idleness_has_no_effect() -> None:
    pings = [at(ms, "ping") for ms in range(500_000, 1_800_000, 500_000)]
    steps = log(START, at(0, "play"), *pings, at(1_800_000, "error", 0, {"media.errorId": "E"}))
    figures = both(steps).figures
    assert (figures.close_reason, figures.closed_at) == ("idle", T0 + 1_800_000)
    assert (figures.event_count, figures.error_count) == (6, 0)


# --- order -----------------------------------------------------------------------------------


def test_a_late_close_closes_at_the_clock_and_before_what_waits() -> None:
    reading = both(
        log(
            START,
            at(0, "play"),
            at(10_000, "ping", 10_000),
            at(20_000, "ping", 20_000),
            at(5_000, "sessionEnd", 5_000, received_ms=20_000),
        )
    )
    figures = reading.figures
    assert (figures.closed_at, figures.content_ms) == (T0 + 10_000, 10_000)
    assert (figures.late_event_count, figures.events_after_close_count) == (1, 1)


def test_a_waiting_close_from_before_the_start_is_ignored_when_the_start_comes() -> None:
    flushed = at(-1000, "sessionEnd", 9000, received_ms=0)
    reading = both(log(flushed, START, at(0, "play"), at(4000, "ping", 4000)))
    assert codes(reading) == {"close_before_start": 1}
    assert reading.figures.event_count == 3


def test_a_second_start_changes_no_field() -> None:
    other = START._replace(params=start_params(7), ts=T0 - 10)
    reading = both(log(START, other, at(0, "play")))
    assert reading.start is not None
    assert reading.start.content_length_s == 600
    assert codes(reading) == {"second_session_start": 1}
    assert reading.figures.started_at == T0 - 10


def test_a_corrected_clock_starts_time_anew() -> None:
    back = -2 * HOUR_MS
    reading = both(
        log(
            START,
            at(0, "play"),
            at(10_000, "ping", 10_000),
            at(back, "ping", 10_000, received_ms=11_000),
            at(back + 10_000, "sessionEnd", 20_000, received_ms=21_000),
        )
    )
    figures = reading.figures
    assert (figures.content_ms, figures.started_at) == (20_000, T0)
    assert (figures.closed_at, codes(reading)) == (T0 + back + 10_000, {"clock_set_back": 1})


# --- bookends --------------------------------------------------------------------------------


def test_a_late_opening_of_the_same_ts_takes_the_whole_ad_in() -> None:
    """The ad's time before the opening came is the break's as well, or content if it is void."""
    events = [
        START,
        at(0, "play"),
        at(10_000, "adStart", 10_000),
        at(16_000, "ping", 10_000),
        at(22_000, "ping", 10_000),
        at(10_000, "adBreakStart", 10_000, received_ms=22_000),
        at(25_000, "adComplete", 10_000),
        at(25_000, "adBreakComplete", 10_000),
    ]
    whole, void = both(log(*events)), both(log(*events[:-1]))
    assert (whole.figures.ad_ms, whole.figures.unbookended_ad_ms) == (15_000, 0)
    assert (whole.breaks[0].ad_ms, whole.ads[0].playing_ms) == (15_000, 15_000)
    assert (void.figures.ad_ms, void.figures.unbookended_ad_ms) == (0, 15_000)
    assert codes(whole) == {"late_event": 1}


def test_a_gap_that_counts_as_content_is_content_and_nothing_else() -> None:
    events = [
        START,
        at(0, "adBreakStart"),
        at(5_000, "adStart"),
        at(15_000, "adBreakComplete"),
        at(15_000, "sessionEnd"),
    ]
    figures = both(log(*events), Policy(break_gap="content")).figures
    assert (figures.content_ms, figures.ad_gap_ms, figures.ad_ms) == (5_000, 0, 10_000)
    assert (figures.unique_content_ms, figures.content_started) == (0, False)


def test_content_in_an_open_break_is_inferred_play() -> None:
    reading = both(log(START, at(0, "adBreakStart"), at(5_000, "ping", 5_000)))
    figures = reading.figures
    assert (figures.content_ms, figures.content_started) == (5_000, True)
    assert (figures.initial_startup_ms, figures.exit_stage) == (0, "midroll")
    assert codes(reading) == {"inferred_play": 1, "playhead_moved_in_ad": 1}


def test_an_unbookended_post_roll_is_ended_again() -> None:
    reading = both(
        log(
            START,
            at(0, "play"),
            at(10_000, "sessionComplete", 10_000),
            at(10_000, "adStart", 10_000),
            at(20_000, "adStart", 10_000),
            at(30_000, "adComplete", 10_000),
            at(50_000, "sessionEnd", 10_000),
        )
    )
    assert (reading.figures.content_ms, reading.ended_ms) == (30_000, 20_000)
    assert codes(reading) == {"ad_not_ended": 1, "ad_without_break": 2}


def test_a_break_near_the_end_is_a_post_roll() -> None:
    for playhead_ms, position in ((598_999, "mid"), (599_000, "post")):
        events = (START, at(0, "play", playhead_ms), at(0, "adBreakStart", playhead_ms))
        assert both(log(*events)).breaks[0].position == position


# --- figures ---------------------------------------------------------------------------------


def test_a_bitrate_without_weight_has_no_average() -> None:
    figures = both(log(START, at(10_000, "bitrateChange", 0, None, {"bitrate": 800}))).figures
    assert (figures.average_bitrate, figures.bitrate_change_count) == (None, 1)


def test_a_stall_keeps_its_weight_in_the_average_bitrate() -> None:
    figures = both(
        log(
            START,
            at(0, "play", 0, None, {"media.qoe.bitrate": "1000"}),
            at(10_000, "ping", 0),
            at(20_000, "ping", 0, None, {"bitrate": 3000}),
            at(30_000, "ping", 10_000),
            at(40_000, "adStart", 20_000, {"bitrate": 5000}),
            at(50_000, "sessionEnd", 20_000),
        )
    ).figures
    assert (figures.stall_ms, figures.content_ms) == (20_000, 30_000)
    assert figures.average_bitrate == (1000 * 20 + 3000 * 20 + 5000 * 10) / 50


def test_touching_pieces_are_one_and_the_smallest_gap_closes_beyond_256() -> None:
    """257 pieces, of which the first two touch: nothing has to be closed. Then one more piece."""
    events, now = [START], 0
    places = [0, 1000, *(5000 + i * 3000 for i in range(255))]
    for place in places:
        events += [at(now, "play", place), at(now + 1000, "pauseStart", place + 1000)]
        now += 1000
    assert both(log(*events)).figures.unique_content_ms == 257_000
    events += [at(now, "play", 2_000_000), at(now + 1000, "pauseStart", 2_001_000)]
    assert both(log(*events)).figures.unique_content_ms == 258_000 + 2_000


def test_states_do_not_run_in_untracked_time() -> None:
    muted = {"media.state.name": "Mute"}
    reading = both(
        log(
            START,
            at(0, "stateStart", 0, muted),
            at(5_000, "ping", received_ms=5_000),
            at(700_000, "ping", received_ms=6_000),
            at(703_000, "stateEnd", 0, muted, received_ms=7_000),
        )
    )
    (row,) = reading.player_states
    assert row[:4] == (1, "mute", 1, 8_000)
    assert row.periods is not None
    assert [end - begin for begin, end in row.periods] == [5_000, 3_000]
    assert row.periods[1][0] - row.periods[0][1] == reading.figures.untracked_ms
    assert reading.figures.untracked_ms == 695_000


def test_a_placeholder_visitor_falls_through_to_the_next() -> None:
    params = {
        **start_params(),
        "visitor.marketingCloudUserId": "N/A",
        "analytics.aid": "aid-1",
        "media.libraryVersion": "1.2",
        "x.unknown": [1],
    }
    reading = both(log(START._replace(params=params)))
    assert reading.start is not None
    assert reading.start.visitor_id == "aid-1"
    assert reading.start.other_params == {"media.libraryVersion": "1.2", "x.unknown": [1]}
    assert codes(reading) == {"placeholder_value": 1}
