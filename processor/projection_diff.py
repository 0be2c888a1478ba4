"""What differs between two projections of the same log: totals, sessions, movers, groups.

Beside the record's way: `bookended diff` shows it before a candidate is promoted. The database
compares, only sessions that differ come here, in bounded memory. A session that one projection has
read further than the other is moving and is not compared. Imports `models` and `database`.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Engine,
    Select,
    Subquery,
    Table,
    and_,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)

from models.rows import SUMMED, SessionFigures
from models.tables import session_starts, sessions_closed, sessions_live
from processor.database import snapshot
from processor.projections import Place, places

MOVERS_MAX: Final = 20
GROUPS_MAX: Final = 10_000
OTHERS: Final = "(others)"
BUCKETS_S: Final = (1, 10, 60, 600)
"""Upper ends of the distribution's classes, seconds of content or ad time moved."""

_PLACE: Final = ("session_id", "log_partition", "last_offset")
_BY_TICK: Final = frozenset(("inactive", "expired"))


class Mover(NamedTuple):
    """A session that differs: by how much, of which player and content, and its differing figures
    as (live, candidate)."""

    moved_ms: int
    session_id: str
    player_name: str | None
    content_id: str | None
    figures: dict[str, tuple[Any, Any]]


class Group(NamedTuple):
    """What moved for one player and content."""

    sessions: int
    content_ms: int
    ad_ms: int


@dataclass(slots=True)
class Difference:
    """Live against candidate. Differences are candidate minus live, over compared sessions."""

    live: int
    candidate: int
    compared: int = 0
    changed: int = 0
    moving: int = 0
    only_live: int = 0
    only_candidate: int = 0
    totals: dict[str, tuple[int, int]] = field(default_factory=dict)
    by_column: Counter[str] = field(default_factory=Counter)
    distribution: Counter[str] = field(default_factory=Counter)
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)
    movers: list[Mover] = field(default_factory=list)

    @property
    def is_none(self) -> bool:
        """Whether all that could be compared is equal."""
        return not (self.changed or self.only_live or self.only_candidate)


def compare(engine: Engine, live: int, candidate: int, *, is_part: bool) -> Difference:
    """`is_part`: the candidate holds a part of the sessions, the others are not missed.

    Errors: `DatabaseAwayError`.
    """
    found = Difference(live, candidate)
    heap: list[tuple[int, str, Mover]] = []
    for mover in _changed(engine, found, is_part=is_part):
        _count(found, mover)
        entry = (mover.moved_ms, mover.session_id, mover)
        if len(heap) < MOVERS_MAX:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)
    found.movers = [mover for _, _, mover in sorted(heap, reverse=True)]
    return found


def changed_sessions(
    engine: Engine, live: int, candidate: int, *, is_part: bool
) -> Iterator[Mover]:
    """Every session that differs, by id. Errors: `DatabaseAwayError`."""
    return _changed(engine, Difference(live, candidate), is_part=is_part)


def _changed(engine: Engine, found: Difference, *, is_part: bool) -> Iterator[Mover]:
    with snapshot(engine) as connection:
        ticks = {number: places(connection, number) for number in (found.live, found.candidate)}
        _totals(connection, found)
        query = _differing(found.live, found.candidate, is_part=is_part)
        rows = connection.execute(query, execution_options={"yield_per": 1_000})
        for row in rows.mappings():
            mover = _mover(row, found, ticks)
            if mover is not None:
                yield mover


def _mover(row: Any, found: Difference, ticks: dict[int, dict[int, Place]]) -> Mover | None:
    """The session's difference; None for one that is not compared, which is counted."""
    if row["a_session_id"] is None or row["b_session_id"] is None:
        if row["a_session_id"] is None:
            found.only_candidate += 1
        else:
            found.only_live += 1
    elif _is_moving(row, found, ticks):
        found.moving += 1
        found.compared -= 1
        return None
    else:
        found.changed += 1
    figures = {
        name: (row[f"a_{name}"], row[f"b_{name}"])
        for name in SessionFigures._fields
        if row[f"a_{name}"] != row[f"b_{name}"]
    }
    moved_ms = sum(
        abs((row[f"b_{name}"] or 0) - (row[f"a_{name}"] or 0)) for name in ("content_ms", "ad_ms")
    )
    session_id = row["a_session_id"] or row["b_session_id"]
    return Mover(moved_ms, session_id, row["player_name"], row["content_id"], figures)


