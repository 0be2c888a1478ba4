"""Why each stretch of a session's time counts as what it does: rows of the views, told in words.

After the record's way: made of what the views hold, for whoever shows a session. The rules are
those of docs/rules.md, each named by its anchor there. Imports the rows; no I/O.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple

from models.rows import Activity

Row = Mapping[str, Any]
"""A row of a view by its columns' names (docs/sql.md); instants are ms since the epoch."""
CountedAs = Literal["content", "ad", "none"]
Bookend = Literal["adBreakStart", "adBreakComplete"]


class SessionRows(NamedTuple):
    """All that the views have of one session, each in the order of its numbers, of one moment."""

    session: Row
    spans: Sequence[Row]
    ad_breaks: Sequence[Row]
    ads: Sequence[Row]
    chapters: Sequence[Row]
    findings: Sequence[Row]
    player_states: Sequence[Row] = ()

    @property
    def is_live(self) -> bool:
        return bool(self.session["status"] == "live")

    @property
    def has_all_spans(self) -> bool:
        """Whether as many rows are kept as there were (docs/rules.md "Bounds")."""
        return self.finding("too_many_rows") is None

    def finding(self, code: str) -> Row | None:
        return next((row for row in self.findings if row["code"] == code), None)


class Reason(NamedTuple):
    """The rule that decided. `rule`: its anchor in docs/rules.md. `missing`: the bookend that never
    came and made ad time content, or would have."""

    text: str
    rule: str
    missing: Bookend | None = None


class Stretch(NamedTuple):
    """A row of the view `spans`, with the names of what it belongs to, and why it counts so."""

    span_number: int
    started_at: int
    ended_at: int
    duration_ms: int
    activity: Activity
    counted_as: CountedAs
    playhead_from_s: float
    playhead_to_s: float
    break_number: int | None
    ad_number: int | None
    chapter_number: int | None
    break_name: str | None
    ad_name: str | None
    chapter_name: str | None
    reason: Reason

    @property
    def is_unbookended_ad(self) -> bool:
        """Ad time that is content, because a bookend is missing (so far)."""
        return self.activity == "ad" and self.counted_as == "content"


class _Known(NamedTuple):
    """The rows by number. `suspects`: the breaks that may count without a closing bookend."""

    rows: SessionRows
    ad_breaks: Mapping[int | None, Row]
    ads: Mapping[int | None, Row]
    chapters: Mapping[int | None, Row]
    suspects: frozenset[int]


def stretches(rows: SessionRows) -> list[Stretch]:
    """The session's time line, each stretch with its reason."""
    known = _Known(
        rows,
        {row["break_number"]: row for row in rows.ad_breaks},
        {row["ad_number"]: row for row in rows.ads},
        {row["chapter_number"]: row for row in rows.chapters},
        frozenset(_without_closing(rows)),
    )
    around = (None, *rows.spans, None)
    found = []
    for before, span, after in zip(around, rows.spans, around[2:], strict=False):
        ad = known.ads.get(span["ad_number"], {})
        names = (
            known.ad_breaks.get(span["break_number"], {}).get("name"),
            ad.get("name") or ad.get("ad_id"),
            known.chapters.get(span["chapter_number"], {}).get("name"),
        )
        columns = (span[name] for name in Stretch._fields[:11])
        found.append(Stretch._make((*columns, *names, _reason(known, span, before, after))))
    return found


def seconds(ms: float) -> str:
    """A length of time in a sentence: `8 s`, `1,200.25 s`."""
    return f"{ms / 1000:,.3f}".rstrip("0").rstrip(".") + " s"


def _reason(known: _Known, span: Row, before: Row | None, after: Row | None) -> Reason:
    activity = span["activity"]
    if activity == "ad":
        reason = _of_ad(known, span)
    elif activity == "break":
        reason = _of_gap(span)
    elif activity == "content":
        reason = _of_content(known.rows, span, after)
    elif activity in ("pause", "buffer"):
        reason = _of_pause(activity, span)
    else:
        reason = _PLAIN[activity]
    if before is not None and span["started_at"] < before["ended_at"]:
        back = seconds(before["ended_at"] - span["started_at"])
        note = f"the device's clock was set back by {back} before it (docs/rules.md#set-back)"
        reason = reason._replace(text=f"{reason.text}; {note}")
    return reason


_PLAIN: Final[dict[str, Reason]] = {
    "untracked": Reason("more than 10 min without an event: counted in nothing else", "untracked"),
    "ended": Reason("after sessionComplete no time counts", "ended-time"),
    "stall": Reason(
        "the playhead stood still for 3 events and 2 s or more while content should have played",
        "stall",
    ),
    "startup": Reason("waiting for content to start", "elapsed-time"),
}


def _of_pause(activity: str, span: Row) -> Reason:
    what = "paused" if activity == "pause" else "buffering, as the player said"
    if span["ad_number"] is not None:
        return Reason(f"{what} in ad {span['ad_number']}: that is no ad time", "pause-in-ad")
    return Reason(what, "elapsed-time")


def _of_gap(span: Row) -> Reason:
    where = f"in break {span['break_number']}, with no ad open"
    if span["counted_as"] == "content":
        return Reason(f"{where}: content, by the policy break_gap = content", "policy-gap")
    return Reason(f"{where}: neither content nor ad", "gap")


