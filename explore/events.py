"""The events of a session as a page shows them: one part of them, in words.

Pure: events in, texts out. Imports its wording and `models`.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from explore.filters import BadAddressError
from explore.wording import duration
from models.judged import Judged, ReceivedEvent
from models.records import Event
from models.time_line_words import TOTALS

EVENTS_A_PAGE: Final = 200
_TEXT_LENGTH_MAX: Final = 4_000
_AFTER: Final = re.compile(r"(\d{1,18})~(\d{1,9})", re.ASCII)
_VERDICTS: Final = {
    "applied": "",
    "late": "late: takes no time",
    "clock_set_back": "the device's clock was set back: time goes on from here",
    "duplicate": "dropped: a repeat",
    "ignored": "ignored: belongs to the session before",
    "after_close": "dropped: after the close",
}


class Shown(NamedTuple):
    """An event as a row. `did`: what it did, in short; `is_odd`: something was wrong with it;
    `fields`: what came with it, as JSON by name."""

    offset: int
    number: int
    event: Event
    did: tuple[str, ...]
    is_odd: bool
    fields: dict[str, str]


class Part(NamedTuple):
    """Some of the events. `next_after`: the place after which the next part begins, or None.
    `hidden`: plain pings left out in all."""

    rows: list[Shown]
    next_after: str | None
    hidden: int


def after_of(text: str) -> tuple[int, int]:
    """A place in the list. Errors: `BadAddressError`."""
    if not text:
        return (-1, 0)
    match = _AFTER.fullmatch(text)
    if match is None:
        raise BadAddressError("“after” is no place in the list; begin with its first part.")
    return int(match[1]), int(match[2])


def part_of(events: Sequence[ReceivedEvent], after: tuple[int, int], *, hides_pings: bool) -> Part:
    """The events that come after a place, as many as a page has."""
    kept = [it for it in events if not (hides_pings and _is_plain_ping(it))]
    rest = [it for it in kept if (it.offset, it.number) > after]
    some = rest[:EVENTS_A_PAGE]
    has_more = len(rest) > len(some)
    next_after = f"{some[-1].offset}~{some[-1].number}" if has_more else None
    return Part([_shown(it) for it in some], next_after, len(events) - len(kept))


def _is_plain_ping(it: ReceivedEvent) -> bool:
    judged = it.judged
    is_odd = judged is not None and (judged.verdict != "applied" or judged.findings)
    return it.event.type == "ping" and not is_odd


def _shown(it: ReceivedEvent) -> Shown:
    event = it.event
    named = {"params": event.params, "qoeData": event.qoe, "customMetadata": event.custom}
    fields = {name: text_of(value) for name, value in named.items() if value}
    did = () if it.judged is None else tuple(_did(it.judged))
    is_odd = it.judged is not None and _is_odd(it.judged)
    return Shown(it.offset, it.number, event, did, is_odd, fields)


def _is_odd(judged: Judged) -> bool:
    return judged.verdict != "applied" or any(noted.times > 0 for noted in judged.findings)


def _did(judged: Judged) -> list[str]:
    told = [_VERDICTS[judged.verdict]] if _VERDICTS[judged.verdict] else []
    for name, ms in judged.times.items():
        sign = "+" if ms > 0 else "−"
        told.append(f"{sign}{duration(abs(ms))} {TOTALS[name]}")
    for noted in judged.findings:
        if noted.times < 0:
            told.append(f"takes back {noted.code}")
        else:
            told.append(f"finding {noted.code}" + (f": {noted.detail}" if noted.detail else ""))
    if judged.closed_by:
        told.append(f"closes the session ({judged.closed_by})")
    return told


def text_of(value: Any) -> str:
    """JSON that a person can read, with signs that show nothing written as their codes."""
    text = json.dumps(value, ensure_ascii=False, indent=1, default=str)
    if len(text) > _TEXT_LENGTH_MAX:
        text = f"{text[:_TEXT_LENGTH_MAX]}… ({len(text):,} characters in all)"
    return "".join(map(_visible, text))


def _visible(sign: str) -> str:
    is_shown = sign == "\n" or unicodedata.category(sign)[0] != "C"
    return sign if is_shown else f"\\u{ord(sign):04x}"
