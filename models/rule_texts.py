"""The rules that decide about a stretch of a session's time, in the words of docs/rules.md.

After the record's way: for pages that are read where the documents are not. A test compares each
with the document. Imports nothing; no I/O.
"""

from typing import Final

RULE_TEXTS: Final[dict[str, str]] = {
    "both-bookends": (
        "Both bookends. An ad is tracked only inside a break that has both adBreakStart and "
        "adBreakComplete. Then its playing time is ad time, and ad, break, completion and "
        "skip are counted."
    ),
    "no-opening": (
        "Opening bookend missing. An adStart with no open break opens an unbookended ad. It "
        "is not counted as an ad; its playing time is main content time."
    ),
    "no-closing": (
        "Closing bookend missing. If the session closes, or another adBreakStart comes, while"
        " a break is open, that break is void. The playing time of all its ads becomes main "
        "content time after the fact. No way of closing a session stands in for "
        "adBreakComplete."
    ),
    "tentative": (
        "While a break is open its ad time is tentative. A summary then says what would be if"
        " the session closed now: times, counts and tracked. There is no finding yet, because"
        " nothing is wrong yet. So a session's row is right after every event."
    ),
    "untracked": (
        "Untracked: more than 10 min between two events, also in a pause or an ad. It adds to"
        " nothing else: no chapter, no player state, no played stretch, no weight of a "
        "bitrate. The playhead after it holds."
    ),
    "ended-time": ("After the end no time counts; only player states run on."),
    "pause-in-ad": (
        "Pause and buffering win over ads: that time is no ad time. The ad's row has it "
        "apart, as pause_ms and buffer_ms."
    ),
    "content-in-break": (
        "Content that runs on inside a break is content: the closing bookend was probably "
        "lost. It sets content_started, is inferred play if the player was starting, and "
        "counts for chapters and unique time."
    ),
    "gap": (
        "The gap between a bookend and an ad, or between two ads, is neither content nor ad. "
        "Policy can make it content."
    ),
    "stall": (
        "A stall is a run of at least 3 events that span at least 2 s. Events with one ts are"
        " one event here, and late ones are none."
    ),
    "set-back": (
        "More than 10 min back is no late event but a device clock that was corrected. What "
        "waits is applied; then the event, with no time of its own. Its ts and playhead hold "
        "from there on, a new unmoved run and a new idle clock begin. It is a finding and not"
        " counted as late."
    ),
    "inferred-play": (
        "Inferred play. While starting with no ad open, a playhead that advanced shows that "
        "content plays. That interval is content, the player is playing, content has started,"
        " and there is a finding: a client opened a new session after a 404 and sent no new "
        "play."
    ),
    "elapsed-time": (
        "The time between two neighbouring applied events goes to exactly one place. The "
        "first line that fits the state before the second event decides."
    ),
    "chapter-time": (
        "Chapter time is content time while the chapter is open, without unbookended ads; "
        "pauses, buffering, ads and stalls are not in it."
    ),
    "chapter-left": (
        "Left, not completed: a chapter that is skipped, replaced by the next, or open at the "
        "close."
    ),
    "state-time": (
        "Their time runs from start to end, or to the close, through pauses, ads and the end "
        "of the content. Untracked time adds nothing."
    ),
    "policy-ad": (
        "unclosed_break = ad: with ad a void break counts like a complete one; its finding stays"
    ),
    "policy-gap": (
        "break_gap = content: with content gap time adds to content_ms and to nothing else"
    ),
}
"""By the anchor that a rule has in docs/rules.md; without its marks and references."""
