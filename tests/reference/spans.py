"""The time line that a story gives (docs/rules.md "Time line"): its stretches, joined and numbered.

A span is a run of neighbouring stretches that took some time, with one activity and in the same ad,
break and chapter. What cuts is looked up, never kept. Only for tests; imports no `processor`.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Literal, NamedTuple

from models import limits
from models.rows import Activity
from tests.reference.ordering import Told
from tests.reference.story import Ad, Break, Chapter, Story, Stretch
from tests.reference.sums import CONTENT, is_stall, is_tracked, jumped

CountedAs = Literal["content", "ad", "none"]


class Span(NamedTuple):
    """One row of the view `spans`."""

    span_number: int
    started_at: int
    ended_at: int
    duration_ms: int
    activity: Activity
    counted_as: CountedAs
    playhead_from_s: float
    playhead_to_s: float
    break_number: int | None
    ad_number: int | None
    chapter_number: int | None


def spans_of(story: Story) -> tuple[Span, ...]:
    """The rows that are kept: 10,000, and none of an ad or break that has no row itself."""
    runs = joined(story)[: limits.SPANS_MAX]
    return tuple(span(story, number, run) for number, run in enumerate(runs, 1) if is_kept(run[0]))


def too_many(story: Story) -> list[Told]:
    """One finding for each span beyond the bound, told with the event that showed it."""
    beyond = joined(story)[limits.SPANS_MAX :]
    return [Told("too_many_rows", shown_at(story, run)) for run in beyond]


def joined(story: Story) -> list[list[Stretch]]:
    """The stretches that took some time, in runs that nothing cuts."""
    runs: list[list[Stretch]] = []
    jumps = False
    for stretch in story.stretches:
        if stretch.dt == 0:
            jumps = jumps or stretch.p0 != stretch.p1
            continue
        if runs and not jumps and is_one(story, runs[-1][-1], stretch):
            runs[-1].append(stretch)
        else:
            runs.append([stretch])
        jumps = False
    return runs


def is_one(story: Story, before: Stretch, after: Stretch) -> bool:
    """Nothing begins or ends between the two, and neither clock nor playhead jumps."""
    activity = activity_of(story, before)
    return (
        activity == activity_of(story, after)
        and (activity != "stall" or before.run is after.run)
        and things_of(before) == things_of(after)
        and before.at + before.dt == after.at
        and playhead_after(before) == after.p0
    )


def things_of(stretch: Stretch) -> tuple[Ad | None, Break | None, Chapter | None, int]:
    return stretch.ad, stretch.within, stretch.chapter, stretch.begun


def activity_of(story: Story, stretch: Stretch) -> Activity:
    if is_stall(stretch.run, story.policy):
        return "stall"
    if stretch.activity in CONTENT:
        return "content"
    names: dict[str, Activity] = {
        "untracked": "untracked",
        "ended": "ended",
        "pause": "pause",
        "buffer": "buffer",
        "gap": "break",
        "startup": "startup",
        "ad": "ad",
    }
    return names[stretch.activity]


def playhead_after(stretch: Stretch) -> int:
    """Where playing on would have led, had there been no seek (§9)."""
    is_content = stretch.activity in CONTENT
    return stretch.p0 + stretch.dt if is_content and jumped(stretch) else stretch.p1


def is_kept(stretch: Stretch) -> bool:
    things = (stretch.ad, stretch.within)
    return all(thing is None or thing.number <= limits.CHILD_ROWS_MAX for thing in things)


def span(story: Story, number: int, run: list[Stretch]) -> Span:
    first, last = run[0], run[-1]
    # An ad that a break took in belongs to it from its start.
    within = first.ad.within if first.ad else first.within
    return Span(
        span_number=number,
        started_at=first.at,
        ended_at=last.at + last.dt,
        duration_ms=sum(s.dt for s in run),
        activity=activity_of(story, first),
        counted_as=counted_as(story, first),
        playhead_from_s=first.p0 / 1000,
        playhead_to_s=playhead_after(last) / 1000,
        break_number=within.number if within else None,
        ad_number=first.ad.number if first.ad else None,
        chapter_number=first.chapter.number if first.chapter else None,
    )


def counted_as(story: Story, stretch: Stretch) -> CountedAs:
    """The totals of a session are sums of these (§1, §3)."""
    activity = activity_of(story, stretch)
    if activity == "ad" and stretch.ad is not None:
        return "ad" if is_tracked(stretch.ad.within, story.policy) else "content"
    if activity == "break":
        return "content" if story.policy.break_gap == "content" else "none"
    return "content" if activity == "content" else "none"


def shown_at(story: Story, run: list[Stretch]) -> int:
    """A stretch of time is known from the event at its end, a stall from the one that made it."""
    first = run[0]
    if activity_of(story, first) != "stall" or first.run is None:
        return first.at + first.dt
    events = first.run.events
    return next(
        ts
        for count, ts in enumerate(sorted(set(events)), 1)
        if count >= limits.STALL_MIN_EVENTS and ts - events[0] >= limits.STALL_MIN_MS
    )


def overlaps(spans: Iterable[Span]) -> list[tuple[Span, Span]]:
    """Neighbours of which the second begins before the first ended."""
    return [(one, other) for one, other in pairwise(spans) if other.started_at < one.ended_at]
