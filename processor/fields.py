"""Columns out of what a client sent: `sessionStart`, breaks, ads, chapters, errors, QoE values.

Part of the pure core. A known key of a wrong type, and a placeholder for a missing name, become
null and a finding; they never stop a fold (docs/rules.md "Findings").
"""

import re
from collections.abc import Callable
from functools import lru_cache
from sys import intern
from typing import Any, Final

from models.limits import NUMBER_MAX
from models.records import Event, Fields
from models.rows import StartRow
from processor.findings import find
from processor.state import NO_LIMIT, SessionState

Reader = Callable[[SessionState, Event, str, Any], Any]

_PLACEHOLDERS: Final = frozenset(("N/A", ""))
LIVE_CONTENT_TYPES: Final = frozenset(("live", "linear"))


def wrong_type(state: SessionState, event: Event, key: str, value: Any) -> None:
    """Records that a known key came with a value of a type that cannot be used."""
    find(state, "wrong_type", event.ts, f"{event.type}: {key} is {type(value).__name__}")


def read_text(state: SessionState, event: Event, key: str, value: Any) -> str | None:
    """A string; null for a placeholder."""
    if not isinstance(value, str):
        wrong_type(state, event, key, value)
        return None
    if value in _PLACEHOLDERS:
        find(state, "placeholder_value", event.ts, f'{event.type}: {key} is "{value}"')
        return None
    return intern(value)  # many sessions name the same ad, chapter or content


def read_number(state: SessionState, event: Event, key: str, value: Any) -> int | float | None:
    """A number (no boolean)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong_type(state, event, key, value)
        return None
    return value


def read_flag(state: SessionState, event: Event, key: str, value: Any) -> bool | None:
    """A boolean."""
    if not isinstance(value, bool):
        wrong_type(state, event, key, value)
        return None
    return value


def read_object(state: SessionState, event: Event, key: str, value: Any) -> dict[str, Any] | None:
    """A JSON object; null when empty."""
    if not isinstance(value, dict):
        wrong_type(state, event, key, value)
        return None
    return value or None


def _read(state: SessionState, event: Event, key: str, reader: Reader) -> Any:
    value = event.params.get(key) if event.params else None
    return None if value is None else reader(state, event, key, value)


def custom_metadata(event: Event) -> dict[str, Any] | None:
    """The event's `customMetadata` as a column."""
    return dict(event.custom) if event.custom else None


def columns(
    state: SessionState, event: Event, readers: tuple[tuple[str, Reader], ...]
) -> tuple[Any, ...]:
    """The values of some params in the order of their columns; absent ones are null."""
    return tuple([_read(state, event, key, reader) for key, reader in readers])


AD_COLUMNS: Final[tuple[tuple[str, Reader], ...]] = (
    ("media.ad.id", read_text),
    ("media.ad.name", read_text),
    ("media.ad.length", read_number),
    ("media.ad.podPosition", read_number),
    ("media.ad.playerName", read_text),
    ("media.ad.advertiser", read_text),
    ("media.ad.campaignId", read_text),
    ("media.ad.creativeId", read_text),
    ("media.ad.siteId", read_text),
    ("media.ad.creativeURL", read_text),
    ("media.ad.placementId", read_text),
)
BREAK_COLUMNS: Final[tuple[tuple[str, Reader], ...]] = (
    ("media.ad.podIndex", read_number),
    ("media.ad.podSecond", read_number),
    ("media.ad.podFriendlyName", read_text),
)
CHAPTER_COLUMNS: Final[tuple[tuple[str, Reader], ...]] = (
    ("media.chapter.index", read_number),
    ("media.chapter.offset", read_number),
    ("media.chapter.length", read_number),
    ("media.chapter.friendlyName", read_text),
)
# In the order of StartRow from `resumed` on; what stands before is read by hand.
_START_COLUMNS: Final[tuple[tuple[str, Reader], ...]] = (
    ("media.resume", read_flag),
    ("media.downloaded", read_flag),
    ("media.id", read_text),
    ("media.name", read_text),
    ("media.length", read_number),
    ("media.contentType", read_text),
    ("media.streamType", read_text),
    ("media.channel", read_text),
    ("media.playerName", read_text),
    ("media.sdkVersion", read_text),
    ("media.show", read_text),
    ("media.season", read_text),
    ("media.episode", read_text),
    ("media.assetId", read_text),
    ("media.genre", read_text),
    ("media.firstAirDate", read_text),
    ("media.firstDigitalDate", read_text),
    ("media.rating", read_text),
    ("media.originator", read_text),
    ("media.network", read_text),
    ("media.showType", read_text),
    ("media.adLoad", read_text),
    ("media.pass.mvpd", read_text),
    ("media.pass.auth", read_text),
    ("media.dayPart", read_text),
    ("media.feed", read_text),
    ("media.streamFormat", read_text),
    ("media.artist", read_text),
    ("media.album", read_text),
    ("media.label", read_text),
    ("media.author", read_text),
    ("media.station", read_text),
    ("media.publisher", read_text),
)
_VISITOR_KEYS: Final = (
    "visitor.marketingCloudUserId",
    "analytics.visitorId",
    "analytics.aid",
    "appInstallationId",
)
_REPORT_SUITE: Final = "analytics.reportSuite"
_ORG: Final = "visitor.marketingCloudOrgId"
_CUSTOMERS: Final = "visitor.customerIDs"
_HAVE_COLUMN: Final = frozenset(
    [key for key, _ in _START_COLUMNS] + [_REPORT_SUITE, _ORG, _CUSTOMERS, *_VISITOR_KEYS]
)


