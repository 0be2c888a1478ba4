"""The union of played intervals is the union, and bounded."""

from hypothesis import given
from hypothesis import strategies as st

from models.limits import INTERVALS_MAX
from processor.intervals import add_interval, add_played, played_intervals, total_ms
from processor.state import SessionState

PIECES = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 30)), max_size=60)


@given(PIECES)
def test_total_is_the_length_of_the_union(pieces: list[tuple[int, int]]) -> None:
    intervals: list[int] = []
    points: set[int] = set()
    for start, length in pieces:
        add_interval(intervals, start, start + length)
        points.update(range(start, start + length))
    assert total_ms(intervals) == len(points)
    assert intervals == sorted(set(intervals)), "sorted, disjoint, none touching, none empty"


@given(PIECES)
def test_a_state_keeps_the_same_union(pieces: list[tuple[int, int]]) -> None:
    state = SessionState("a" * 64, 0)
    intervals: list[int] = []
    for start, length in pieces:
        add_interval(intervals, start, start + length)
        add_played(state, start, start + length)
    assert total_ms(played_intervals(state)) == total_ms(intervals)
    assert sorted(played_intervals(state)) == intervals


def test_beyond_the_bound_the_closest_two_become_one() -> None:
    intervals: list[int] = []
    for k in range(INTERVALS_MAX):
        add_interval(intervals, k * 100, k * 100 + 10)
    add_interval(intervals, 555, 560)  # gaps of 45 before and 40 behind
    assert len(intervals) == 2 * INTERVALS_MAX
    assert (intervals[12], intervals[13]) == (555, 610)


def test_of_equal_gaps_the_first_is_closed() -> None:
    intervals: list[int] = []
    for k in range(INTERVALS_MAX + 1):
        add_interval(intervals, k * 100, k * 100 + 10)
    assert intervals[:2] == [0, 110]
    assert len(intervals) == 2 * INTERVALS_MAX
