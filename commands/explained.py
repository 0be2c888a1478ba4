"""What is told of one session, whatever it is told in: a terminal, JSON or a page.

After the record's way. Imports `advice` and the time line's words; no I/O.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from commands.advice import ADVICE
from models.tables_types import instant_text
from models.time_line import Row, SessionRows, Stretch, differences, stretches, totals
from models.time_line_words import ACTIVITIES, RULES, TOTALS, counted

NAME_LENGTH_MAX: Final = 80
"""Of a name in a sentence; JSON has all of it."""
_TOTALS: Final = {
    **TOTALS,
    "unbookended_ad_ms": f"  {TOTALS['unbookended_ad_ms']}",
    "ended_ms": ACTIVITIES["ended"],
    "all_ms": "all together",
}
_ALWAYS: Final = ("content_ms", "unbookended_ad_ms", "ad_ms", "all_ms")
_SHOWN_OF_SESSION: Final = (
    "session_id",
    "status",
    "close_reason",
    "started_at",
    "last_event_at",
    "closed_at",
    "content_id",
    "content_name",
    "content_length_s",
    "content_type",
    "channel",
    "player_name",
    "app_version",
    "event_count",
)


class Finding(NamedTuple):
    """A row of the view `findings`. `from_start_ms`: of the first; None if nothing was applied."""

    code: str
    count: int  # type: ignore[assignment]  # the column is named so; nobody counts in a row
    first_ts: int
    from_start_ms: int | None
    detail: str
    advice: str


class Run(NamedTuple):
    """Neighbouring stretches that look alike in a bar: the first of them, and how long they are."""

    stretch: Stretch
    duration_ms: int


class Explanation(NamedTuple):
    """One session, explained. `sums`: its totals, added up from `line`. `unequal`: those that its
    row has otherwise, with the row's value first."""

    session: Row
    is_live: bool
    has_all_spans: bool
    line: tuple[Stretch, ...]
    findings: tuple[Finding, ...]
    sums: Mapping[str, int]
    unequal: Mapping[str, tuple[int, int]]


def explained(rows: SessionRows) -> Explanation:
    """What there is to tell."""
    line = tuple(stretches(rows))
    sums = totals(line)
    return Explanation(
        rows.session,
        rows.is_live,
        rows.has_all_spans,
        line,
        tuple(_finding(rows, row) for row in rows.findings),
        sums,
        differences(rows.session, sums),
    )


def _finding(rows: SessionRows, row: Row) -> Finding:
    code, count, first_ts, started_at = (
        row["code"],
        row["count"],
        row["first_ts"],
        rows.session["started_at"],
    )
    advice = ADVICE.get(code, f"See {RULES}.")  # of a newer release's code
    from_start = None if started_at is None else first_ts - started_at
    return Finding(code, count, first_ts, from_start, row["detail"], advice)


def facts(told: Explanation) -> dict[str, str]:
    """The session in a few lines; texts as they were sent, shortened."""
    row = told.session
    started, last = row["started_at"], row["last_event_at"]
    content = [_short(row["content_name"]), f"({_short(row['content_id'])})"]
    player = [_short(row["player_name"]), _short(row["app_version"])]
    state = "live" if told.is_live else f"{row['status']}, {row['close_reason']}"
    found = {
        "session": row["session_id"],
        "status": state,
        "content": " ".join(text for text in content if text not in ("", "()")),
        "player": " ".join(filter(None, player)),
        "started": "" if started is None else f"{instant_text(started)} UTC",
        "last event": "" if last is None else f"{instant_text(last)} UTC",
        "events": f"{row['event_count']:,}",
    }
    return {name: text for name, text in found.items() if text}


def _short(text: str | None) -> str:
    """A name may be as long as a request may be."""
    text = text or ""
    return text if len(text) <= NAME_LENGTH_MAX else f"{text[: NAME_LENGTH_MAX - 1]}…"


