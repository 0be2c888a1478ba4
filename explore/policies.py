"""The other policy: which switches there are, and how figures differ. Pure; imports `models`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from models.policy import Policy
from models.time_line import Row
from models.time_line_words import TOTALS

SWITCHES: Final[dict[str, tuple[str, str]]] = {
    "unclosed_break": ("content", "ad"),
    "break_gap": ("excluded", "content"),
    "stall_detection": ("on", "off"),
}
"""The policy's switches with their two settings (docs/rules.md "Policy")."""
SWITCH_WORDS: Final = {
    "unclosed_break": "What ads count as in a break without its closing bookend: content, or ads.",
    "break_gap": "What the time in a break that no ad fills counts as: neither, or content.",
    "stall_detection": "Whether a playhead that stands still while playing is a stall or content.",
}
"""What each of them decides, for those who have not read the rules."""
_FIGURES: Final = {
    **TOTALS,
    "watched_ms": "watched",
    "ad_count": "ads that count",
    "unbookended_ad_count": "unbookended ads",
    "ad_break_count": "breaks that count",
    "void_ad_break_count": "void breaks",
    "stall_count": "number of stalls",
    "finding_count": "kinds of findings",
}


class Compared(NamedTuple):
    """A figure of both sides. `words`: what it is called."""

    name: str
    words: str
    before: int
    after: int

    @property
    def differs(self) -> bool:
        return self.before != self.after

    @property
    def is_time(self) -> bool:
        return self.name.endswith("_ms")


def other_policy(policy: Policy, switch: str) -> Policy:
    """The same with one switch in its other position."""
    first, second = SWITCHES[switch]
    now = getattr(policy, switch)
    return replace(policy, **{switch: second if now == first else first})  # type: ignore[arg-type]


def compared(before: Row, after: Row) -> Sequence[Compared]:
    """All figures that may differ."""
    return [Compared(name, words, before[name], after[name]) for name, words in _FIGURES.items()]
