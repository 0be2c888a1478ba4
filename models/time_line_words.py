"""What the kinds of a session's time are called, wherever people read of them.

After the record's way, beside `time_line`: the terminal, the page of `explain` and the explorer
have one word for one thing. Imports `time_line`; no I/O.
"""

from typing import Final

from models.time_line import Stretch

RULES: Final = "docs/rules.md"
"""Where the rules stand; a reason's `rule` is an anchor there."""
ACTIVITIES: Final = {
    "content": "content",
    "ad": "ad",
    "break": "break, no ad",
    "pause": "pause",
    "buffer": "buffering",
    "stall": "stall",
    "startup": "start-up",
    "ended": "after the end",
    "untracked": "untracked",
}
"""What was on screen, in words."""
COUNTED: Final = {
    "content": "content",
    "ad": "ad",
    "none": "neither",
    "moved": "content, for a bookend is missing",
}
"""What it counted as, in words."""
TOTALS: Final = {
    "content_ms": "content",
    "unbookended_ad_ms": "of it unbookended ads",
    "ad_ms": "ads",
    "ad_gap_ms": "breaks, no ad",
    "pause_ms": "pause",
    "buffer_ms": "buffering",
    "stall_ms": "stalls",
    "startup_ms": "start-up",
    "untracked_ms": "untracked",
}
"""The totals of a session that are sums over its line: columns of `sessions`, in words."""


def counted(stretch: Stretch) -> str:
    """What it counted as, apart where a missing bookend made it so: a key of `COUNTED`."""
    return "moved" if stretch.is_unbookended_ad else stretch.counted_as


def on_screen(stretch: Stretch) -> str:
    """What was on screen, in a word or two."""
    if stretch.activity == "ad":
        return f"ad {stretch.ad_number}"
    return ACTIVITIES[stretch.activity]
