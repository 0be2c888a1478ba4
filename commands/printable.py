"""Text that came from events, made fit for a terminal or a page.

Beside the record's way. A name may hold anything: escape sequences that repaint a terminal, marks
that turn the direction of what follows. Imports nothing of the project.
"""

import unicodedata
from typing import Final

_KEPT: Final = "\u200c\u200d"
"""Joiners: they belong to words of some scripts, and to emoji."""
_HARMFUL: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def printable(text: str) -> str:
    """The text on one line; what has no shape of its own is shown as its code, `\\u{1b}`."""
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _HARMFUL or character in _KEPT:
        return character
    return f"\\u{{{ord(character):x}}}"
