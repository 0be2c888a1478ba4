"""Stage 3: sums over the stretches of a story (semantics.md §1, §3, §6, §8, §9).

Here it is decided which stretch counts as what: an ad by the fate of its break, a run by its
events. Only for tests; imports no `processor`.
"""

import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from models import limits
from models.policy import Policy
from tests.reference.story import Break, Run, Story, Stretch

CONTENT = ("main", "inferred", "content in break")


def is_stall(run: Run | None, policy: Policy) -> bool:
    """At least 3 events (equal `ts` are one) that span at least 2 s (§6)."""
    if run is None or policy.stall_detection == "off":
        return False
    spans_ms = run.events[-1] - run.events[0]
    return len(set(run.events)) >= limits.STALL_MIN_EVENTS and spans_ms >= limits.STALL_MIN_MS


def is_tracked(within: Break | None, policy: Policy) -> bool:
    """Both bookends (§1); what an open break would be if the session closed now."""
    return within is not None and (within.complete or policy.unclosed_break == "ad")


def total(stretches: Iterable[Stretch]) -> int:
    return sum(s.dt for s in stretches)


def played(story: Story, policy: Policy) -> list[Stretch]:
    """Main content, inferred play and content that runs on in a break, without stalls."""
    return [s for s in story.stretches if s.activity in CONTENT and not is_stall(s.run, policy)]


def stalled(story: Story, policy: Policy) -> list[Stretch]:
    return [s for s in story.stretches if is_stall(s.run, policy)]


def of_activity(story: Story, activity: str) -> list[Stretch]:
    return [s for s in story.stretches if s.activity == activity]


def time_by(stretches: Iterable[Stretch], thing: str) -> Counter[int]:
    """Time of every ad, break or chapter (`thing`), by its number."""
    times: Counter[int] = Counter()
    for s in stretches:
        if getattr(s, thing) is not None:
            times[getattr(s, thing).number] += s.dt
    return times


def ad_times(story: Story) -> Counter[int]:
    """Playing time of every ad, by its number."""
    return time_by(of_activity(story, "ad"), "ad")


def ad_ms(story: Story, policy: Policy) -> int:
    times = ad_times(story)
    return sum(times[ad.number] for ad in story.ads if is_tracked(ad.within, policy))


def unbookended_ms(story: Story, policy: Policy) -> int:
    times = ad_times(story)
    return sum(times[ad.number] for ad in story.ads if not is_tracked(ad.within, policy))


def gap_as_content_ms(story: Story, policy: Policy) -> int:
    return total(of_activity(story, "gap")) if policy.break_gap == "content" else 0


def content_ms(story: Story, policy: Policy) -> int:
    own = total(played(story, policy)) + gap_as_content_ms(story, policy)
    return own + unbookended_ms(story, policy)


def unique_pieces(story: Story, policy: Policy) -> list[tuple[int, int]]:
    """The union of played playhead intervals, at most 256 of them (§9)."""
    pieces: list[tuple[int, int]] = []
    for s in played(story, policy):
        end = s.p0 + s.dt if jumped(s) else s.p1
        if s.dt > 0 and end > s.p0:
            pieces = united([*pieces, (s.p0, end)])
            if len(pieces) > limits.INTERVALS_MAX:
                story.traits.add("smallest gap closed")
                pieces = with_smallest_gap_closed(pieces)
    return pieces


def jumped(s: Stretch) -> bool:
    """A seek: the playhead went back, or further than playing takes it."""
    return s.p1 < s.p0 or 2 * (s.p1 - s.p0) > 3 * s.dt + 2000


def united(pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted and merged; touching pieces are one."""
    out: list[tuple[int, int]] = []
    for begin, end in sorted(pieces):
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((begin, end))
    return out


def with_smallest_gap_closed(pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The two with the smallest gap (the first such) become one."""
    gaps = [after[0] - before[1] for before, after in pairwise(pieces)]
    i = gaps.index(min(gaps))
    return [*pieces[:i], (pieces[i][0], pieces[i + 1][1]), *pieces[i + 2 :]]


def content_segment(pieces: list[tuple[int, int]]) -> str | None:
    """The played playheads in five-minute brackets (§9)."""
    if not pieces:
        return None
    first = pieces[0][0] // 300_000
    last = max(first + 1, math.ceil(pieces[-1][1] / 300_000))
    return f"[{first}-{last}]"


def average_bitrate(story: Story) -> float | None:
    """Weighted by content and ad time since a value is known; a stall keeps its weight (§8)."""
    weighed = [s for s in story.stretches if s.activity in (*CONTENT, "ad")]
    known = [(s.bitrate, s.dt) for s in weighed if s.bitrate is not None]
    weight = sum(dt for _, dt in known)
    return sum(value * dt for value, dt in known) / weight if weight else None


def heard_max_ms(story: Story) -> int | None:
    """The largest playhead since content started (§9)."""
    return max((h.playhead_ms for h in story.heard if h.content_started), default=None)
