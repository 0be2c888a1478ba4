"""Stage 2: walks over the applied events and writes the story (semantics.md §3, §4, §6).

Each event first ends a stretch of time, labelled by the situation before it, then has its effect.
Only for tests; imports no `processor`.
"""

from models import limits
from models.policy import Policy
from models.rows import ExitStage
from tests.reference import columns
from tests.reference.bookends import end_ad, end_break
from tests.reference.columns import silent, start_findings
from tests.reference.effects import end_chapter, have_effect, noting
from tests.reference.ordering import Applied, Desk
from tests.reference.story import (
    Activity,
    Heard,
    Run,
    Story,
    Stretch,
    elapsed_ms,
    in_main_content,
)


def tell(desk: Desk, policy: Policy) -> Story:
    """The story of the applied events, and of the close after the last one.

    What is odd in the fields of `sessionStart` is told when it arrives, as its fields count (§2).
    """
    story = Story(policy)
    idle = desk.close is not None and desk.close.reason == "idle"
    for i, each in enumerate(desk.applied):
        if desk.start is not None and i == desk.start_came_after:
            start_findings(desk.start, noting(story, desk.start))
        tell_one(story, each, shows_idle=idle and i == len(desk.applied) - 1)
    story.stage = exit_stage(story)
    if desk.close is not None:
        end_everything(story)
    return story


def tell_one(story: Story, applied: Applied, *, shows_idle: bool) -> None:
    """Time, then effect; of the event that shows idleness only its time counts (§7)."""
    event = applied.event
    if applied.manner == "in order" and story.clock is not None:
        end_stretch(story, applied)
    if applied.manner != "late":
        story.clock, story.playhead_ms = event.ts, event.playhead_ms
    if applied.manner == "set back":
        note_set_back(story, event.ts, event.playhead_ms)
    if shows_idle:
        return
    have_effect(story, applied)
    follow_run(story)
    if applied.manner != "late":
        note_playhead_out_of_range(story, applied)
        story.heard.append(Heard(event.playhead_ms, story.content_started))


def note_set_back(story: Story, ts: int, playhead_ms: int) -> None:
    """No time passes, and nothing that ran goes on from where it was (§2)."""
    story.run = None
    nothing = (None, None, None, None, None)
    story.stretches.append(Stretch(ts, 0, playhead_ms, playhead_ms, "untracked", *nothing, 0))


def end_stretch(story: Story, applied: Applied) -> None:
    """The time since the last event, by the first row of §3 that fits."""
    event = applied.event
    assert story.clock is not None
    dt, p0, p1 = event.ts - story.clock, story.playhead_ms, event.playhead_ms
    advanced = dt > 0 and 0 < p1 - p0 <= 4 * dt + 1000
    activity = activity_of(story, dt, advanced=advanced)
    note_doubts(story, applied, activity, dt, advanced=advanced)
    run = None
    if activity == "main" and story.run is not None:
        if p1 != p0:
            story.run = Run([event.ts])
        else:
            run = story.run
            run.events.append(event.ts)
    bitrate = story.quality.get("bitrate")
    story.stretches.append(
        Stretch(
            story.clock,
            dt,
            p0,
            p1,
            activity,
            story.ad,
            story.within,
            story.chapter,
            run,
            bitrate,
            len(story.ads) + len(story.breaks) + len(story.chapters),
        )
    )
    if activity == "untracked":
        story.run = None
    if activity in ("inferred", "content in break"):
        infer_play(story, applied, dt)


def activity_of(story: Story, dt: int, *, advanced: bool) -> Activity:
    """The table of §3, row by row; a stall is seen later, from the run."""
    if dt > story.policy.inactive_ms:
        return "untracked"
    states: dict[str, Activity] = {"ended": "ended", "paused": "pause", "buffering": "buffer"}
    if story.player in states:
        return states[story.player]
    if story.within is not None and story.ad is None:
        return "content in break" if advanced else "gap"
    if story.player == "starting" and story.ad is None:
        return "inferred" if advanced else "startup"
    return "main" if story.ad is None else "ad"


def infer_play(story: Story, applied: Applied, dt: int) -> None:
    """The playhead showed that content plays (§3 row 5, §4)."""
    if story.player == "starting":
        noting(story, applied.event)("inferred_play")
        if story.within is not None:
            story.traits.add("inferred play in a break")
        if story.first_start_ms is None:
            story.first_start_ms = elapsed_ms(story) - dt
    story.player = "playing"
    story.content_started = True


def note_doubts(
    story: Story, applied: Applied, activity: Activity, dt: int, *, advanced: bool
) -> None:
    """Findings that a stretch shows (§10)."""
    note = noting(story, applied.event)
    if story.player == "playing" and dt > limits.PING_GAP_MS:
        note("ping_gap")
    if advanced and activity in ("ad", "content in break"):
        note("playhead_moved_in_ad")


def note_playhead_out_of_range(story: Story, applied: Applied) -> None:
    """Beyond the length by over 1 s; never for live (§10)."""
    length = columns.length_ms(applied.start)
    if length is None or columns.is_live(applied.start):
        return
    if applied.event.playhead_ms > length + 1000:
        noting(story, applied.event)("playhead_out_of_range")


def follow_run(story: Story) -> None:
    """Entering main content, or what ended the old run there, starts a run at the clock (§6)."""
    assert story.clock is not None
    if not in_main_content(story):
        story.run = None
    elif story.run is None:
        story.run = Run([story.clock])


def exit_stage(story: Story) -> ExitStage:
    """Where the last event left the viewer, before a close ends things (§9)."""
    if story.completed:
        return "completed"
    if story.first_start_ms is None:
        return "before_start"
    if story.within is not None or story.ad is not None:
        return "midroll" if story.content_started else "preroll"
    return "content" if story.content_started else "before_content"


def end_everything(story: Story) -> None:
    """A close ends ad, break, chapter and player states, none completed (§5)."""
    end_ad(story, "close", silent)
    if story.within is not None:
        end_break(story, complete=False)
    end_chapter(story, completed=False)
    for spell in story.spells:
        if spell.end is None:
            spell.end = len(story.stretches)