def _of_content(rows: SessionRows, span: Row, after: Row | None) -> Reason:
    inferred = rows.finding("inferred_play")
    if span["break_number"] is not None:
        where = f"inside break {span['break_number']}, with no ad open"
        text = f"the playhead moved on {where}: content; probably a bookend is missing"
        reason = Reason(text, "content-in-break")
    elif inferred and span["started_at"] < inferred["first_ts"] <= span["ended_at"]:
        reason = Reason("no play came, but the playhead moved as in playback", "inferred-play")
    else:
        reason = Reason("playing, with neither a break nor an ad open", "elapsed-time")
    if after is not None and _is_seek(span, after):
        seek = f"a seek to {seconds(1000 * after['playhead_from_s'])} ended it"
        reason = reason._replace(text=f"{reason.text}; {seek}")
    return reason


def _is_seek(span: Row, after: Row) -> bool:
    """What cuts content from content otherwise leaves the playhead where it was."""
    return bool(
        after["activity"] == "content"
        and after["started_at"] == span["ended_at"]
        and after["playhead_from_s"] != span["playhead_to_s"]
    )


# --- ads and their bookends ----------------------------------------------------------------------


def _of_ad(known: _Known, span: Row) -> Reason:
    number = span["break_number"]
    if number is None:
        ad = span["ad_number"]
        played = seconds(known.ads[ad]["playing_ms"])
        return Reason(
            f"adBreakStart never came: ad {ad} is in no break, its {played} are content",
            "no-opening",
            "adBreakStart",
        )
    found = known.ad_breaks[number]
    if not found["tracked"]:
        return _of_unclosed(known.rows, found)
    if found["ended_at"] is None:
        text = f"break {number} is still open: ad time, by the policy unclosed_break = ad"
        return Reason(text, "policy-ad")
    return _of_tracked(known, found)


def _of_unclosed(rows: SessionRows, found: Row) -> Reason:
    """By the default policy: a break that is void, or still open."""
    number, played = found["break_number"], seconds(found["ad_ms"])
    if found["ended_at"] is None:
        return Reason(
            f"adBreakComplete has not come yet: break {number} is open, its {played} are content "
            "unless it comes",
            "tentative",
            "adBreakComplete",
        )
    return Reason(
        f"adBreakComplete never came ({_instead(rows, found)}): break {number} is void, its "
        f"{played} are content",
        "no-closing",
        "adBreakComplete",
    )


def _instead(rows: SessionRows, void: Row) -> str:
    is_last = void["break_number"] == rows.ad_breaks[-1]["break_number"]
    return "the session closed" if is_last else "another adBreakStart came"


def _of_tracked(known: _Known, found: Row) -> Reason:
    """A break that counts has both bookends, unless the policy `unclosed_break = ad` let it."""
    rows, number = known.rows, found["break_number"]
    lost = rows.finding("break_not_completed")
    if lost is None or number not in known.suspects:
        return Reason(f"break {number} has both bookends", "both-bookends")
    if len(known.suspects) > lost["count"] or not rows.has_all_spans:
        # A closing bookend and what came right after it had the same instant.
        return Reason(
            f"break {number} counts as complete: its adBreakComplete came, or was not asked for "
            "by the policy unclosed_break = ad",
            "policy-ad",
        )
    return Reason(
        f"adBreakComplete never came ({_instead(rows, found)}): break {number} counts as ads all "
        "the same, by the policy unclosed_break = ad",
        "policy-ad",
        "adBreakComplete",
    )


def _without_closing(rows: SessionRows) -> Iterator[int]:
    """Breaks that ended where the next one began or the session closed: those that count without a
    closing bookend are among them. None where one does not count: then no policy lets any."""
    if not all(row["tracked"] for row in rows.ad_breaks):
        return
    for found, later in pairwise((*rows.ad_breaks, None)):
        assert found is not None
        end = rows.session["last_event_at"] if later is None else later["started_at"]
        if found["ended_at"] == end and (later or not rows.is_live):
            yield found["break_number"]


# --- totals --------------------------------------------------------------------------------------

_OF_ACTIVITY: Final = ("pause", "buffer", "stall", "startup", "untracked")


def totals(line: Sequence[Stretch]) -> dict[str, int]:
    """The columns of `sessions` that are sums over the line (docs/sql.md "spans"), ms.

    Besides `ended_ms`, which has no column, and `all_ms`, the whole line.
    """
    by_activity = dict.fromkeys((*_OF_ACTIVITY, "ended"), 0)
    counted: dict[str, int] = {"content": 0, "ad": 0, "none": 0}
    moved = gap = 0
    for stretch in line:
        counted[stretch.counted_as] += stretch.duration_ms
        if stretch.activity in by_activity:
            by_activity[stretch.activity] += stretch.duration_ms
        moved += stretch.duration_ms if stretch.is_unbookended_ad else 0
        is_gap = stretch.activity == "break" and stretch.counted_as == "none"
        gap += stretch.duration_ms if is_gap else 0
    return {
        "content_ms": counted["content"],
        "unbookended_ad_ms": moved,
        "ad_ms": counted["ad"],
        "ad_gap_ms": gap,
        **{f"{activity}_ms": ms for activity, ms in by_activity.items()},
        "all_ms": sum(counted.values()),
    }


def differences(session: Row, sums: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """The totals of a session that are not the sums of its line: name -> (total, sum)."""
    return {
        name: (session[name], ms)
        for name, ms in sums.items()
        if name in session and session[name] != ms
    }
