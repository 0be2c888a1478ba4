"""Findings of a session: what the client did wrong, counted by code (docs/rules.md "Findings").

Part of the pure core.
"""

from typing import Final

from models.limits import DETAIL_LENGTH_MAX
from models.rows import FindingRow
from processor.state import Finding, SessionState

FINDING_CODES: Final = (
    "ad_without_break",
    "break_not_completed",
    "break_completed_twice",
    "break_without_start",
    "ad_not_ended",
    "end_without_ad",
    "end_without_chapter",
    "play_before_preroll",
    "playhead_moved_in_ad",
    "playhead_out_of_range",
    "ping_gap",
    "inferred_play",
    "late_event",
    "clock_set_back",
    "duplicate_event",
    "event_after_close",
    "close_before_start",
    "no_session_start",
    "second_session_start",
    "too_many_states",
    "too_many_rows",
    "missing_length",
    "placeholder_value",
    "wrong_type",
    "unknown_param",
    "missing_param",
)

AFTER_CLOSE: Final = "event_after_close"
"""The one finding that a session may still get when it is closed for good."""

LOG_GAP: Final = "log_gap"
"""No fault of the client, and no event brings it: the log lost records (docs/rules.md)."""


def find(state: SessionState, code: str, ts: int, detail: str) -> None:
    """Counts a finding; the first of its code gives `first_ts` and the detail."""
    if state.findings is None:
        state.findings = {}
    known: Finding | None = state.findings.get(code)
    counted = (1, ts, detail[:DETAIL_LENGTH_MAX]) if known is None else (known[0] + 1, *known[1:])
    state.findings[code] = counted
    state.keep_row(("findings", code), FindingRow(code, *counted))
