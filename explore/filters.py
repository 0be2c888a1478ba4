"""What the address of a page asks for, checked: time range, filters, order, place of the next page.

Every text of it may be hostile. Imports `models`; no I/O: the time is given.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from urllib.parse import urlencode

from models.limits import TS_MS_MAX
from models.tables_types import instant_text

TEXT_LENGTH_MAX: Final = 300
FIELDS: Final = {
    "content": "content_id",
    "channel": "channel",
    "player": "player_name",
    "version": "app_version",
    "status": "status",
}
"""Filters by the name that they have in an address: the column of `sessions` that must be equal."""
SHARED: Final = ("range", "from", "to", "content", "channel", "player", "version")
"""What every page can be narrowed by: links between pages keep these."""
RANGES_MS: Final = {
    "hour": 3_600_000,
    "day": 86_400_000,
    "week": 7 * 86_400_000,
    "month": 30 * 86_400_000,
    "all": None,
}
SORTS: Final = {
    "newest": ("started_at", True),
    "oldest": ("started_at", False),
    "content": ("content_ms", True),
    "ads": ("ad_ms", True),
    "unbookended": ("unbookended_ad_ms", True),
    "findings": ("finding_count", True),
}
"""Orders by name: the column, and whether the largest comes first."""
_WORDS: Final = {
    "q": "search",
    "content": "content",
    "channel": "channel",
    "player": "player",
    "version": "app version",
    "status": "status",
    "finding": "finding",
}
_KNOWN: Final = frozenset(("q", "range", "from", "to", "sort", "after", "finding", *FIELDS))
_AFTER: Final = re.compile(r"(-?\d{1,15})~(.{1,300})", re.DOTALL)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class BadAddressError(Exception):
    """The address asks for what cannot be. `reason` says what, and what can."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Asked(NamedTuple):
    """What was asked for. Instants in ms since the epoch; `until_ms` is no longer part of it."""

    given: Mapping[str, str]
    since_ms: int | None
    until_ms: int | None
    search: str
    equal: Mapping[str, str]
    finding: str
    sort: str
    after: tuple[int, str] | None

    @property
    def range(self) -> str:
        is_own = "from" in self.given or "to" in self.given
        return "own" if is_own else self.given.get("range", "day")

    @property
    def is_narrowed(self) -> bool:
        """Whether a filter is in force, beside the time."""
        return bool(self.equal or self.finding or self.search)

    def address(self, **changes: str) -> str:
        """The query of this page with some of it changed; an empty text leaves a name out."""
        kept = {name: text for name, text in self.given.items() if name != "after"} | changes
        return "?" + urlencode({name: text for name, text in kept.items() if text})

    def without(self, name: str) -> str:
        """The query of this page without one of its filters."""
        return self.address(**{name: ""})

    @property
    def narrowed(self) -> Mapping[str, str]:
        """The filters in force, by their names in the address, with words for each."""
        return {name: words for name, words in _WORDS.items() if name in self.given}

    def elsewhere(self, **changes: str) -> str:
        """The query of another page with the same time and filters."""
        return kept(self.given, **changes)


def kept(query: Mapping[str, str], **changes: str) -> str:
    """Of a page's query what other pages understand too, as a query; empty if that is nothing."""
    shared = {name: query[name] for name in SHARED if name in query} | changes
    text = urlencode({name: text for name, text in shared.items() if text}, errors="replace")
    return f"?{text}" if text else ""


def asked(query: Mapping[str, str], now_ms: int) -> Asked:
    """The query of an address. Errors: `BadAddressError`."""
    unknown = sorted(query.keys() - _KNOWN)
    if unknown:
        known = ", ".join(sorted(_KNOWN))
        raise BadAddressError(f"There is no filter “{unknown[0][:50]}”. Filters: {known}.")
    given = {name: text.strip() for name, text in query.items() if text.strip()}
    for name, text in given.items():
        must_be_text(name, text)
    since_ms, until_ms = _period(given, now_ms)
    sort = given.get("sort", "newest")
    if sort not in SORTS:
        raise BadAddressError(f"“sort” is one of {', '.join(SORTS)}.")
    equal = {FIELDS[name]: given[name] for name in FIELDS if name in given}
    after = _after(given["after"]) if "after" in given else None
    return Asked(
        given, since_ms, until_ms, given.get("q", ""), equal, given.get("finding", ""), sort, after
    )


def must_be_text(name: str, text: str) -> None:
    """Errors: `BadAddressError` for what no column can hold, or is too long to look for."""
    if len(text) > TEXT_LENGTH_MAX + 20 * (name == "after"):
        raise BadAddressError(f"“{name}” is longer than {TEXT_LENGTH_MAX} characters.")
    if any(ord(sign) < 32 or 0xD800 <= ord(sign) < 0xE000 for sign in text):
        raise BadAddressError(f"“{name}” has control characters; give plain text.")


def _period(given: Mapping[str, str], now_ms: int) -> tuple[int | None, int | None]:
    if "from" in given or "to" in given:
        since_ms, until_ms = _instant(given, "from"), _instant(given, "to")
        if since_ms is not None and until_ms is not None and since_ms >= until_ms:
            raise BadAddressError("“from” must be before “to”.")
        return since_ms, until_ms
    name = given.get("range", "day")
    if name not in RANGES_MS:
        raise BadAddressError(f"“range” is one of {', '.join(RANGES_MS)}.")
    length = RANGES_MS[name]
    return (None if length is None else now_ms - length), None


def _instant(given: Mapping[str, str], name: str) -> int | None:
    if name not in given:
        return None
    try:
        found = datetime.fromisoformat(given[name])
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        ms = (found - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError) as error:
        raise BadAddressError(
            f"“{name}” is no instant; give for example 2026-03-01 or 2026-03-01T10:30, in UTC."
        ) from error
    if not 0 <= ms <= TS_MS_MAX:
        raise BadAddressError(f"“{name}” must be from 1970 to 9999.")
    return ms


def _after(text: str) -> tuple[int, str]:
    match = _AFTER.fullmatch(text)
    if match is None or abs(int(match[1])) > TS_MS_MAX:
        raise BadAddressError("“after” is no place in the list; begin with its first page.")
    return int(match[1]), match[2]


def shown_instant(text: str) -> str:
    """An instant of an address as a date field takes it (minutes, UTC); as it is if it is none."""
    try:
        ms = _instant({"from": text}, "from")
    except BadAddressError:
        return text
    return "" if ms is None else instant_text(ms)[:16].replace(" ", "T")
