"""What each event of a session did, found out by folding them one by one.

Part of the pure core. Beside the record's way: shown to people, never written. An event changes the
summary of its session, which counts what waits as applied: the difference is what it did.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from models.judged import Judged, Noted, Verdict
from models.policy import Policy
from models.records import Event
from models.rows import SessionFigures
from processor.session import apply_waiting, arrive, end_of_list
from processor.state import Finding, SessionState
from processor.step import PlacedRecord
from processor.summarize import summarize

TIMES: Final = (
    "content_ms", "unbookended_ad_ms", "ad_ms", "ad_gap_ms", "pause_ms", "buffer_ms", "stall_ms",
    "startup_ms", "untracked_ms",
)  # fmt: skip
_CLOSES: Final = ("sessionEnd", "sessionComplete")


def judged(records: Sequence[PlacedRecord], policy: Policy) -> Iterator[Judged]:
    """One for each event of a session's records, which begin with its first, in log order.

    Takes about a tenth of a millisecond an event.
    """
    if not records:
        return
    session_id, offline, events = records[0].record
    state = SessionState(session_id, events[0].received_at, offline=offline)
    before = _seen(state, policy)
    for _, _, record in records:
        last = record.events[-1]
        for event in record.events:
            counts = state.duplicate_count, state.late_count
            arrive(state, event, policy)
            if record.offline and event is last:
                end_of_list(state, policy)
            state.rows = None  # nobody reads them here
            now = _seen(state, policy)
            is_duplicate = state.duplicate_count > counts[0]
            is_late = state.late_count > counts[1]
            yield _judged(event, before, now, is_duplicate=is_duplicate, is_late=is_late)
            before = now


class _Seen(NamedTuple):
    """A session's summary, and what is in the state besides."""

    figures: SessionFigures
    findings: Mapping[str, Finding]


def _seen(state: SessionState, policy: Policy) -> _Seen:
    now = state.copy()
    apply_waiting(now, policy)
    return _Seen(summarize(now, policy).figures, now.findings or {})


def _judged(
    event: Event, before: _Seen, now: _Seen, *, is_duplicate: bool, is_late: bool
) -> Judged:
    figures, earlier = now.figures, before.figures
    moved = {name: getattr(figures, name) - getattr(earlier, name) for name in TIMES}
    is_new_close = figures.close_reason is not None and earlier.close_reason is None
    findings = tuple(_noted(before.findings, now.findings))
    verdict: Verdict = "applied"
    if is_duplicate:
        verdict = "duplicate"
    elif is_late:
        verdict = "late"
    elif figures.events_after_close_count > earlier.events_after_close_count and not (
        figures.event_count > earlier.event_count or event.type in _CLOSES
    ):
        verdict = "after_close"
    else:
        codes = {noted.code for noted in findings if noted.times > 0}
        if "clock_set_back" in codes:
            verdict = "clock_set_back"
        elif "close_before_start" in codes and event.type in _CLOSES:
            verdict = "ignored"
    return Judged(
        verdict,
        findings,
        {name: ms for name, ms in moved.items() if ms},
        figures.close_reason if is_new_close else None,
    )


def _noted(before: Mapping[str, Finding], now: Mapping[str, Finding]) -> Iterator[Noted]:
    for code in sorted({*before, *now}):
        count, _, detail = now.get(code, (0, 0, ""))
        known = before[code][0] if code in before else 0
        if count != known:
            yield Noted(code, count - known, "" if known else detail)
