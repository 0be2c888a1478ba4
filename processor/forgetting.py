"""What is left of a session whose viewer is to be forgotten: all figures, nothing that names him.

Part of the pure core. Rows lose what can name a person (`scrubbed`). Events, in files that stay,
have such values replaced (`disguised`): by something that nobody can turn back, but equal where
they were equal, so that a later fold judges repeats as before and gives the same figures.
"""

import re
from hashlib import blake2b
from typing import Any, Final

from models.records import Event, Fields
from models.rows import AdRow, ChapterRow, ChildRow, RowKey, StartRow, Summary

_KEPT_PREFIX: Final = "media."
_KEPT: Final = frozenset(
    (
        "analytics.trackingServer",
        "analytics.reportSuite",
        "analytics.enableSSL",
        "analytics.optOutServerSideForwarding",
        "analytics.optOutShare",
        "visitor.marketingCloudOrgId",
        "statesStart",
        "statesEnd",
    )
)
"""Params that say nothing of a person; those of other names may."""

_PLACEHOLDERS: Final = frozenset(("N/A", ""))
_IS_DISGUISED: Final = re.compile("forgotten-[0-9a-f]{24}").fullmatch
_NUMBER_BITS: Final = 26
_NUMBER_MAX: Final = 2 ** (2 * _NUMBER_BITS)


def names_nobody(key: str) -> bool:
    """Whether a param of this name says nothing of a person."""
    return key.startswith(_KEPT_PREFIX) or key in _KEPT


def scrubbed_start(row: StartRow) -> StartRow:
    """The row without visitor, customer ids, custom metadata and params that may name somebody."""
    others = {k: v for k, v in (row.other_params or {}).items() if names_nobody(k)}
    return row._replace(
        visitor_id=None, customer_ids=None, custom_metadata=None, other_params=others or None
    )


def scrubbed(summary: Summary) -> Summary:
    """A session's rows with nothing left that may name somebody; every figure as it was."""
    start = None if summary.start is None else scrubbed_start(summary.start)
    rows: dict[RowKey, ChildRow] = {}
    for key, row in summary.rows.items():
        if isinstance(row, AdRow | ChapterRow):
            rows[key] = row._replace(custom_metadata=None)
        else:
            rows[key] = row
    return summary._replace(start=start, rows=rows)


def disguised(event: Event, secret: bytes) -> Event:
    """The event with every value replaced that may name somebody. `secret`: 16 to 64 random bytes,
    the same for all of a session's events, and then thrown away. What it has replaced stays when it
    comes again, so that a killed run can be done once more."""
    params = event.params
    if params is not None:
        params = {
            key: value if names_nobody(key) else _disguise(value, secret)
            for key, value in params.items()
        }
    custom: Fields | None = event.custom
    if custom is not None:
        custom = {key: _disguise(value, secret) for key, value in custom.items()}
    return event._replace(params=params, custom=custom)


def _disguise(value: Any, secret: bytes) -> Any:
    """Of the same type, so that what is odd about the event stays as odd."""
    if isinstance(value, str) and value not in _PLACEHOLDERS and not _IS_DISGUISED(value):
        return f"forgotten-{_digest(value, secret).hex()}"
    if isinstance(value, dict):
        return {key: _disguise(item, secret) for key, item in value.items()}
    if isinstance(value, list):
        return [_disguise(item, secret) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _disguised_number(value, secret)
    return value


def _disguised_number(value: float, secret: bytes) -> float:
    """A digest, and a digest of that by which it is known again; a float holds both."""
    high = int(value) >> _NUMBER_BITS if abs(value) < _NUMBER_MAX else -1
    if value == _with_mark(high, secret):
        return value
    return _with_mark(_part(repr(value), secret), secret)


def _with_mark(number: int, secret: bytes) -> int:
    return number << _NUMBER_BITS | _part(f"mark of {number}", secret)


def _part(text: str, secret: bytes) -> int:
    return int.from_bytes(_digest(text, secret)) % (1 << _NUMBER_BITS)


def _digest(text: str, secret: bytes) -> bytes:
    return blake2b(text.encode(), key=secret, digest_size=12).digest()
