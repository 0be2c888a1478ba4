"""When each player state was on (semantics.md §8), out of a story's spells and stretches.

Only for tests; imports no `processor`.
"""

from models import limits
from models.rows import PlayerStateRow
from tests.reference.story import Spell, Story

Period = tuple[int, int]


def player_state_rows(story: Story) -> tuple[PlayerStateRow, ...]:
    """By first start; an open one counts up to now (§8)."""
    rows = []
    for number, name in enumerate(dict.fromkeys(spell.name for spell in story.spells), 1):
        spells = [spell for spell in story.spells if spell.name == name]
        lasting = [one for spell in spells for one in pieces(story, spell) if one[0] < one[1]]
        time = sum(end - begin for begin, end in lasting)
        kept = tuple(lasting[: limits.PERIODS_MAX])
        rows.append(PlayerStateRow(number, name, len(spells), time, kept))
    return tuple(rows)


def pieces(story: Story, spell: Spell) -> list[Period]:
    """The first begins with the spell, each other one behind what is untracked."""
    found = [(spell.at, spell.at)]
    for s in story.stretches[spell.begin : spell.end]:
        end = s.at + s.dt
        if s.activity == "untracked":
            found.append((end, end))
        else:
            found[-1] = (found[-1][0], end)
    return found
