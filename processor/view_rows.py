"""The rows that the public views would have of one session, out of its summary alone.

Part of the pure core. Beside the record's way: for a session that is shown under other rules
without a projection of its own. What the views look up in other rows (docs/sql.md "spans", "ads")
is looked up here. Tests compare it with the views.
"""

from collections.abc import Iterator
from typing import Any

from models.policy import Policy
from models.rows import Summary
from models.time_line import Row, SessionRows
from processor.batch import child_rows, session_row


def view_rows(summary: Summary, policy: Policy) -> SessionRows:
    """All of it, in the order of the numbers. `summary`: of a state that was never settled, so that
    it has every row."""
    breaks = list(child_rows(summary, "ad_breaks"))
    ads = list(child_rows(summary, "ads"))
    return SessionRows(
        session_row(summary),
        list(_spans(summary, ads, breaks, policy)),
        breaks,
        [{**ad, **_tracked(ad, breaks)} for ad in ads],
        list(child_rows(summary, "chapters")),
        sorted(child_rows(summary, "findings"), key=lambda row: (row["first_ts"], row["code"])),
        list(child_rows(summary, "player_states")),
    )


def _tracked(ad: Row, breaks: list[dict[str, Any]]) -> dict[str, Any]:
    if ad["break_number"] is None:
        return {"tracked": False, "untracked_reason": "ad_without_break"}
    tracked = _is_tracked(ad["break_number"], breaks)
    return {
        "tracked": tracked,
        "untracked_reason": "break_not_completed" if tracked is False else None,
    }


def _is_tracked(number: int | None, breaks: list[dict[str, Any]]) -> bool | None:
    return next((row["tracked"] for row in breaks if row["break_number"] == number), None)


def _spans(
    summary: Summary, ads: list[dict[str, Any]], breaks: list[dict[str, Any]], policy: Policy
) -> Iterator[dict[str, Any]]:
    """An ad that began outside a break and was taken in by one later: its row knows the break."""
    break_of = {ad["ad_number"]: ad["break_number"] for ad in ads}
    for row in (*child_rows(summary, "spans"), *_open(summary)):
        number = row["break_number"]
        if number is None:
            number = break_of.get(row["ad_number"])
        counted_as = _counted_as(row["activity"], number, breaks, policy)
        yield {**row, "break_number": number, "counted_as": counted_as}


def _counted_as(
    activity: str, number: int | None, breaks: list[dict[str, Any]], policy: Policy
) -> str:
    if activity == "ad":
        return "ad" if _is_tracked(number, breaks) else "content"
    is_content = activity == "content" or (activity == "break" and policy.break_gap == "content")
    return "content" if is_content else "none"


def _open(summary: Summary) -> Iterator[dict[str, Any]]:
    """The stretch that goes on."""
    span = summary.open_span
    if span.span_number is None:
        return
    columns = {name.removeprefix("span_"): value for name, value in span._asdict().items()}
    columns["span_number"] = columns.pop("number")
    yield {
        "session_id": summary.session_id,
        **columns,
        "ended_at": summary.figures.last_event_at,
    }