def _is_moving(row: Any, found: Difference, ticks: dict[int, dict[int, Place]]) -> bool:
    """One side has read more of the session, or has had a tick that closed it and the other not
    yet."""
    if row["a_last_offset"] != row["b_last_offset"]:
        return True
    for side, other, number in (("a", "b", found.live), ("b", "a", found.candidate)):
        if row[f"{side}_status"] == "live" and row[f"{other}_close_reason"] in _BY_TICK:
            place = ticks[number].get(row[f"{side}_log_partition"])
            if place is None or place.tick is None or row[f"{side}_due_at"] > place.tick:
                return True
    return False


def _count(found: Difference, mover: Mover) -> None:
    found.by_column.update(mover.figures.keys())
    found.distribution[_bucket(mover.moved_ms)] += 1
    key = (mover.player_name or "-", mover.content_id or "-")
    if key not in found.groups and len(found.groups) >= GROUPS_MAX:
        key = (OTHERS, OTHERS)
    known = found.groups.get(key, Group(0, 0, 0))
    found.groups[key] = Group(
        known.sessions + 1,
        known.content_ms + _moved(mover, "content_ms"),
        known.ad_ms + _moved(mover, "ad_ms"),
    )


def _moved(mover: Mover, name: str) -> int:
    before, after = mover.figures.get(name, (0, 0))
    return int(after or 0) - int(before or 0)


def _bucket(moved_ms: int) -> str:
    if moved_ms == 0:
        return "no time"
    for end_s in BUCKETS_S:
        if moved_ms < end_s * 1_000:
            return f"under {end_s} s"
    return f"{BUCKETS_S[-1]} s or more"


# --- statements ---------------------------------------------------------------------------------


def _side(projection: int) -> CompoundSelect[Any]:
    return union_all(_half(sessions_live, projection), _half(sessions_closed, projection))


def _half(table: Table, projection: int) -> Select[Any]:
    due_at = table.c.due_at if table is sessions_live else null().label("due_at")
    names = (*_PLACE, *SessionFigures._fields)
    return select(*(table.c[name] for name in names), due_at).where(
        table.c.projection == projection
    )


def _columns(side: Subquery, prefix: str) -> list[Any]:
    return [column.label(f"{prefix}_{column.name}") for column in side.c]


def _differing(live: int, candidate: int, *, is_part: bool) -> Any:
    """Sessions that are not the same on both sides, each with both sides' figures."""
    a, b = _side(live).subquery("a"), _side(candidate).subquery("b")
    same = a.c.session_id == b.c.session_id
    differs = or_(
        a.c.session_id.is_(None),
        b.c.session_id.is_(None),
        *(a.c[name].is_distinct_from(b.c[name]) for name in SessionFigures._fields),
    )
    session_id = func.coalesce(a.c.session_id, b.c.session_id)
    start = session_starts
    joined = b.outerjoin(a, same) if is_part else a.outerjoin(b, same, full=True)
    joined = joined.outerjoin(
        start,
        and_(
            start.c.session_id == session_id,
            start.c.projection == literal(candidate),
        ),
    )
    return (
        select(*_columns(a, "a"), *_columns(b, "b"), start.c.player_name, start.c.content_id)
        .select_from(joined)
        .where(differs)
        .order_by(session_id)
    )


def _totals(connection: Connection, found: Difference) -> None:
    a, b = _side(found.live).subquery("a"), _side(found.candidate).subquery("b")
    both = a.join(b, a.c.session_id == b.c.session_id)
    sums = [func.coalesce(func.sum(side.c[name]), 0) for side in (a, b) for name in SUMMED]
    row = connection.execute(select(func.count(), *sums).select_from(both)).one()
    count, *values = row
    found.compared = int(count)
    half = len(SUMMED)
    found.totals = {
        name: (int(values[at]), int(values[half + at])) for at, name in enumerate(SUMMED)
    }
