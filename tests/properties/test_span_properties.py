"""What must hold of the time line for any events at all (docs/rules.md "Time line").

What a span counts as is derived here as the view does it (`tests.production`); the view itself is
held in tests/commands/test_verify.py and, by worked sessions, in test_http_to_sql.py.
"""

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from models.limits import PERIODS_MAX
from models.policy import Policy
from tests.production import Live, fold_prefixes
from tests.reference.arrivals import Step
from tests.reference.reading import Reading
from tests.reference.spans import Span, overlaps
from tests.reference.strategies import any_log, policies
from tests.reference.sums import united
from tests.reference.wild import realistic, wild

SEEDS = st.integers(0, 1_000_000)
LOGS = st.one_of(any_log(), SEEDS.map(wild), SEEDS.map(realistic))
SOME = settings(max_examples=60)
STEPS_MAX = 80


def readings(steps: list[Step], policy: Policy) -> Iterable[Reading]:
    """After each step, as a processor writes them."""
    return fold_prefixes(steps[:STEPS_MAX], Live(policy, reload=True))


def ms(spans: Iterable[Span], *activities: str) -> int:
    return sum(s.duration_ms for s in spans if s.activity in activities)


@SOME
@given(LOGS, policies())
def test_totals_are_the_sums_of_the_spans(steps: list[Step], policy: Policy) -> None:
    for reading in readings(steps, policy):
        spans, f = reading.spans, reading.figures
        content = [s for s in spans if s.counted_as == "content"]
        ads = [s for s in spans if s.counted_as == "ad"]
        assert f.content_ms == sum(s.duration_ms for s in content)
        assert f.ad_ms == ms(ads, "ad") == sum(s.duration_ms for s in ads)
        assert f.unbookended_ad_ms == ms(content, "ad")
        assert f.ad_gap_ms == ms([s for s in spans if s.counted_as == "none"], "break")
        for name in ("pause", "buffer", "stall", "startup", "untracked"):
            assert getattr(f, f"{name}_ms") == ms(spans, name)
        assert reading.ended_ms == ms(spans, "ended")
        assert f.stall_count == sum(s.activity == "stall" for s in spans)


@SOME
@given(LOGS, policies())
def test_rows_of_ads_breaks_and_chapters_are_sums_of_their_spans(
    steps: list[Step], policy: Policy
) -> None:
    for reading in readings(steps, policy):
        for ad in reading.ads:
            spans = [s for s in reading.spans if s.ad_number == ad.ad_number]
            times = (ms(spans, "ad"), ms(spans, "pause"), ms(spans, "buffer"))
            assert (ad.playing_ms, ad.pause_ms, ad.buffer_ms) == times
        for each in reading.breaks:
            spans = [s for s in reading.spans if s.break_number == each.break_number]
            gaps = [s for s in spans if s.counted_as == "none"]
            assert (each.ad_ms, each.gap_ms) == (ms(spans, "ad"), ms(gaps, "break"))
        for chapter in reading.chapters:
            spans = [s for s in reading.spans if s.chapter_number == chapter.chapter_number]
            assert chapter.content_ms == ms(spans, "content")


@SOME
@given(LOGS, policies())
def test_spans_cover_the_session_once(steps: list[Step], policy: Policy) -> None:
    """One after the other and without a hole; they overlap only where a clock was set back."""
    for reading in readings(steps, policy):
        spans, f = reading.spans, reading.figures
        assert sum(s.duration_ms for s in spans) == reading.elapsed_ms
        assert [s.span_number for s in spans] == [*range(1, len(spans) + 1)]
        assert all(0 < s.duration_ms == s.ended_at - s.started_at for s in spans)
        set_back = sum(row.count for row in reading.findings if row.code == "clock_set_back")
        assert len(overlaps(spans)) <= set_back
        if spans and not set_back:
            ends = [spans[0].started_at, *(s.ended_at for s in spans)]
            assert ends == [*(s.started_at for s in spans), spans[-1].ended_at]
            assert (ends[0], ends[-1]) == (f.started_at, f.last_event_at)


@SOME
@given(LOGS, policies())
def test_periods_of_a_player_state_add_up(steps: list[Step], policy: Policy) -> None:
    """To its time, one after the other but where a clock was set back; unless there were more than
    are kept."""
    for reading in readings(steps, policy):
        codes = {row.code for row in reading.findings}
        for state in reading.player_states:
            assert state.periods is not None
            assert all(begin < end for begin, end in state.periods)
            time = sum(end - begin for begin, end in state.periods)
            assert time <= state.total_ms
            assert time == state.total_ms or len(state.periods) == PERIODS_MAX
            if "clock_set_back" not in codes:
                ends = [at for period in state.periods for at in period]
                assert ends == sorted(ends)
                assert not ends or (reading.figures.started_at or 0) <= ends[0]


@SOME
@given(LOGS, policies())
def test_content_spans_played_the_unique_time(steps: list[Step], policy: Policy) -> None:
    """Their playheads are the stretches that were played (Unique)."""
    for reading in readings(steps, policy):
        content = [s for s in reading.spans if s.activity == "content"]
        played = [(round(s.playhead_from_s * 1000), round(s.playhead_to_s * 1000)) for s in content]
        assert all(begin <= end for begin, end in played)
        unique_ms = sum(end - begin for begin, end in united(played))
        assert reading.figures.unique_content_ms == unique_ms
