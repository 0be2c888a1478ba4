"""The projections of a database: made beside the live one, listed, promoted, rolled back, dropped.

Beside the record's way: `rebuild` fills a candidate, this puts it in the live one's place. Readers
go by one row (`live_projection`), so they see one projection or the other and never a mixture; that
row changes in the transaction that also raises `version` in all progress rows of both, so that no
owner writes on what it had (docs/architecture.md "Reprocessing"). Imports `models` and `database`.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, func, select, text, update

from models.partitions import PARTITIONED, partition_of
from models.policy import FOLD_VERSION, Policy
from models.tables import (
    closes_outbox,
    live_projection,
    progress,
    projections,
    sessions_closed,
    sessions_live,
)
from processor.claim import ProjectionMissingError
from processor.database import reading, writing
from processor.postgres_claim import lock_live_projection
from processor.postgres_engine import is_postgres
from processor.projection import create_projection

_SIZE: Final = text(
    "SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0) "
    "FROM unnest(CAST(:names AS text[])) AS name"
)
LAG_MAX: Final = 50_000
"""Records that a candidate may be behind the live projection when it is promoted."""


class PromotionRefusedError(Exception):
    """A projection cannot take the live one's place now. `reason` ends with the next step."""

    def __init__(self, projection: int, reason: str) -> None:
        super().__init__(projection, reason)
        self.projection = projection
        self.reason = reason

    def __str__(self) -> str:
        return f"projection {self.projection} cannot be made the live one: {self.reason}"


class NothingToRollBackError(Exception):
    """The live projection took no other one's place, or that one has been dropped."""

    def __str__(self) -> str:
        return (
            "no earlier projection is kept; `bookended projections list` shows what there is, and "
            "`bookended promote` makes one of them live"
        )


class Place(NamedTuple):
    """How far a projection has read a partition of which log."""

    next_offset: int
    tick: int | None
    log_id: str


class Described(NamedTuple):
    """One projection as people are shown it. `scope`: the part of the log's sessions that it was
    made of, None for all of them; `bytes`: on PostgreSQL, with its indexes."""

    projection: int
    is_live: bool
    is_previous: bool
    fold_version: int
    policy: Policy
    scope: dict[str, Any] | None
    created_at: int
    places: Mapping[int, Place]
    sessions: int
    bytes: int | None


class Switched(NamedTuple):
    """The live projection before and after; `behind`: records that the new one has yet to read."""

    before: int
    after: int
    behind: int


def create_candidate(
    engine: Engine, policy: Policy, scope: dict[str, Any] | None, now_ms: int
) -> int:
    """A new projection without rows beside the live one; its number.

    Errors: `DatabaseAwayError`.
    """
    with writing(engine) as connection:
        if is_postgres(connection):
            lock_live_projection(connection)
        highest = connection.execute(select(func.max(projections.c.projection))).scalar() or 0
        number = int(highest) + 1
        create_projection(connection, number, policy, now_ms, scope)
        return number


def promote(engine: Engine, candidate: int) -> Switched:
    """Makes a candidate the live projection, in one transaction.

    Errors: `PromotionRefusedError`, `ProjectionMissingError`, `DatabaseAwayError`: nothing changed.
    """
    with writing(engine) as connection:
        live, _ = _lock(connection)
        row = _row(connection, candidate)
        if candidate == live:
            raise PromotionRefusedError(candidate, "it already is; there is nothing to do")
        if row.scope is not None:
            raise PromotionRefusedError(
                candidate, "it holds a part of the sessions; `bookended rebuild` one of all"
            )
        if row.fold_version != FOLD_VERSION:
            raise PromotionRefusedError(
                candidate,
                f"its rules have version {row.fold_version}, this release's {FOLD_VERSION}; "
                "promote it with the release that made it",
            )
        behind = _behind(connection, live, candidate)
        if behind > LAG_MAX:
            raise PromotionRefusedError(
                candidate,
                f"it is {behind:,} records behind the live one, more than {LAG_MAX:,}; "
                f"run `bookended rebuild --into {candidate}` to catch up",
            )
        _switch(connection, live, candidate)
        return Switched(live, candidate, behind)


