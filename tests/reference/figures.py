"""The row of `sessions` that a story gives (semantics.md §9, docs/sql.md). Only for tests."""

from typing import TypedDict

from models.rows import SessionFigures, Status
from tests.reference import columns
from tests.reference.ordering import Desk
from tests.reference.quality import error_ids
from tests.reference.story import Story
from tests.reference.sums import (
    ad_ms,
    average_bitrate,
    content_ms,
    content_segment,
    gap_as_content_ms,
    heard_max_ms,
    is_tracked,
    of_activity,
    stalled,
    total,
    unbookended_ms,
    unique_pieces,
)


class Life(TypedDict):
    started_at: int | None
    last_event_at: int | None
    closed_at: int | None
    status: Status


class Progress(TypedDict):
    progress_10: bool
    progress_25: bool
    progress_50: bool
    progress_75: bool
    progress_95: bool


class Counts(TypedDict):
    ad_break_count: int
    void_ad_break_count: int
    ad_count: int
    ad_complete_count: int
    ad_skip_count: int
    unbookended_ad_count: int


def figures_of(desk: Desk, story: Story, finding_count: int) -> SessionFigures:
    """All figures of the session, each by its own rule."""
    policy = story.policy
    content, ads = content_ms(story, policy), ad_ms(story, policy)
    gap = total(of_activity(story, "gap")) - gap_as_content_ms(story, policy)
    stall = total(stalled(story, policy))
    startup = total(of_activity(story, "startup"))
    buffer = total(of_activity(story, "buffer"))
    pieces = unique_pieces(story, policy)
    unique = sum(end - begin for begin, end in pieces)
    length_s = columns.known_length_s(desk.start)
    heard = heard_max_ms(story)
    players, externals = error_ids(story.errors)
    runs = {id(s.run) for s in stalled(story, policy)}
    return SessionFigures(
        **life(desk, story),
        close_reason=desk.close.reason if desk.close else None,
        seconds_since_last_event=desk.close.left_s if desk.close else None,
        event_count=len(desk.applied),
        late_event_count=sum(a.manner == "late" for a in desk.applied),
        duplicate_event_count=desk.duplicates,
        events_after_close_count=desk.after_close,
        finding_count=finding_count,
        content_ms=content,
        ad_ms=ads,
        media_ms=content + ads,
        unbookended_ad_ms=unbookended_ms(story, policy),
        pause_ms=total(of_activity(story, "pause")),
        buffer_ms=buffer,
        stall_ms=stall,
        ad_gap_ms=gap,
        startup_ms=startup,
        initial_startup_ms=story.first_start_ms,
        untracked_ms=total(of_activity(story, "untracked")),
        watched_ms=startup + content + ads + gap + buffer + stall,
        unique_content_ms=unique,
        content_started=story.content_started,
        dropped_before_start=desk.close is not None and not story.content_started,
        completed=story.completed,
        **progress(desk, story),
        max_playhead_s=None if heard is None else heard / 1000,
        content_segment=content_segment(pieces),
        exit_stage=story.stage,
        valid_play=content >= policy.valid_play_ms,
        complete_play=is_complete_play(unique, length_s, policy.complete_play_share),
        average_minute_audience=None if length_s is None else content / 1000 / length_s,
        estimated_streams=(content + ads) // 1_800_000 + 1,
        **ad_counts(story),
        chapter_count=len(story.chapters),
        chapter_complete_count=sum(c.completed for c in story.chapters),
        pause_count=story.pauses,
        buffer_count=story.buffers,
        stall_count=len(runs),
        bitrate_change_count=story.bitrate_changes,
        error_count=len(story.errors),
        time_to_start_ms=latest(story, "time_to_start"),
        average_bitrate=average_bitrate(story),
        dropped_frames=latest(story, "dropped_frames"),
        frames_per_second=story.quality.get("frames_per_second"),
        player_error_ids=players,
        external_error_ids=externals,
    )


def life(desk: Desk, story: Story) -> Life:
    """`started_at` is the first applied event's `ts`; `last_event_at` the session's clock (§2)."""
    status: Status = "live"
    if desk.close is not None:
        status = "completed" if story.completed else "closed"
    return {
        "started_at": desk.applied[0].event.ts if desk.applied else None,
        "last_event_at": story.clock,
        "closed_at": desk.close.at if desk.close else None,
        "status": status,
    }


def is_complete_play(unique_ms: int, length_s: float | None, share: float) -> bool | None:
    """Nearly all of the length was played; null without a length (§9)."""
    return None if length_s is None else unique_ms >= share * length_s * 1000


def progress(desk: Desk, story: Story) -> Progress:
    """Markers of the largest playhead since content started; never for live (§9)."""
    length, heard = columns.length_ms(desk.start), heard_max_ms(story)

    def reached(percent: int) -> bool:
        if length is None or heard is None or columns.is_live(desk.start):
            return False
        return heard * 100 >= percent * length

    return {
        "progress_10": reached(10),
        "progress_25": reached(25),
        "progress_50": reached(50),
        "progress_75": reached(75),
        "progress_95": reached(95),
    }


def ad_counts(story: Story) -> Counts:
    """Tracked ones by both bookends, the others apart (§1)."""
    policy = story.policy
    tracked = [ad for ad in story.ads if is_tracked(ad.within, policy)]
    complete = sum(is_tracked(b, policy) for b in story.breaks)
    return {
        "ad_break_count": complete,
        "void_ad_break_count": len(story.breaks) - complete,
        "ad_count": len(tracked),
        "ad_complete_count": sum(ad.ended_by == "adComplete" for ad in tracked),
        "ad_skip_count": sum(ad.ended_by == "adSkip" for ad in tracked),
        "unbookended_ad_count": len(story.ads) - len(tracked),
    }


def latest(story: Story, key: str) -> int | None:
    """The latest value of a quality figure that is a whole number (§8)."""
    value = story.quality.get(key)
    return None if value is None else round(value)
