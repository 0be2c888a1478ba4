"""Who watches at each instant, from the time line: the view `spans`.

Beside `reading`, whose connections it uses. One watches who has content, an ad, a break, a start or
a wait on the screen; not who pauses, has come to the end, or of whom nothing is known. That is what
the view `audience_minute` counts, there in whole minutes. Imports `models`.
"""

from itertools import accumulate
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    func,
    literal,
    select,
)

from explore.filters import Asked
from explore.reading import conditions, rows_of, view
from models.reports_sql import count_if, epoch_ms, later_of, quotient

_MINUTE_MS: Final = 60_000
_STEPS_MS: Final = tuple(minutes * _MINUTE_MS for minutes in (1, 5, 10, 30, 60))
_POINTS_MAX: Final = 300
RANGE_MS_MAX: Final = 7 * 86_400_000 + 3_600_000
"""The longest time over which viewers are counted: a row of it is a stretch of a session."""
SPAN_MS_MAX: Final = 86_400_000
"""Stretches that began longer before the time asked for are not looked for: a session that says
nothing new for so long is closed (docs/rules.md)."""
_NOT_WATCHED: Final = ("pause", "ended", "untracked")


class Viewers(NamedTuple):
    """`points`: instants in ms, and how many watch then; none for a time longer than
    `RANGE_MS_MAX`. `now`: how many did a minute before the page was asked for, as a player tells of
    itself every ten seconds; None for a time that ended before."""

    step_ms: int
    points: tuple[tuple[int, int], ...]
    now: int | None

    @property
    def most(self) -> tuple[int, int] | None:
        """The instant with the most viewers of all, and how many."""
        return max(self.points, key=lambda point: point[1], default=None)


def viewers(connection: Connection, wanted: Asked, now_ms: int) -> Viewers:
    """Who watches over the time asked for."""
    told_ms = now_ms - _MINUTE_MS
    goes_on = wanted.until_ms is None or wanted.until_ms > told_ms
    until_ms = told_ms if wanted.until_ms is None else min(wanted.until_ms, told_ms)
    since_ms = until_ms if wanted.since_ms is None else wanted.since_ms
    if not 0 <= until_ms - since_ms <= RANGE_MS_MAX:
        since_ms = until_ms
    step_ms = _step(until_ms - since_ms)
    if since_ms == until_ms and not goes_on:
        return Viewers(step_ms, (), None)
    first = -(-since_ms // step_ms)
    count = max(0, -(-until_ms // step_ms) - first)
    changes = [0] * (count + 1)
    now = 0
    for row in rows_of(connection, _query(wanted, (since_ms, until_ms), step_ms, told_ms)):
        now += row["now"]
        changes[min(row["begins"] - first, count)] += row["viewers"]
        changes[min(row["ends"] - first, count)] -= row["viewers"]
    at = ((first + place) * step_ms for place in range(count))
    return Viewers(
        step_ms, tuple(zip(at, accumulate(changes), strict=False)), now if goes_on else None
    )


def _step(length_ms: int) -> int:
    return next(step for step in _STEPS_MS if length_ms <= step * _POINTS_MAX)


def _query(wanted: Asked, period: tuple[int, int], step_ms: int, told_ms: int) -> Select[Any]:
    """Stretches by the first step that they reach, and the first that they do not reach any more:
    so each is read once, and there are no more rows than pairs of steps."""
    since_ms, until_ms = period
    spans = view("spans").c
    first = -(-since_ms // step_ms)
    begins = later_of(_reached(spans.started_at, step_ms), literal(first, BigInteger))
    ends = _reached(spans.ended_at, step_ms)
    goes_on = and_(spans.started_at <= told_ms, spans.ended_at > told_ms)
    query = select(
        begins.label("begins"),
        ends.label("ends"),
        func.count().label("viewers"),
        count_if(goes_on).label("now"),
    ).where(
        spans.started_at >= max(0, since_ms - SPAN_MS_MAX),
        spans.started_at <= until_ms,
        spans.ended_at > since_ms,
        spans.activity.not_in(_NOT_WATCHED),
    )
    if wanted.equal or wanted.finding or wanted.search:
        began = wanted._replace(since_ms=max(0, since_ms - SPAN_MS_MAX), until_ms=until_ms)
        chosen = select(view("sessions").c.session_id).where(*conditions(began))
        query = query.where(spans.session_id.in_(chosen))
    return query.group_by("begins", "ends")


def _reached(at: ColumnElement[Any], step_ms: int) -> ColumnElement[int]:
    """The number since the epoch of the first step at or after an instant."""
    return quotient(epoch_ms(at) + (step_ms - 1), step_ms)
