"""The switches that decide a doubtful case (docs/rules.md "Policy"); a projection has its own."""

from dataclasses import dataclass
from typing import Final, Literal

from models.limits import EXPIRED_MS, IDLE_MS, INACTIVE_MS

FOLD_VERSION: Final = 3
"""Raised whenever a figure or row of a golden session changes; stored with states and
projections."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How one projection reads the doubtful cases. Defaults are the documented rules.

    `valid_play_ms`: content time from which a play counts as valid. `complete_play_share`: share of
    the content's length that must have been played (unique) for a complete play.

    Time-outs (docs/rules.md "Closing"): `inactive_ms` of arrival time without an event, which is
    also the longest `dt` that counts; `idle_ms` of `ts` with a playhead that stands still;
    `expired_ms` of arrival time since the first event.
    """

    unclosed_break: Literal["content", "ad"] = "content"
    break_gap: Literal["excluded", "content"] = "excluded"
    stall_detection: Literal["on", "off"] = "on"
    valid_play_ms: int = 30_000
    complete_play_share: float = 0.99
    inactive_ms: int = INACTIVE_MS
    idle_ms: int = IDLE_MS
    expired_ms: int = EXPIRED_MS


DEFAULT_POLICY: Final = Policy()
