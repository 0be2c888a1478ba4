"""Reads the worked sessions of this folder into arrivals, and compares their figures with rows.

Only for tests. Imports the contract types of `models`, never `processor`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from models.policy import Policy
from models.records import Event, Record, playhead_to_ms
from tests.reference.arrivals import Arrival, Step, Tick
from tests.reference.reading import Reading
from tests.reference.spans import Span

FOLDER = Path(__file__).parent
SESSION_ID = "0" * 64


class Golden(NamedTuple):
    """One worked session. `bodies`: the request bodies as they are sent over HTTP, in order.

    `needs_own_clock`: it cannot be sent as an ordinary online session (README.md beside this file).
    """

    name: str
    policy: Policy
    bodies: list[dict[str, Any]]
    steps: list[Step]
    expected: dict[str, Any]
    needs_own_clock: bool


def golden_names() -> list[str]:
    """The names of all worked sessions, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load_golden(name: str, session_id: str = SESSION_ID) -> Golden:
    """One worked session by its name."""
    data = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    raw: list[dict[str, Any]] = data["events"]
    steps = list(arrivals(raw, session_id))
    if "tick" in data:
        steps.append(Tick(data["tick"]))
    odd = any("received_at" in e or "offline_list" in e for e in raw)
    return Golden(
        name=data["name"],
        policy=Policy(**data["policy"]),
        bodies=[{k: v for k, v in e.items() if k not in PLACE_KEYS} for e in raw],
        steps=steps,
        expected=data["expected"],
        needs_own_clock=odd or "tick" in data or bool(data["policy"]) or name == "no-session-start",
    )


PLACE_KEYS = ("received_at", "offline_list")


def arrivals(raw: Sequence[Mapping[str, Any]], session_id: str) -> Iterator[Step]:
    """One record per event; the parts of an offline list are one record."""
    default = max(e["playerTime"]["ts"] for e in raw) + 1
    offline: list[Event] = []
    for each in raw:
        event = event_of(each, each.get("received_at", default))
        if "offline_list" not in each:
            yield Arrival(Record(session_id, False, (event,)))
            continue
        offline.append(event)
        if each["offline_list"] == "last":
            yield Arrival(Record(session_id, True, tuple(offline)))
            offline = []


def event_of(body: Mapping[str, Any], received_at: int) -> Event:
    """An event from a request body, as the collector makes it: empty objects count as absent."""
    return Event(
        type=body["eventType"],
        ts=body["playerTime"]["ts"],
        playhead_ms=playhead_to_ms(body["playerTime"]["playhead"]),
        params=body.get("params") or None,
        qoe=body.get("qoeData") or None,
        custom=body.get("customMetadata") or None,
        received_at=received_at,
    )


def differences(reading: Reading, expected: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Every expected figure that the rows do not have: name -> (is, should be)."""
    found = {**reading.figures._asdict(), **rows_in_part(reading)}
    return {
        key: (found.get(key), value) for key, value in expected.items() if found.get(key) != value
    }


def rows_in_part(reading: Reading) -> dict[str, Any]:
    """The rows beside that of `sessions`, in the words of the worked sessions."""
    tracked = {b.break_number: b.tracked for b in reading.breaks}
    return {
        "breaks": [{name: getattr(b, name) for name in BREAK_COLUMNS} for b in reading.breaks],
        "ads": [
            {
                "id": ad.ad_id,
                "playing_ms": ad.playing_ms,
                "completed": ad.completed,
                "tracked": ad.break_number is not None and tracked[ad.break_number],
            }
            for ad in reading.ads
        ],
        "chapters": [
            {"index": c.chapter_index, "content_ms": c.content_ms, "completed": c.completed}
            for c in reading.chapters
        ],
        "player_states": {
            s.name: {
                "count": s.count,
                "total_ms": s.total_ms,
                "on_s": [
                    [(at - (reading.figures.started_at or 0)) / 1000 for at in period]
                    for period in s.periods or ()
                ],
            }
            for s in reading.player_states
        },
        "findings": {row.code: row.count for row in reading.findings},
        "spans": spans_in_part(reading.spans, reading.figures.started_at or 0),
    }


BREAK_COLUMNS = ("position", "tracked", "ad_count", "ad_ms", "gap_ms")


def spans_in_part(spans: Sequence[Span], started_at: int) -> list[dict[str, Any]]:
    """From and to in seconds of the session; its break, ad and chapter where it has one."""
    return [
        {
            "activity": span.activity,
            "counted_as": span.counted_as,
            "from_s": (span.started_at - started_at) / 1000,
            "to_s": (span.ended_at - started_at) / 1000,
            "playheads_s": [span.playhead_from_s, span.playhead_to_s],
            **{
                thing: getattr(span, f"{thing}_number")
                for thing in ("break", "ad", "chapter")
                if getattr(span, f"{thing}_number") is not None
            },
        }
        for span in spans
    ]
