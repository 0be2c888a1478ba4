"""What the demo prints: sessions, the bookend comparison, findings, and where to go from there.

After the record's way. Reads through `results`, writes to the terminal. Imports `advice`,
`results`, `samples`, `tables`.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from commands.advice import ADVICE
from commands.demo_players import Played
from commands.results import ADS, FINDINGS, SESSIONS, Row, rows, viewing
from commands.samples import NO_BOOKENDS, NO_CLOSING, WITH_BOOKENDS
from commands.tables import clock, facts, program, table

COMPARED = (WITH_BOOKENDS, NO_CLOSING, NO_BOOKENDS)
_TOTALS = ("content_ms", "ad_ms", "unbookended_ad_ms")
_TRY_SQL = "SELECT content_name, content_ms, ad_ms, unbookended_ad_ms FROM sessions"


class Outcome(NamedTuple):
    """What came of the demo: rows of the public views, each session under its sample's title."""

    sessions: dict[str, Row]
    findings: Sequence[Row]
    ads: Sequence[Row]


def outcome(database: Path | str, played: Played) -> Outcome:
    """Reads the rows. `database`: a file or an address."""
    with viewing(database) as connection:
        by_id = {row["session_id"]: row for row in rows(connection, SESSIONS)}
        findings = rows(connection, FINDINGS)
        ads = rows(connection, ADS)
    return Outcome(
        {title: by_id[sid] for sid, (title, _) in played.items()}, findings, [*map(_said, ads)]
    )


def _said(ad: Row) -> Row:
    """SQLite says 0 and 1 for what is false and true."""
    return {
        name: bool(value) if name in ("completed", "tracked") and value is not None else value
        for name, value in ad.items()
    }


def as_json(result: Outcome, data: str | None, elapsed_s: float) -> dict[str, Any]:
    """The report for machines. `data`: where it lies, if it was kept."""
    return {
        "data": data,
        "elapsed_s": round(elapsed_s, 2),
        "sessions": [{"sample": title, **row} for title, row in result.sessions.items()],
        "ads": list(result.ads),
        "findings": [{**row, "advice": ADVICE.get(row["code"], "")} for row in result.findings],
    }


def show(console: Console, result: Outcome) -> None:
    """The report for people."""
    _show_sessions(console, result)
    _show_comparison(console, result)
    _show_findings(console, result)


def _show_sessions(console: Console, result: Outcome) -> None:
    console.rule("Sessions: what was watched", align="left")
    sheet = table("session", "content", "ads", "unbookended", "pause", "stalled", "status")
    for title, row in result.sessions.items():
        sheet.add_row(
            title,
            clock(row["content_ms"]),
            clock(row["ad_ms"]),
            clock(row["unbookended_ad_ms"]),
            clock(row["pause_ms"]),
            clock(row["buffer_ms"] + row["stall_ms"]),
            row["status"],
        )
    sheet.add_section()
    sums = [clock(sum(row[name] for row in result.sessions.values())) for name in _TOTALS]
    sheet.add_row("all", *sums, "", "", "")
    console.print(sheet)


def _show_comparison(console: Console, result: Outcome) -> None:
    console.rule("The same session, with and without its bookends", align="left")
    console.print(
        "An ad counts as ad time only between adBreakStart and adBreakComplete. Where one of "
        "them is missing, the ad's time is content time, and reported as unbookended besides."
    )
    sheet = table("", "both bookends", "no closing one", "none")
    compared = [result.sessions[title] for title in COMPARED]
    for label, name in (
        ("content time", "content_ms"),
        ("  of it unbookended ads", "unbookended_ad_ms"),
        ("ad time", "ad_ms"),
        ("content and ads together", "media_ms"),
    ):
        sheet.add_row(label, *(clock(row[name]) for row in compared))
    for label, name in (
        ("ads tracked", "ad_count"),
        ("ads not tracked", "unbookended_ad_count"),
        ("breaks complete", "ad_break_count"),
        ("breaks void", "void_ad_break_count"),
    ):
        sheet.add_row(label, *(str(row[name]) for row in compared))
    console.print(sheet)


def _show_findings(console: Console, result: Outcome) -> None:
    console.rule("Findings: what the players did wrong", align="left")
    title_of = {row["session_id"]: title for title, row in result.sessions.items()}
    sheet = table("finding", "times", "advice")
    order = list(title_of)
    for row in sorted(result.findings, key=lambda row: order.index(row["session_id"])):
        advice = f"{ADVICE.get(row['code'], '')}\n[dim](in: {title_of[row['session_id']]})[/dim]"
        sheet.add_row(row["code"], str(row["count"]), advice)
    console.print(sheet)


def show_next(console: Console, directory: Path) -> None:
    """Where to go from there."""
    where = shlex.quote(str(directory))
    console.rule("What next", align="left")
    console.print(facts({"log": str(directory / "log.db"), "SQL": str(directory / "analytics.db")}))
    steps = "\n".join(
        (
            "# look at these sessions, on http://127.0.0.1:8081/explore",
            f"{program()} explore --data {where}",
            "",
            "# ask these rows yourself",
            f"sqlite3 -box {where}/analytics.db \\",
            f'  "{_TRY_SQL}"',
            "",
            "# start a server with the same pages at /explore, and send it an event",
            f"{program()} run",
            "curl -i http://127.0.0.1:8080/api/v1/sessions -d '",
            '  {"eventType": "sessionStart", "playerTime": {"ts": 1760000000000, "playhead": 0},',
            '   "params": {"media.id": "m1", "media.length": 60, "media.contentType": "VOD",',
            '              "media.playerName": "curl", "media.channel": "web"}}\'',
            "",
            "# or let it be watched by an audience",
            f"{program()} simulate --faults all",
        )
    )
    console.print(steps, highlight=False, markup=False, soft_wrap=True)