def start_row(state: SessionState, event: Event) -> StartRow:
    """The row of `session_starts` that a `sessionStart` gives (docs/sql.md "sessions")."""
    visitors = [_read(state, event, key, read_text) for key in _VISITOR_KEYS]
    others = {k: v for k, v in (event.params or {}).items() if k not in _HAVE_COLUMN}
    return StartRow._make(
        (
            _read(state, event, _REPORT_SUITE, read_text),
            _read(state, event, _ORG, read_text),
            next((visitor for visitor in visitors if visitor is not None), None),
            _read(state, event, _CUSTOMERS, read_object),
            *columns(state, event, _START_COLUMNS),
            custom_metadata(event),
            others or None,
        )
    )


_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@lru_cache(maxsize=4096, typed=True)  # 60 and 60.0 read differently in a detail
def length_and_limit(length_s: float, *, is_live: bool) -> tuple[float, int]:
    """A content's length and the largest playhead (ms) that can be: one pair for all its sessions.

    Live content has no such limit (docs/rules.md "Findings").
    """
    return length_s, NO_LIMIT if is_live else int(length_s * 1000) + 1000


QOE_KEYS: Final = ("bitrate", "droppedFrames", "timeToStart", "framesPerSecond")
_QOE_NAMES: Final = {f"{prefix}{key}": key for key in QOE_KEYS for prefix in ("media.qoe.", "")}


def read_quality(state: SessionState, event: Event) -> dict[str, int | float]:
    """The QoE values an event carries, by bare key; `qoeData` wins over `params`."""
    found: dict[str, int | float] = {}
    for fields in (event.params, event.qoe):
        for name in _qoe_names_in(fields):
            value = quality_number(fields[name]) if fields else None
            if value is None:
                if fields and fields[name] is not None:
                    wrong_type(state, event, name, fields[name])
            else:
                found[_QOE_NAMES[name]] = value
    return found


def _qoe_names_in(fields: Fields | None) -> list[str]:
    # The prefixed form comes last, so it wins over the bare one in the same object.
    return sorted(fields.keys() & _QOE_NAMES.keys(), key=len) if fields else []


def quality_number(value: Any) -> int | float | None:
    """A number ≥ 0, or one sent as a string; None for anything else."""
    if isinstance(value, str):
        value = _number_in(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return value


def _number_in(text: str) -> int | float | None:
    if not _NUMBER.fullmatch(text.strip()):
        return None
    number = float(text)
    if number > NUMBER_MAX:
        return None
    return int(number) if number.is_integer() else number


def read_error(state: SessionState, event: Event) -> tuple[str | None, str | None]:
    """Id and source of an `error`: from `params`, else from `qoeData` (docs/rules.md "Errors")."""
    error_id = _read(state, event, "media.errorId", read_text)
    source = _read(state, event, "media.errorSource", read_text)
    for prefix in ("media.qoe.", ""):
        if error_id is None:
            error_id = _read_qoe_text(state, event, prefix + "errorID")
        if source is None:
            source = _read_qoe_text(state, event, prefix + "errorSource")
    return error_id, source


def _read_qoe_text(state: SessionState, event: Event, key: str) -> str | None:
    value = event.qoe.get(key) if event.qoe else None
    return None if value is None else read_text(state, event, key, value)


def state_names(state: SessionState, event: Event, key: str) -> list[str]:
    """The lowercased player state names in one list of a `statesUpdate`."""
    items = event.params.get(key) if event.params else None
    if items is None:
        return []
    if not isinstance(items, list):
        wrong_type(state, event, key, items)
        return []
    names = [item.get("media.state.name") if isinstance(item, dict) else None for item in items]
    for name in names:
        if not isinstance(name, str):
            wrong_type(state, event, key, name)
    return [name.lower() for name in names if isinstance(name, str)]


def visitor_of(params: Fields | None) -> str | None:
    """The visitor that a `sessionStart` names: the first of its keys with a usable value
    (docs/sql.md `visitor_id`)."""
    named = ((params or {}).get(key) for key in _VISITOR_KEYS)
    return next((v for v in named if isinstance(v, str) and v not in _PLACEHOLDERS), None)