def rollback(engine: Engine) -> Switched:
    """Makes the projection live again whose place the live one took, however far behind it is:
    processors let it catch up.

    Errors: `NothingToRollBackError`, `PromotionRefusedError`, `DatabaseAwayError`: nothing changed.
    """
    with writing(engine) as connection:
        live, previous = _lock(connection)
        if previous is None:
            raise NothingToRollBackError
        _row(connection, previous)
        behind = _behind(connection, live, previous)
        _switch(connection, live, previous)
        return Switched(live, previous, behind)


def describe(engine: Engine) -> list[Described]:
    """All projections, by number. Errors: `DatabaseAwayError`."""
    with reading(engine) as connection:
        current = connection.execute(select(live_projection)).first()
        live, previous = (current.projection, current.previous) if current else (None, None)
        rows = connection.execute(select(projections).order_by(projections.c.projection)).all()
        return [
            Described(
                row.projection,
                row.projection == live,
                row.projection == previous,
                row.fold_version,
                Policy(**row.policy),
                row.scope,
                row.created_at,
                places(connection, row.projection),
                _sessions(connection, row.projection),
                _bytes(connection, row.projection),
            )
            for row in rows
        ]


def read_policy(connection: Connection, projection: int) -> Policy:
    """The rules of a projection, whichever version of them. Errors: `ProjectionMissingError`."""
    return Policy(**_row(connection, projection).policy)


def read_scope(connection: Connection, projection: int) -> dict[str, Any] | None:
    """The part of the sessions that a projection is made of. Errors: `ProjectionMissingError`."""
    scope: dict[str, Any] | None = _row(connection, projection).scope
    return scope


def places(connection: Connection, projection: int) -> dict[int, Place]:
    """How far a projection has read each partition."""
    columns = progress.c
    query = (
        select(columns.log_partition, columns.next_offset, columns.tick, columns.log_id)
        .where(columns.projection == projection)
        .order_by(columns.log_partition)
    )
    return {row[0]: Place(*row[1:]) for row in connection.execute(query)}


def _lock(connection: Connection) -> tuple[int, int | None]:
    """The live projection and the one before it; nobody else changes them meanwhile.

    Errors: `ProjectionMissingError`.
    """
    if is_postgres(connection):
        lock_live_projection(connection)
    row = connection.execute(select(live_projection)).first()
    if row is None:
        raise ProjectionMissingError(None)
    return row.projection, row.previous


def _row(connection: Connection, projection: int) -> Any:
    row = connection.execute(
        select(projections).where(projections.c.projection == projection)
    ).first()
    if row is None:
        raise ProjectionMissingError(projection)
    return row


def _behind(connection: Connection, live: int, other: int) -> int:
    """Records that `other` has yet to read to be where the live projection is.

    Errors: `PromotionRefusedError` when they are of different logs.
    """
    found = places(connection, other)
    behind = 0
    for partition, place in places(connection, live).items():
        mine = found.get(partition)
        if mine is not None and mine.log_id != place.log_id:
            raise PromotionRefusedError(
                other, f"partition {partition} was read from another log; rebuild from this one"
            )
        behind += max(0, place.next_offset - (mine.next_offset if mine is not None else 0))
    return behind


def _switch(connection: Connection, before: int, after: int) -> None:
    """Closes that wait go with the live projection: it is the one that tells them."""
    of_both = progress.c.projection.in_((before, after))
    connection.execute(
        update(progress).where(of_both).values(version=progress.c.version + 1, owner=None)
    )
    connection.execute(update(live_projection).values(projection=after, previous=before))
    connection.execute(
        update(closes_outbox).where(closes_outbox.c.projection == before).values(projection=after)
    )


def _sessions(connection: Connection, projection: int) -> int:
    counts = (
        select(func.count()).select_from(table).where(table.c.projection == projection)
        for table in (sessions_live, sessions_closed)
    )
    return sum(connection.execute(count).scalar_one() for count in counts)


def _bytes(connection: Connection, projection: int) -> int | None:
    """On PostgreSQL, with indexes: tables that are dropped already count nothing."""
    if not is_postgres(connection):
        return None
    names = [partition_of(table, projection) for table in PARTITIONED]
    return int(connection.execute(_SIZE, {"names": names}).scalar_one())
