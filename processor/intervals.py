"""The union of played playhead intervals: sorted, disjoint, at most 256 (docs/rules.md "Unique").

Part of the pure core. An interval list is flat, `[a0, b0, a1, b1, …]` in ms, so that a session that
plays straight on keeps two numbers.
"""

from bisect import bisect_left, bisect_right

from models.limits import INTERVALS_MAX
from processor.state import SessionState
from processor.things import NEVER


def add_interval(intervals: list[int], start: int, end: int) -> None:
    """Joins `[start, end]` into `intervals` in place; touching intervals become one.

    Beyond the bound the two neighbours with the smallest gap (the first such) become one. An empty
    interval is not kept: nothing was played.
    """
    if end <= start:
        return
    if intervals and intervals[-2] <= start <= intervals[-1]:
        if end > intervals[-1]:
            intervals[-1] = end
        return
    # Even index: `start` lies in no interval; odd: inside the one that ends at that index.
    low = bisect_left(intervals, start)
    high = bisect_right(intervals, end)
    if low % 2:
        low -= 1
        start = intervals[low]
    if high % 2:
        end = intervals[high]
        high += 1
    intervals[low:high] = (start, end)
    if len(intervals) > 2 * INTERVALS_MAX:
        _merge_closest(intervals)


def add_played(state: SessionState, start: int, end: int) -> None:
    """Joins a played `[start, end]` into the state's union.

    The last interval is kept apart, in two slots: a session that plays straight on has no other.
    """
    if end <= start:
        return
    if state.played_from <= start <= state.played_to:
        if end > state.played_to:
            state.played_to = end
        return
    intervals = played_intervals(state)
    add_interval(intervals, start, end)
    state.played_to = intervals.pop()
    state.played_from = intervals.pop()
    state.played_before = intervals or None


def played_intervals(state: SessionState) -> list[int]:
    """The state's union as one flat list of its own."""
    if state.played_from == NEVER:
        return []
    return [*(state.played_before or ()), state.played_from, state.played_to]


def _merge_closest(intervals: list[int]) -> None:
    gaps = [intervals[i + 1] - intervals[i] for i in range(1, len(intervals) - 1, 2)]
    first = gaps.index(min(gaps))
    del intervals[2 * first + 1 : 2 * first + 3]


def total_ms(intervals: list[int]) -> int:
    """Length of the union."""
    return sum(intervals[1::2]) - sum(intervals[::2])
