"""What each finding (docs/rules.md "Findings") asks of a client team, one line a code.

Beside the record's way: shown by `demo` and `explain`. Imports nothing of the project.
"""

from typing import Final

ADVICE: Final[dict[str, str]] = {
    "ad_without_break": "Send adBreakStart before an adStart: else the ad counts as content.",
    "break_not_completed": "Send adBreakComplete after the last ad: else its ads count as content.",
    "break_completed_twice": "Send adBreakComplete once a break.",
    "break_without_start": "Send adBreakStart at the beginning of every ad break.",
    "ad_not_ended": "End every ad with adComplete or adSkip.",
    "end_without_ad": "Send adComplete and adSkip only while an ad is open.",
    "end_without_chapter": "Send chapterComplete and chapterSkip only while a chapter is open.",
    "play_before_preroll": "Send play for the content after the pre-roll, not before it.",
    "playhead_moved_in_ad": "Leave the playhead of the content standing while an ad plays.",
    "playhead_out_of_range": "Check media.length, and that playheads are seconds.",
    "ping_gap": "Ping every 10 s while playing: time without events is a guess.",
    "inferred_play": "Send play when the content starts; it was inferred from the playhead.",
    "late_event": "Send events as they happen: what comes after its turn adds no time.",
    "clock_set_back": "The device's clock was set back; take ts from a monotonic clock.",
    "duplicate_event": "Send each event once; the repeat was dropped.",
    "event_after_close": "Open a new session for what comes after sessionEnd.",
    "close_before_start": "Do not send the close of the previous session into the new one.",
    "no_session_start": "Begin every session with sessionStart.",
    "second_session_start": "Send sessionStart once a session.",
    "too_many_states": "Use at most 10 different player states a session.",
    "too_many_rows": "A session has more ads, chapters or errors than are kept one by one.",
    "missing_length": "Send media.length in seconds: progress and completion need it.",
    "placeholder_value": "Leave a value out when it is not known, instead of N/A or nothing.",
    "wrong_type": "Send each value in its documented type.",
    "unknown_param": "Check the spelling of this key; it is kept as sent.",
    "missing_param": "Send this documented key.",
    "log_gap": "Nothing: the log lost records before they were read, so events may be missing.",
}
