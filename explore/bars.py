"""The overview's chart: a bar for each part of the time, and none where nothing began.

Pure: rows in, places out. Imports the wording.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from explore.reports import Unit
from explore.wording import duration
from models.time_line import Row

HEIGHT: Final = 140
_PARTS_MAX: Final = 1_500
_FORMATS: Final[dict[Unit, str]] = {"hour": "%Y-%m-%d %H", "day": "%Y-%m-%d", "month": "%Y-%m"}


class Piece(NamedTuple):
    """A colour's part of a bar, in pixels from the top."""

    kind: str
    y: float
    height: float


class Bar(NamedTuple):
    """`x`, `width`: percent."""

    x: float
    width: float
    label: str
    pieces: tuple[Piece, ...]


class Chart(NamedTuple):
    """`highest_ms`: what the full height stands for."""

    bars: tuple[Bar, ...]
    first: str
    last: str
    highest_ms: int


def chart(parts: Sequence[Row], unit: Unit) -> Chart | None:
    """The bars of content, unbookended and ad time; None where there is nothing to draw."""
    highest = max((row["content_ms"] + row["ad_ms"] for row in parts), default=0)
    if not highest:
        return None
    names = _names(parts[0]["part"], parts[-1]["part"], unit)
    by_name = {row["part"]: row for row in parts}
    if len(names) > _PARTS_MAX:
        names = list(by_name)
    width = 100 / len(names)
    bars = tuple(
        _bar(by_name[name], round(place * width, 3), round(0.86 * width, 3), highest)
        for place, name in enumerate(names)
        if name in by_name
    )
    return Chart(bars, names[0], names[-1], highest)


def _names(first: str, last: str, unit: Unit) -> list[str]:
    """All units of time from the first to the last."""
    at, end = (datetime.strptime(text, _FORMATS[unit]) for text in (first, last))  # noqa: DTZ007
    names: list[str] = []
    while at <= end and len(names) <= _PARTS_MAX:
        names.append(at.strftime(_FORMATS[unit]))
        if unit == "month":
            at = (at + timedelta(days=31)).replace(day=1)
        else:
            at += timedelta(hours=1) if unit == "hour" else timedelta(days=1)
    return names


def _bar(row: Row, x: float, width: float, highest: int) -> Bar:
    moved = row["unbookended_ad_ms"]
    lengths = {"content": row["content_ms"] - moved, "moved": moved, "ad": row["ad_ms"]}
    pieces = []
    top = float(HEIGHT)
    for kind, ms in lengths.items():
        height = HEIGHT * ms / highest
        top -= height
        if ms:
            pieces.append(Piece(kind, round(top, 2), round(height, 2)))
    label = (
        f"{row['part']}: {row['sessions']:,} sessions, {duration(row['content_ms'])} content, "
        f"of it {duration(moved)} unbookended ads, {duration(row['ad_ms'])} ads"
    )
    return Bar(x, width, label, tuple(pieces))
