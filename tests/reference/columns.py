"""Typed looks into an event's JSON objects, and the columns that `sessionStart` fills.

`note` is called with the finding's code for every value that is not what its key promises
(semantics.md §9 last rule, §10). Only for tests; imports no `processor`.
"""

from collections.abc import Callable
from typing import Any, Final

from models.records import Event, Fields
from models.rows import StartRow

Note = Callable[[str], None]

TEXT_COLUMNS: Final = {
    "report_suite": "analytics.reportSuite",
    "org_id": "visitor.marketingCloudOrgId",
    "content_id": "media.id",
    "content_name": "media.name",
    "content_type": "media.contentType",
    "stream_type": "media.streamType",
    "channel": "media.channel",
    "player_name": "media.playerName",
    "app_version": "media.sdkVersion",
    "show": "media.show",
    "season": "media.season",
    "episode": "media.episode",
    "asset_id": "media.assetId",
    "genre": "media.genre",
    "first_air_date": "media.firstAirDate",
    "first_digital_date": "media.firstDigitalDate",
    "rating": "media.rating",
    "originator": "media.originator",
    "network": "media.network",
    "show_type": "media.showType",
    "ad_load": "media.adLoad",
    "mvpd": "media.pass.mvpd",
    "authorized": "media.pass.auth",
    "day_part": "media.dayPart",
    "feed": "media.feed",
    "stream_format": "media.streamFormat",
    "artist": "media.artist",
    "album": "media.album",
    "label": "media.label",
    "author": "media.author",
    "station": "media.station",
    "publisher": "media.publisher",
}
VISITOR_KEYS: Final = (
    "visitor.marketingCloudUserId",
    "analytics.visitorId",
    "analytics.aid",
    "appInstallationId",
)
FLAG_COLUMNS: Final = {"resumed": "media.resume", "downloaded": "media.downloaded"}
LENGTH_KEY: Final = "media.length"
CUSTOMERS_KEY: Final = "visitor.customerIDs"
COLUMN_KEYS: Final = frozenset(
    [
        *TEXT_COLUMNS.values(),
        *VISITOR_KEYS,
        *FLAG_COLUMNS.values(),
        LENGTH_KEY,
        CUSTOMERS_KEY,
    ]
)
PLACEHOLDERS: Final = ("N/A", "")


def silent(code: str) -> None:
    """A `Note` for looks that must not tell the same finding twice."""


def sent(fields: Fields | None, key: str) -> Any:
    """The value of a key; `null` counts as absent."""
    return None if fields is None else fields.get(key)


def text(fields: Fields | None, key: str, note: Note) -> str | None:
    """A string; any other type is `wrong_type`."""
    value = sent(fields, key)
    if value is None or isinstance(value, str):
        return value
    note("wrong_type")
    return None


def name(fields: Fields | None, key: str, note: Note) -> str | None:
    """An id or a name: a placeholder is null, with a finding (§9)."""
    value = text(fields, key, note)
    if value is not None and value in PLACEHOLDERS:
        note("placeholder_value")
        return None
    return value


def number(fields: Fields | None, key: str, note: Note) -> int | float | None:
    """A JSON number; a numeric string is none here."""
    value = sent(fields, key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if value is not None:
        note("wrong_type")
    return None


def flag(fields: Fields | None, key: str, note: Note) -> bool | None:
    value = sent(fields, key)
    if value is None or isinstance(value, bool):
        return value
    note("wrong_type")
    return None


def objects(fields: Fields | None, key: str, note: Note) -> dict[str, Any] | None:
    """A JSON object; an empty one counts as absent."""
    value = sent(fields, key)
    if value is None or isinstance(value, dict):
        return value or None
    note("wrong_type")
    return None


def start_row(event: Event, note: Note) -> StartRow:
    """What the client said in `sessionStart` (docs/sql.md)."""
    params = event.params
    visitors = [name(params, key, note) for key in VISITOR_KEYS]
    length = number(params, LENGTH_KEY, note)
    other = {k: v for k, v in (params or {}).items() if k not in COLUMN_KEYS}
    values: dict[str, Any] = {
        **{column: name(params, key, note) for column, key in TEXT_COLUMNS.items()},
        **{column: flag(params, key, note) for column, key in FLAG_COLUMNS.items()},
        "visitor_id": next((v for v in visitors if v is not None), None),
        "customer_ids": objects(params, CUSTOMERS_KEY, note),
        "content_length_s": None if length is None else float(length),
        "custom_metadata": None if event.custom is None else dict(event.custom),
        "other_params": other or None,
    }
    return StartRow(**values)


def start_findings(event: Event, note: Note) -> None:
    """All that is odd in the columns' values of the first `sessionStart` (§10).

    Keys without a column are kept as sent and not judged.
    """
    start_row(event, note)
    if known_length_s(event) is None and not is_live(event):
        note("missing_length")


def known_length_s(start: Event | None) -> float | None:
    """The content's length where it is known and positive."""
    if start is None:
        return None
    length_s = number(start.params, LENGTH_KEY, silent)
    return float(length_s) if length_s is not None and length_s > 0 else None


def length_ms(start: Event | None) -> int | None:
    """The same, in whole milliseconds."""
    length_s = known_length_s(start)
    return None if length_s is None else round(length_s * 1000)


def is_live(start: Event | None) -> bool:
    """Content type `live` or `linear`: no progress, no end (§9)."""
    if start is None:
        return False
    content_type = text(start.params, "media.contentType", silent)
    return content_type is not None and content_type.lower() in ("live", "linear")