def notes(told: Explanation) -> list[str]:
    """What must be known to read the rest."""
    found = []
    if told.is_live:
        found.append("This session is live: the figures are what they would be if it closed now.")
    if not told.line:
        found.append("No time has passed in it, from its first event to its last.")
    if not told.has_all_spans:
        found.append(
            f"It has more rows than are kept (too_many_rows, {RULES}#bounds): some stretches are "
            "missing here, and its totals may be more than the sums."
        )
    for name, (value, ms) in told.unequal.items():
        remedy = "" if not told.has_all_spans else "; run `bookended verify` (docs/operations.md)"
        found.append(
            f"{name} of the session is {clock(value)}, its stretches give {clock(ms)}{remedy}."
        )
    return found


def total_lines(told: Explanation) -> dict[str, int]:
    """The sums that there is something to say of, by their words."""
    return {
        words: told.sums[name]
        for name, words in _TOTALS.items()
        if name in _ALWAYS or told.sums[name]
    }


def runs(line: Sequence[Stretch]) -> list[Run]:
    """The line as a bar shows it: chapters, say, do not cut it."""
    found: list[Run] = []
    for stretch in line:
        last = found[-1] if found else None
        if last is not None and _look(last.stretch) == _look(stretch):
            found[-1] = last._replace(duration_ms=last.duration_ms + stretch.duration_ms)
        else:
            found.append(Run(stretch, stretch.duration_ms))
    return found


def _look(stretch: Stretch) -> tuple[str, str]:
    return stretch.activity, counted(stretch)


def belongings(stretch: Stretch) -> list[str]:
    """Break, ad and chapter that a stretch lies in, with their names."""
    things = (
        ("break", stretch.break_number, stretch.break_name),
        ("ad", stretch.ad_number, stretch.ad_name),
        ("chapter", stretch.chapter_number, stretch.chapter_name),
    )
    return [
        f"{kind} {number}" + (f" “{_short(name)}”" if name else "")
        for kind, number, name in things
        if number is not None
    ]


def offset_ms(told: Explanation, at: int) -> int:
    """From the session's start to an instant; below 0 where the clock was set back before it."""
    return at - int(told.session["started_at"])


def clock(ms: int) -> str:
    """A length of time to the millisecond: `m:ss.mmm` or `h:mm:ss.mmm`."""
    sign, rest = "-" if ms < 0 else "", abs(ms)
    hours, minutes, seconds = rest // 3_600_000, rest // 60_000 % 60, rest // 1000 % 60
    tail = f"{seconds:02}.{rest % 1000:03}"
    return f"{sign}{hours:,}:{minutes:02}:{tail}" if hours else f"{sign}{minutes}:{tail}"


def playheads(stretch: Stretch) -> str:
    """Where in the content it began and ended, s."""
    first, last = (f"{at:,.3f}".rstrip("0").rstrip(".") for at in stretch[6:8])
    return f"{first} s" if first == last else f"{first} – {last} s"


def as_json(told: Explanation) -> dict[str, Any]:
    """All of it for machines; instants in ISO 8601."""
    instants = ("started_at", "last_event_at", "closed_at")
    row = {name: told.session[name] for name in _SHOWN_OF_SESSION}
    return {
        "session": {n: _iso(value) if n in instants else value for n, value in row.items()},
        "live": told.is_live,
        "notes": notes(told),
        "time_line": [_stretch_as_json(told, stretch) for stretch in told.line],
        "findings": [
            {**found._asdict(), "first_ts": _iso(found.first_ts)} for found in told.findings
        ],
        "totals": dict(told.sums),
        "unequal": {
            name: {"session": value, "stretches": ms} for name, (value, ms) in told.unequal.items()
        },
    }


def _stretch_as_json(told: Explanation, stretch: Stretch) -> dict[str, Any]:
    fields = stretch._asdict()
    reason = fields.pop("reason")
    return {
        **fields,
        "started_at": _iso(stretch.started_at),
        "ended_at": _iso(stretch.ended_at),
        "from_ms": offset_ms(told, stretch.started_at),
        "to_ms": offset_ms(told, stretch.ended_at),
        "why": reason.text,
        "rule": f"{RULES}#{reason.rule}",
        "missing_bookend": reason.missing,
    }


def _iso(ms: int | None) -> str | None:
    return None if ms is None else f"{instant_text(ms).replace(' ', 'T')}Z"
