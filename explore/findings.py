"""What players do wrong, by player and app version: how much ad time became content by it, and in
how many sessions it is.

Beside `reading`, whose connections it uses. Sums over the views `sessions`, `findings` and `ads`,
so that every filter holds; over whole days they are those of `findings_daily`. Imports `models`.
"""

from typing import Any, Final

from sqlalchemy import (
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
from explore.reading import conditions, rows_of, view
from models.time_line import Row

RANKED_MAX: Final = 200
_BOOKENDS: Final = ("ad_without_break", "break_not_completed")
"""The findings that say of an ad why it counts as content: `untracked_reason` of `ads`."""


def builds(connection: Connection, wanted: Asked, count_max: int = RANKED_MAX) -> list[Row]:
    """Players and versions: `player_name`, `app_version`, `sessions` that have a finding, and
    `moved_ms`, their ad time that counts as content. The worst first, at most `count_max`."""
    sessions = view("sessions").c
    moved = cast(func.sum(sessions.unbookended_ad_ms), BigInteger).label("moved_ms")
    build = (sessions.player_name, sessions.app_version)
    query = (
        select(*build, func.count().label("sessions"), moved)
        .where(*conditions(wanted), sessions.finding_count > 0)
        .group_by(*build)
        .order_by(moved.desc(), func.count().desc(), *build)
    )
    return rows_of(connection, query.limit(count_max))


def ranked(connection: Connection, wanted: Asked) -> list[Row]:
    """The findings of each player and version: `player_name`, `app_version`, `code`, `sessions`
    that have it, `times`, and `moved_ms`, None for one that says nothing of a bookend. Those first
    that moved most, then those in most sessions; at most `RANKED_MAX`."""
    parts = union_all(_counted(wanted), _moved(wanted)).subquery("parts")
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
    return rows_of(connection, query.limit(RANKED_MAX))


def _counted(wanted: Asked) -> Select[Any]:
    """A row for each finding of each session."""
    sessions, found = view("sessions"), view("findings")
    says_bookend = found.c.code.in_(_BOOKENDS)
    return (
        select(
            sessions.c.player_name,
            sessions.c.app_version,
            found.c.code,
            literal(1).label("sessions"),
            found.c.count.label("times"),
            case((says_bookend, 0), else_=null()).label("moved_ms"),
        )
        .select_from(sessions.join(found, sessions.c.session_id == found.c.session_id))
        .where(*conditions(wanted), sessions.c.finding_count > 0)
    )


def _moved(wanted: Asked) -> Select[Any]:
    """A row for each ad that counts as content."""
    sessions, ads = view("sessions"), view("ads")
    return (
        select(
            sessions.c.player_name,
            sessions.c.app_version,
            ads.c.untracked_reason,
            literal(0),
            literal(0),
            ads.c.playing_ms,
        )
        .select_from(sessions.join(ads, sessions.c.session_id == ads.c.session_id))
        .where(
            *conditions(wanted),
            sessions.c.finding_count > 0,
            sessions.c.unbookended_ad_ms > 0,
            ads.c.untracked_reason.is_not(None),
        )
    )
