"""The child rows that a story gives (docs/sql.md). Only for tests; imports no `processor`."""

from collections import Counter
from typing import Any

from models import limits
from models.records import Event
from models.rows import AdRow, BreakRow, ChapterRow
from tests.reference.bookends import AD_TEXTS, BREAK_NAME
from tests.reference.columns import name, number, silent
from tests.reference.story import Ad, Break, Chapter, Story
from tests.reference.sums import ad_times, is_tracked, of_activity, played, time_by


def seconds(event: Event, key: str) -> float | None:
    value = number(event.params, key, silent)
    return None if value is None else float(value)


def custom(event: Event) -> dict[str, object] | None:
    return None if event.custom is None else dict(event.custom)


def break_rows(story: Story) -> list[BreakRow]:
    """Ad time of its ads whether tracked or not; `tracked` says which (§1)."""
    times = ad_times(story)
    gaps = time_by(of_activity(story, "gap"), "within")
    return [
        break_row(story, each, ads_of(story, each, times), gaps[each.number])
        for each in story.breaks[: limits.CHILD_ROWS_MAX]
    ]


def ads_of(story: Story, each: Break, times: Counter[int]) -> list[int]:
    """Playing times of the break's ads."""
    return [times[ad.number] for ad in story.ads if ad.within is each]


def break_row(story: Story, each: Break, ads: list[int], gap: int) -> BreakRow:
    """A gap that a policy counts as content is no gap of the break."""
    gap = 0 if story.policy.break_gap == "content" else gap
    return BreakRow(
        break_number=each.number,
        pod_index=number(each.event.params, "media.ad.podIndex", silent),
        pod_second=seconds(each.event, "media.ad.podSecond"),
        name=name(each.event.params, BREAK_NAME, silent),
        started_at=each.started_at,
        ended_at=each.ended_at,
        playhead_s=each.event.playhead_ms / 1000,
        tracked=is_tracked(each, story.policy),
        ad_count=len(ads),
        ad_ms=sum(ads),
        gap_ms=gap,
        break_fill=sum(ads) / (sum(ads) + gap) if sum(ads) + gap else None,
        position=each.position,
    )


def ad_rows(story: Story) -> list[AdRow]:
    """Playing time as it was, pauses and buffering apart."""
    playing = ad_times(story)
    pauses = time_by(of_activity(story, "pause"), "ad")
    buffers = time_by(of_activity(story, "buffer"), "ad")
    kept = story.ads[: limits.CHILD_ROWS_MAX]
    return [
        ad_row(ad)._replace(
            pause_ms=pauses[ad.number],
            buffer_ms=buffers[ad.number],
            **played_of(ad, playing[ad.number]),
        )
        for ad in kept
    ]


def played_of(ad: Ad, playing: int) -> dict[str, Any]:
    """The figures of an ad that follow from its playing time."""
    length_s = seconds(ad.event, "media.ad.length")
    return {
        "playing_ms": playing,
        **{f"quartile_{q}": quartile(playing, length_s, q) for q in (25, 50, 75, 100)},
    }


def ad_row(ad: Ad) -> AdRow:
    """The row of an ad that has not played yet."""
    params = ad.event.params
    return AdRow(
        ad_number=ad.number,
        break_number=ad.within.number if ad.within else None,
        **{column: name(params, key, silent) for column, key in AD_TEXTS.items()},
        length_s=seconds(ad.event, "media.ad.length"),
        pod_position=number(params, "media.ad.podPosition", silent),
        custom_metadata=custom(ad.event),
        started_at=ad.started_at,
        ended_at=ad.ended_at,
        playing_ms=0,
        pause_ms=0,
        buffer_ms=0,
        completed=ad.ended_by == "adComplete",
        ended_by=ad.ended_by,
        quartile_25=None,
        quartile_50=None,
        quartile_75=None,
        quartile_100=None,
    )


def quartile(playing: int, length_s: float | None, percent: int) -> bool | None:
    """`playing_ms` is at least that share of the ad's length, where it is known."""
    if length_s is None or length_s <= 0:
        return None
    return playing * 100 >= percent * round(length_s * 1000)


def chapter_rows(story: Story) -> list[ChapterRow]:
    """Content time while each was open, without ads, pauses, buffers and stalls (§8)."""
    times = time_by(played(story, story.policy), "chapter")
    kept = story.chapters[: limits.CHILD_ROWS_MAX]
    return [chapter_row(each, times[each.number]) for each in kept]


def chapter_row(each: Chapter, content: int) -> ChapterRow:
    params = each.event.params
    return ChapterRow(
        chapter_number=each.number,
        chapter_index=number(params, "media.chapter.index", silent),
        offset_s=seconds(each.event, "media.chapter.offset"),
        length_s=seconds(each.event, "media.chapter.length"),
        name=name(params, "media.chapter.friendlyName", silent),
        custom_metadata=custom(each.event),
        started_at=each.started_at,
        ended_at=each.ended_at,
        content_ms=content,
        completed=each.completed,
    )
