"""Ads and ad breaks: what opens, ends and completes what (semantics.md §1, §4, §5).

Only for tests; imports no `processor`.
"""

from collections.abc import Sequence
from dataclasses import replace

from models import limits
from models.records import Event
from models.rows import EndedBy, Position
from tests.reference import columns
from tests.reference.columns import Note
from tests.reference.ordering import Applied, Told
from tests.reference.story import Ad, Break, Story, elapsed_ms
from tests.reference.sums import content_ms


def note_row(rows: Sequence[object], note: Note) -> None:
    """Beyond 1,000 in a table a thing has no row (architecture: bounds)."""
    if len(rows) > limits.CHILD_ROWS_MAX:
        note("too_many_rows")


def ad_break_start(story: Story, applied: Applied, note: Note) -> None:
    """Voids an open break; takes in an unbookended ad of the same `ts`, else ends it (§5)."""
    assert story.clock is not None
    event = applied.event
    if story.within is not None:
        story.traits.add("break over break")
        end_ad(story, "adBreakStart", note)
        end_break(story, complete=False)
    swapped = story.ad is not None and story.ad.event.ts == event.ts
    if not swapped:
        end_ad(story, "adBreakStart", note)
    was_ended = story.player == "ended"
    if swapped and story.ad is not None:
        story.traits.add(f"swapped opening {applied.manner}")
        was_ended = story.ad.was_ended
    opened = Break(len(story.breaks) + 1, event, story.clock, was_ended, position(story, applied))
    note_row([*story.breaks, opened], note)
    note_break_columns(event, note)
    if not swapped:
        note_play_before_preroll(story, note)
    if swapped and story.ad is not None:
        story.ad.within = opened
    story.within = opened
    story.breaks.append(opened)


def position(story: Story, applied: Applied) -> Position:
    """`pre`, `post` once completed or within 1 s of the length, else `mid` (§9)."""
    if not story.content_started:
        return "pre"
    length = columns.length_ms(applied.start)
    near_end = length is not None and applied.event.playhead_ms >= length - 1000
    return "post" if story.completed or near_end else "mid"


def note_play_before_preroll(story: Story, note: Note) -> None:
    """Content was started, but none has played when a break or unbookended ad opens (§10).

    No break is open at this moment, so no tentative time is in `content_ms`. Gaps that a policy
    adds to content are no play.
    """
    played = content_ms(story, replace(story.policy, break_gap="excluded"))
    if story.content_started and played == 0:
        note("play_before_preroll")


def ad_start(story: Story, applied: Applied, note: Note) -> None:
    """An open ad ends, not completed; the new one plays, whatever came before (§4, §5)."""
    assert story.clock is not None
    event = applied.event
    end_ad(story, "adStart", note)
    if story.within is None:
        note_play_before_preroll(story, note)
    was_ended = story.player == "ended"
    story.ad = Ad(len(story.ads) + 1, event, story.clock, was_ended, story.within)
    story.ads.append(story.ad)
    note_row(story.ads, note)
    note_ad_columns(event, note)
    story.player = "playing"
    if story.first_start_ms is None:
        story.first_start_ms = elapsed_ms(story)


def ad_end(story: Story, applied: Applied, note: Note) -> None:
    """`adComplete` and `adSkip`; without an ad ignored, with a finding (§5)."""
    if story.ad is None:
        note("end_without_ad")
    end_ad(story, "adComplete" if applied.event.type == "adComplete" else "adSkip", note)


def ad_break_complete(story: Story, applied: Applied, note: Note) -> None:
    """The closing bookend; without a break it ends an unbookended ad or is ignored (§5)."""
    had_ad = story.ad is not None
    end_ad(story, "adBreakComplete", note)
    if story.within is not None:
        end_break(story, complete=True)
        story.ads_when_break_completed = len(story.ads)
    elif not had_ad and story.ads_when_break_completed == len(story.ads):
        note("break_completed_twice")
    else:
        note("break_without_start")


def end_ad(story: Story, by: EndedBy, note: Note) -> None:
    """Ends the open ad, if any. An unbookended one ends with its finding and the §4 rule."""
    ad = story.ad
    if ad is None:
        return
    ad.ended_at, ad.ended_by = story.clock, by
    story.ad = None
    if by in ("adStart", "adBreakStart", "adBreakComplete"):
        note("ad_not_ended")
    if ad.within is None:
        story.told.append(Told("ad_without_break", ad.event.ts))
        go_on_after(story, was_ended=ad.was_ended)


def end_break(story: Story, *, complete: bool) -> None:
    """Ends the open break: with both bookends it is complete, else void (§1)."""
    ended = story.within
    assert ended is not None
    ended.ended_at, ended.complete = story.clock, complete
    story.within = None
    if not complete:
        story.told.append(Told("break_not_completed", ended.event.ts))
    go_on_after(story, was_ended=ended.was_ended)


def go_on_after(story: Story, *, was_ended: bool) -> None:
    """After a break or unbookended ad the player goes on as it is, but for two cases (§4)."""
    if story.player != "playing":
        story.traits.add("not playing after break")
    elif was_ended:
        story.traits.add("ended again")
        story.player = "ended"
    elif not story.content_started:
        story.traits.add("starting again")
        story.player = "starting"


BREAK_NAME = "media.ad.podFriendlyName"
AD_TEXTS = {
    "ad_id": "media.ad.id",
    "name": "media.ad.name",
    "player_name": "media.ad.playerName",
    "advertiser": "media.ad.advertiser",
    "campaign_id": "media.ad.campaignId",
    "creative_id": "media.ad.creativeId",
    "site_id": "media.ad.siteId",
    "creative_url": "media.ad.creativeURL",
    "placement_id": "media.ad.placementId",
}


def note_break_columns(event: Event, note: Note) -> None:
    columns.name(event.params, BREAK_NAME, note)
    columns.number(event.params, "media.ad.podIndex", note)
    columns.number(event.params, "media.ad.podSecond", note)


def note_ad_columns(event: Event, note: Note) -> None:
    for key in AD_TEXTS.values():
        columns.name(event.params, key, note)
    columns.number(event.params, "media.ad.length", note)
    columns.number(event.params, "media.ad.podPosition", note)
