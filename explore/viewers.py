"""Who watches at each instant, from the time line: the view `spans`.

Of `reports`, which asks for it. One watches who has content, an ad, a break, a start or
a wait on the screen; not who pauses, has come to the end, or of whom nothing is known. That is what
the view `audience_minute` counts, there in whole minutes. Imports `models`.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

from sqlalchemy import CTE, ColumnElement, Select, and_, func, or_, select

from explore.filters import Asked
from explore.reading import view
from models.reports_sql import count_if, step_number, step_reached
from models.reports_time import NOT_WATCHED
from models.time_line import Row

_MINUTE_MS: Final = 60_000
_STEPS_MS: Final = tuple(minutes * _MINUTE_MS for minutes in (1, 5, 10, 30, 60))
_POINTS_MAX: Final = 300
RANGE_MS_MAX: Final = 7 * 86_400_000 + 3_600_000
"""The longest time over which viewers are counted: a row of it is a stretch of a session."""
SPAN_MS_MAX: Final = 86_400_000
"""Stretches that began longer before the time asked for are not looked for: a session that says
nothing new for so long is closed (docs/rules.md)."""


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


class Period(NamedTuple):
    """Over what viewers are counted, ms since the epoch. `told_ms`: the instant of those who watch
    now, None if the time asked for ended before."""

    since_ms: int
    until_ms: int
    told_ms: int | None

    @property
    def step_ms(self) -> int:
        length_ms = self.until_ms - self.since_ms
        return next(step for step in _STEPS_MS if length_ms <= step * _POINTS_MAX)

    @property
    def first_ms(self) -> int:
        """Before this no session began that has a stretch in it."""
        return max(0, self.since_ms - SPAN_MS_MAX)


def period_of(wanted: Asked, now_ms: int) -> Period | None:
    """Over what viewers are counted of the time asked for; None for nothing."""
    told_ms = now_ms - _MINUTE_MS
    goes_on = wanted.until_ms is None or wanted.until_ms > told_ms
    until_ms = told_ms if wanted.until_ms is None else min(wanted.until_ms, told_ms)
    since_ms = until_ms if wanted.since_ms is None else wanted.since_ms
    if not 0 <= until_ms - since_ms <= RANGE_MS_MAX:
        since_ms = until_ms
    if since_ms == until_ms and not goes_on:
        return None
    return Period(since_ms, until_ms, told_ms if goes_on else None)


def viewers_of(period: Period | None, rows: Sequence[Row]) -> Viewers:
    """Who watches over a time, of the rows of `watching`."""
    if period is None:
        return Viewers(_MINUTE_MS, (), None)
    step_ms = period.step_ms
    first = -(-period.since_ms // step_ms)
    count = max(0, -(-period.until_ms // step_ms) - first)
    changes = [0] * (count + 1)
    for row in rows:
        for name, viewers in (("begins", row["viewers"]), ("ends", -row["viewers"])):
            changes[min(max(row[name] - first, 0), count)] += viewers
    at = ((first + place) * step_ms for place in range(count))
    points = tuple(zip(at, accumulate(changes), strict=False))
    now = None if period.told_ms is None else sum(row["now"] for row in rows)
    return Viewers(step_ms, points, now)


def watching(period: Period, fitting: CTE | None) -> Select[Any]:
    """Stretches by the first step that they reach, and the first that they do not reach any more:
    so each is read once, and there are no more rows than pairs of steps. `fitting`: the sessions
    whose stretches count, None for all."""
    spans, step_ms = view("spans").c, period.step_ms
    told_ms = period.since_ms if period.told_ms is None else period.told_ms
    query = select(
        step_reached(spans.started_at, step_ms).label("begins"),
        step_reached(spans.ended_at, step_ms).label("ends"),
        func.count().label("viewers"),
        count_if(and_(spans.ended_at > told_ms, spans.started_at <= told_ms)).label("now"),
    ).where(
        spans.started_at >= period.first_ms,
        spans.started_at <= period.until_ms,
        spans.ended_at > period.since_ms,
        spans.activity.not_in(NOT_WATCHED),
    )
    if fitting is not None:
        query = query.where(spans.session_id.in_(select(fitting.c.session_id)))
    pairs = query.group_by("begins", "ends").subquery("pairs").c
    begins, ends = (step_number(at, step_ms) for at in (pairs.begins, pairs.ends))
    return select(begins.label("begins"), ends.label("ends"), pairs.viewers, pairs.now)


def goes_on_in(period: Period) -> ColumnElement[bool]:
    """Whether a session that began before the period can have a stretch in it. None is later than
    its last event, unless its clock was set back, which is a finding: so most that began before
    need not be looked at."""
    sessions = view("sessions").c
    return or_(sessions.last_event_at > period.since_ms, sessions.finding_count > 0)
