"""What each event type does to the player's situation (semantics.md §4, §5, §8), one at a time.

Ads and breaks have their own file, `bookends`. Only for tests; imports no `processor`.
"""

from collections.abc import Callable
from typing import Any

from models import limits
from models.records import Event
from models.rows import ErrorRow
from tests.reference import bookends
from tests.reference.columns import Note, name, number, sent
from tests.reference.ordering import Applied, Told
from tests.reference.quality import error_source_and_id, is_id_kept, qoe_values
from tests.reference.story import Chapter, Spell, Story, elapsed_ms


def have_effect(story: Story, applied: Applied) -> None:
    """The effect of one applied event, in the situation the story is in."""
    event = applied.event
    note = noting(story, event)
    for finding in event.findings or ():
        note(finding.code)
    story.quality.update(qoe_values(event, note))
    if event.type in EFFECTS:
        EFFECTS[event.type](story, applied, note)


def noting(story: Story, event: Event) -> Note:
    """Findings are told with the `ts` of the event that showed them."""
    return lambda code: story.told.append(Told(code, event.ts))


def note_first_start(story: Story) -> None:
    """`initial_startup_ms`: the elapsed time at the first start of anything (§9)."""
    if story.first_start_ms is None:
        story.first_start_ms = elapsed_ms(story)


def play(story: Story, applied: Applied, note: Note) -> None:
    """→ playing from any state; content starts unless a break or an unbookended ad is open (§4)."""
    story.player = "playing"
    note_first_start(story)
    if story.within is None and story.ad is None:
        story.content_started = True


def pause_start(story: Story, applied: Applied, note: Note) -> None:
    """→ paused, but not from ended; entries count, not events (§4)."""
    if story.player not in ("paused", "ended"):
        story.pauses += 1
    if story.player != "ended":
        story.player = "paused"


def buffer_start(story: Story, applied: Applied, note: Note) -> None:
    """→ buffering, but not from ended; entries count, not events (§4)."""
    if story.player not in ("buffering", "ended"):
        story.buffers += 1
    if story.player != "ended":
        story.player = "buffering"


def session_complete(story: Story, applied: Applied, note: Note) -> None:
    """Sets `completed` and the state ended; the session stays open (§4)."""
    story.completed = True
    story.player = "ended"


def bitrate_change(story: Story, applied: Applied, note: Note) -> None:
    story.bitrate_changes += 1


def chapter_start(story: Story, applied: Applied, note: Note) -> None:
    """An open chapter ends, not completed (§5)."""
    assert story.clock is not None
    end_chapter(story, completed=False)
    event = applied.event
    story.chapter = Chapter(len(story.chapters) + 1, event, story.clock)
    story.chapters.append(story.chapter)
    bookends.note_row(story.chapters, note)
    name(event.params, "media.chapter.friendlyName", note)
    for key in ("index", "offset", "length"):
        number(event.params, f"media.chapter.{key}", note)
    story.run = None


def chapter_end(story: Story, applied: Applied, note: Note) -> None:
    """`chapterComplete` and `chapterSkip`; without a chapter ignored, with a finding (§5)."""
    if story.chapter is None:
        note("end_without_chapter")
    end_chapter(story, completed=applied.event.type == "chapterComplete")
    story.run = None


def end_chapter(story: Story, *, completed: bool) -> None:
    if story.chapter is not None:
        story.chapter.ended_at = story.clock
        story.chapter.completed = completed
        story.chapter = None


def state_start(story: Story, applied: Applied, note: Note) -> None:
    for state in named(applied.event.params, note):
        begin_spell(story, state, note)


def state_end(story: Story, applied: Applied, note: Note) -> None:
    for state in named(applied.event.params, note):
        end_spell(story, state)


def states_update(story: Story, applied: Applied, note: Note) -> None:
    """First `statesEnd`, then `statesStart` (§8)."""
    lists = {}
    for key in ("statesEnd", "statesStart"):
        value = sent(applied.event.params, key)
        lists[key] = value if isinstance(value, list) else []
        if value is not None and not isinstance(value, list):
            note("wrong_type")
    for element in lists["statesEnd"]:
        for state in named(element, note):
            end_spell(story, state)
    for element in lists["statesStart"]:
        for state in named(element, note):
            begin_spell(story, state, note)


def named(element: Any, note: Note) -> list[str]:
    """The state name in params or an element, lowercased (§8); without one it is `wrong_type`."""
    state = element.get("media.state.name") if isinstance(element, dict) else None
    if not isinstance(state, str):
        note("wrong_type")
        return []
    return [state.lower()]


def begin_spell(story: Story, state: str, note: Note) -> None:
    """Ignored in the state (§5); at most 10 distinct names in a session (§8)."""
    if any(s.name == state and s.end is None for s in story.spells):
        story.traits.add("state started twice")
        return
    states = {s.name for s in story.spells}
    if state not in states and len(states) >= limits.PLAYER_STATES_MAX:
        note("too_many_states")
        return
    assert story.clock is not None
    story.spells.append(Spell(state, len(story.stretches), story.clock))


def end_spell(story: Story, state: str) -> None:
    """Ignored outside the state (§5)."""
    for spell in story.spells:
        if spell.name == state and spell.end is None:
            spell.end = len(story.stretches)


def error(story: Story, applied: Applied, note: Note) -> None:
    """A row for every error; it changes nothing in the player's state (§4, §8).

    An id that there is no room for is too much as well (architecture: bounds).
    """
    event = applied.event
    source, error_id = error_source_and_id(event, note)
    number = len(story.errors) + 1
    story.errors.append(ErrorRow(number, event.ts, error_id, source, event.playhead_ms / 1000))
    bookends.note_row(story.errors, note)
    if not is_id_kept(story.errors):
        note("too_many_rows")


Effect = Callable[[Story, Applied, Note], None]

EFFECTS: dict[str, Effect] = {
    "play": play,
    "pauseStart": pause_start,
    "bufferStart": buffer_start,
    "bitrateChange": bitrate_change,
    "adBreakStart": bookends.ad_break_start,
    "adBreakComplete": bookends.ad_break_complete,
    "adStart": bookends.ad_start,
    "adComplete": bookends.ad_end,
    "adSkip": bookends.ad_end,
    "chapterStart": chapter_start,
    "chapterComplete": chapter_end,
    "chapterSkip": chapter_end,
    "stateStart": state_start,
    "stateEnd": state_end,
    "statesUpdate": states_update,
    "error": error,
    "sessionComplete": session_complete,
}
"""The others have no effect of their own: `ping`; `sessionStart`, whose fields count from its
arrival; `sessionEnd`, whose close is the desk's decision."""
