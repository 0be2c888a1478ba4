"""How much of a content is played by how many: the sums of the view `retention`, for the sessions
that were asked for, as a curve.

Beside `reading`, whose connections it uses. Imports `models`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Subquery, and_, func, literal, select

from explore.filters import Asked
from explore.reading import conditions, rows_of, view
from models.reports_sql import count_if
from models.reports_time import has_content, retention_of
from models.time_line import Row

CONTENTS_MAX: Final = 50
PLAYS_MAX: Final = 20_000
"""So many plays make a curve: the newest, if there are more."""
_AT_ONCE: Final = 5_000
_DROPS_MAX: Final = 5


class Point(NamedTuple):
    """One hundredth of the content. `is_drop`: after it left more than after most others."""

    percent: int
    sessions: int
    is_drop: bool


class Drop(NamedTuple):
    """`left`: how many plays fewer the next hundredth has."""

    percent: int
    left: int


class Curve(NamedTuple):
    """`drops`: the places after which most left, the worst first. `has_all`: whether these are all
    plays, and not the newest `PLAYS_MAX`."""

    plays: int
    points: tuple[Point, ...]
    drops: tuple[Drop, ...]
    has_all: bool


def contents_by_plays(connection: Connection, wanted: Asked) -> list[Row]:
    """`content_id`, `content_name`, `plays`, `completes` of the contents that were played, those
    played most first."""
    sessions = view("sessions").c
    query = (
        select(
            sessions.content_id,
            func.max(sessions.content_name).label("content_name"),
            func.count().label("plays"),
            count_if(sessions.completed).label("completes"),
        )
        .where(*_plays(wanted), sessions.content_id.is_not(None))
        .group_by(sessions.content_id)
        .order_by(func.count().desc(), sessions.content_id)
    )
    return rows_of(connection, query.limit(CONTENTS_MAX))


def retention(connection: Connection, wanted: Asked) -> Curve | None:
    """The curve of the plays that were asked for; None where nothing was played."""
    sessions = view("sessions").c
    newest = select(sessions.session_id).where(*_plays(wanted)).order_by(sessions.started_at.desc())
    ids = list(connection.execute(newest.limit(PLAYS_MAX + 1)).scalars())
    counts: Counter[int] = Counter()
    for place in range(0, min(len(ids), PLAYS_MAX), _AT_ONCE):
        some = ids[place : min(place + _AT_ONCE, PLAYS_MAX)]
        for row in rows_of(connection, retention_of(_stretches(some))):
            counts[row["percent"]] += row["sessions"]
    return curve(min(len(ids), PLAYS_MAX), counts, has_all=len(ids) <= PLAYS_MAX)


def _plays(wanted: Asked) -> tuple[ColumnElement[bool], ...]:
    sessions = view("sessions").c
    return *conditions(wanted), sessions.content_started, sessions.content_length_s > 0


def _stretches(ids: Sequence[str]) -> Subquery:
    """What `retention_of` asks for. The ids are said twice: either view is then read by its key."""
    sessions, spans = view("sessions"), view("spans")
    s, played = sessions.c, select(*spans.c).where(spans.c.session_id.in_(ids)).subquery("played")
    is_of_it = and_(
        played.c.session_id == s.session_id,
        played.c.activity == "content",
        has_content(played.c.playhead_from_s, played.c.playhead_to_s, s.content_length_s),
    )
    return (
        select(
            literal(0).label("day"),
            s.content_id,
            s.session_id,
            s.content_length_s,
            played.c.playhead_from_s,
            played.c.playhead_to_s,
        )
        .select_from(sessions.outerjoin(played, is_of_it))
        .where(s.session_id.in_(ids))
        .subquery("plays")
    )


def curve(plays: int, counts: Mapping[int, int], *, has_all: bool = True) -> Curve | None:
    """The curve of `plays` plays and its steepest places. `counts`: how many played a percent."""
    if not plays:
        return None
    shown = [counts[percent] for percent in range(100)]
    lost = [
        Drop(percent, now - then)
        for percent, (now, then) in enumerate(pairwise(shown))
        if now > then
    ]
    drops = sorted(lost, key=lambda drop: (-drop.left, drop.percent))[:_DROPS_MAX]
    steep = {drop.percent for drop in drops}
    points = tuple(Point(percent, count, percent in steep) for percent, count in enumerate(shown))
    return Curve(plays, points, tuple(drops), has_all)
