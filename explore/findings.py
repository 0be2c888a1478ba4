"""What players do wrong, by player and app version: how much ad time became content by it, and in
how many sessions it is.

Beside `reading`, whose connections it uses. Sums over the views `sessions`, `findings` and `ads`,
so that every filter holds; over whole days they are those of `findings_daily`. Imports `models`.
"""

from typing import Any, Final, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    Connection,
    Select,
    case,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)

from explore.filters import Asked
from explore.reading import conditions, together, view
from models.time_line import Row

RANKED_MAX: Final = 200
_BOOKENDS: Final = ("ad_without_break", "break_not_completed")
"""The findings that say of an ad why it counts as content: `untracked_reason` of `ads`."""


class Findings(NamedTuple):
    """`builds`: players and versions: `player_name`, `app_version`, `sessions` that have a finding,
    and `moved_ms`, their ad time that counts as content; the worst first.

    `ranked`: the findings of each: `player_name`, `app_version`, `code`, `sessions` that have it,
    `times`, and `moved_ms`, None for one that says nothing of a bookend. Those first that moved
    most, then those in most sessions. At most `RANKED_MAX` of either.
    """

    builds: list[Row]
    ranked: list[Row]


def findings(connection: Connection, wanted: Asked) -> Findings:
    """What players do wrong, of the sessions that fit: looked up once for all of it."""
    names = ("session_id", "player_name", "app_version", "unbookended_ad_ms", "finding_count")
    sessions = view("sessions").c
    query = select(*(sessions[name] for name in names))
    fitting = query.where(*conditions(wanted), sessions.finding_count > 0).cte("fitting")
    queries = {"builds": worst_builds(fitting, RANKED_MAX), "ranked": _ranked(fitting)}
    return Findings(**together(connection, queries))


def worst_builds(fitting: CTE, count_max: int) -> Select[Any]:
    """The rows of `Findings.builds`, at most `count_max`."""
    sessions = fitting.c
    moved = cast(func.sum(sessions.unbookended_ad_ms), BigInteger).label("moved_ms")
    build = (sessions.player_name, sessions.app_version)
    query = (
        select(*build, func.count().label("sessions"), moved)
        .where(sessions.finding_count > 0)
        .group_by(*build)
        .order_by(moved.desc(), func.count().desc(), *build)
    )
    return query.limit(count_max)


def _ranked(fitting: CTE) -> Select[Any]:
    """The rows of `Findings.ranked`."""
    parts = union_all(_counted(fitting), _moved(fitting)).subquery("parts")
    sums = {
        name: cast(func.sum(parts.c[name]), BigInteger)
        for name in ("sessions", "times", "moved_ms")
    }
    key = (parts.c.player_name, parts.c.app_version, parts.c.code)
    query = (
        select(*key, *(value.label(name) for name, value in sums.items()))
        .group_by(*key)
        .having(sums["sessions"] > 0)
        .order_by(
            func.coalesce(sums["moved_ms"], 0).desc(), sums["sessions"].desc(), parts.c.code, *key
        )
    )
    return query.limit(RANKED_MAX)


def _counted(fitting: CTE) -> Select[Any]:
    """A row for each finding of each session."""
    found = view("findings")
    says_bookend = found.c.code.in_(_BOOKENDS)
    return select(
        fitting.c.player_name,
        fitting.c.app_version,
        found.c.code,
        literal(1).label("sessions"),
        found.c.count.label("times"),
        case((says_bookend, 0), else_=null()).label("moved_ms"),
    ).select_from(fitting.join(found, fitting.c.session_id == found.c.session_id))


def _moved(fitting: CTE) -> Select[Any]:
    """A row for each ad that counts as content."""
    ads = view("ads")
    return (
        select(
            fitting.c.player_name,
            fitting.c.app_version,
            ads.c.untracked_reason,
            literal(0),
            literal(0),
            ads.c.playing_ms,
        )
        .select_from(fitting.join(ads, fitting.c.session_id == ads.c.session_id))
        .where(fitting.c.unbookended_ad_ms > 0, ads.c.untracked_reason.is_not(None))
    )
