"""How much of a content is played by how many: the view `retention` over several days, as a curve.

Beside `reports`, whose days it takes. Imports `models` by way of `reading`.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Connection, Select, cast, func, select

from explore.bars import HEIGHT
from explore.filters import Asked, BadAddressError
from explore.reading import rows_of, view
from explore.reports import days_of
from models.time_line import Row

CONTENTS_MAX: Final = 50
_DROPS_MAX: Final = 5


class Point(NamedTuple):
    """One hundredth of the content, and its bar in pixels from the top. `is_drop`: after it left
    more than after most others."""

    percent: int
    sessions: int
    y: float
    height: float
    label: str
    is_drop: bool


class Drop(NamedTuple):
    """`left`: how many plays fewer the next hundredth has."""

    percent: int
    left: int


class Curve(NamedTuple):
    """`drops`: the places after which most left, the worst first."""

    plays: int
    points: tuple[Point, ...]
    drops: tuple[Drop, ...]


def contents_by_plays(connection: Connection, wanted: Asked) -> list[Row]:
    """The contents of these days, those played most first. Errors: as `hundredths`."""
    found = view("retention").c
    plays = cast(func.sum(found.plays), BigInteger)
    query = select(found.content_id, plays.label("plays"))
    query = _of_days(query.where(found.percent == 0, found.content_id.is_not(None)), wanted)
    query = query.group_by(found.content_id).order_by(plays.desc(), found.content_id)
    return rows_of(connection, query.limit(CONTENTS_MAX))


def hundredths(connection: Connection, wanted: Asked) -> list[Row]:
    """`percent`, `sessions`, `plays` of the content asked for. Errors: `BadAddressError` for a
    filter that the view has no column for."""
    found = view("retention").c
    sums = (cast(func.sum(found[name]), BigInteger).label(name) for name in ("sessions", "plays"))
    query = _of_days(select(found.percent, *sums), wanted)
    return rows_of(connection, query.group_by(found.percent).order_by(found.percent))


def _of_days(query: Select[Any], wanted: Asked) -> Select[Any]:
    found = view("retention").c
    for column, value in wanted.equal.items():
        if column not in found:
            raise BadAddressError("Retention is filtered by time and content alone.")
        query = query.where(found[column] == value)
    days = days_of(wanted)
    if days.first is not None:
        query = query.where(found.day >= days.first)
    if days.last is not None:
        query = query.where(found.day <= days.last)
    return query


def curve(rows: Sequence[Row]) -> Curve | None:
    """The curve and its steepest places; None where nothing was played."""
    plays = rows[0]["plays"] if rows else 0
    if not plays:
        return None
    counts = [row["sessions"] for row in rows]
    lost = [
        Drop(row["percent"], now - then)
        for row, now, then in zip(rows, counts, counts[1:], strict=False)
        if now > then
    ]
    drops = sorted(lost, key=lambda drop: (-drop.left, drop.percent))[:_DROPS_MAX]
    steep = {drop.percent for drop in drops}
    points = tuple(_point(row, plays, row["percent"] in steep) for row in rows)
    return Curve(plays, points, tuple(drops))


def _point(row: Row, plays: int, is_drop: bool) -> Point:
    percent, sessions = row["percent"], row["sessions"]
    height = round(HEIGHT * min(1.0, sessions / plays), 2)
    label = f"{percent} %: {sessions:,} plays, {100 * sessions / plays:.1f} %"
    return Point(percent, sessions, round(HEIGHT - height, 2), height, label, is_drop)
