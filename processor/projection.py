"""A projection in SQL: claims, what a restart goes on from, checkpoints.

The end of the record's way. A checkpoint is one transaction: progress by compare-and-set, then
rows, states, dead letters and closes, so that SQL never holds half a step and a stale owner writes
nothing (docs/architecture.md "Exactly once"). Imports `models`, `source` and the core's row types;
never `ingest`.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Text,
    and_,
    any_,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from models.partitions import create_partitions
from models.policy import FOLD_VERSION, Policy
from models.tables import (
    dead_letters,
    finding_rows,
    live_projection,
    progress,
    projections,
    sessions_closed,
)
from processor import postgres_rows, sql_rows
from processor.claim import (
    Claim,
    NotLiveError,
    ProjectionMissingError,
    Rules,
    advance,
    read_rules,
    take,
)
from processor.database import reading, writing
from processor.dead_letters import settled
from processor.findings import AFTER_CLOSE
from processor.forget import forgotten
from processor.postgres_claim import lock_live_projection, lock_progress
from processor.postgres_engine import is_postgres
from processor.sql_rows import PartitionBatch

IDS_MAX: Final = 500
"""Ids in one look-up; SQLite takes 32,766 values a statement."""

_NO_TURNS: Final = nullcontext()


class LiveSession(NamedTuple):
    """A live session as its row has it; `due_at`: the first T at which a tick must look at it."""

    session_id: str
    state: bytes
    due_at: int


class Restored(NamedTuple):
    """Where the last checkpoint of a partition left it, and the rules to go on by. `forgotten`:
    the sessions whose rows name nobody."""

    rules: Rules
    next_offset: int
    tick: int | None
    live: list[LiveSession]
    forgotten: frozenset[str] = frozenset()


class ClosedSession(NamedTuple):
    """A session that is closed for good, as far as events after its close can still change it."""

    session_id: str
    events_after_close_count: int
    finding_count: int
    first_ts: int | None
    detail: str | None


class Projection:
    """One projection of one database. Used by one thread.

    One that `follows_live` is the live processor's: it is to go on with whichever projection is
    live (`follow`). Every method: `DatabaseAwayError`, `DatabaseDamagedError`.
    """

    def __init__(
        self,
        engine: Engine,
        projection: int,
        *,
        follows_live: bool = False,
        turn: AbstractContextManager[object] = _NO_TURNS,
    ) -> None:
        """`turn`: what is held while the projection's partitions are written."""
        self._engine = engine
        self._turn = turn
        self.projection = projection
        self._follows_live = follows_live
        self._rows = postgres_rows if is_postgres(engine) else sql_rows

    def follow(self) -> None:
        """Becomes the projection that is live now. Errors: `ProjectionMissingError`."""
        if self._follows_live:
            self.projection = find_live_projection(self._engine)

    def must_be_current(self) -> None:
        """Errors: `NotLiveError`, if it follows the live projection and is not that one now."""
        if self._follows_live and find_live_projection(self._engine) != self.projection:
            raise NotLiveError(self.projection)

    def rules(self) -> Rules:
        """Errors: `ProjectionMissingError`, `RulesError`."""
        with reading(self._engine) as connection:
            return read_rules(connection, self.projection)

    def claim(self, partition: int, log: tuple[str, str], start_offset: int) -> Claim:
        """`claim_all` of one partition."""
        (claim,) = self.claim_all(log, {partition: start_offset})
        return claim

    def claim_all(self, log: tuple[str, str], start_offsets: Mapping[int, int]) -> list[Claim]:
        """Makes this processor the partitions' owner, for every other one to see, and returns the
        proofs. `log`: the log's name and id; a new projection begins at the start offsets.

        Errors: `NotLiveError`, `OtherLogError`, `ProjectionMissingError`, `RulesError`.
        """
        self.must_be_current()  # or one of other rules is stood by for that was left long since
        with self._turn, writing(self._engine) as connection:
            read_rules(connection, self.projection)
            if is_postgres(connection):
                lock_progress(connection, self.projection, log[1], start_offsets)
            return take(connection, self.projection, log, start_offsets)

    def restore(self, claim: Claim) -> Restored:
        """`restore_all` of one partition."""
        (restored,) = self.restore_all([claim])
        return restored

    def restore_all(self, claims: Sequence[Claim]) -> list[Restored]:
        """What each partition's last checkpoint left. Only after the claim is committed: what an
        earlier owner still writes would be missed otherwise; and only then it is certain that a
        promotion that comes now finds the claim and raises its version.

        Errors: `NotLiveError`, `ProjectionMissingError`, `RulesError`.
        """
        partitions = [claim.partition for claim in claims]
        places = (
            select(progress.c.log_partition, progress.c.next_offset, progress.c.tick)
            .where(progress.c.projection == self.projection)
            .where(progress.c.log_partition.in_(partitions))
        )
        live: dict[int, list[LiveSession]] = {partition: [] for partition in partitions}
        with reading(self._engine) as connection:
            # Before the rules: without its places the projection is being dropped, and they say so.
            left = {row.log_partition: row for row in connection.execute(places)}
            rules = read_rules(connection, self.projection)
            if self._follows_live and not rules.is_live:
                raise NotLiveError(self.projection)
            for partition, *row in self._rows.read_live(connection, self.projection, partitions):
                live[partition].append(LiveSession(*row))
            forgotten_ids = forgotten(connection)
        return [
            Restored(rules, left[p].next_offset, left[p].tick, live[p], forgotten_ids)
            for p in partitions
        ]

    def closed_sessions(self, session_ids: Sequence[str]) -> list[ClosedSession]:
        """Those of the ids whose sessions are closed for good."""
        if not session_ids:
            return []
        after_close = and_(
            finding_rows.c.projection == sessions_closed.c.projection,
            finding_rows.c.session_id == sessions_closed.c.session_id,
            finding_rows.c.code == AFTER_CLOSE,
        )
        found = (
            select(
                sessions_closed.c.session_id,
                sessions_closed.c.events_after_close_count,
                sessions_closed.c.finding_count,
                finding_rows.c.first_ts,
                finding_rows.c.detail,
            )
            .select_from(sessions_closed.outerjoin(finding_rows, after_close))
            .where(sessions_closed.c.projection == self.projection)
            .where(_is_one_of_ids(self._engine))
        )
        closed = []
        with reading(self._engine) as connection:
            for at in range(0, len(session_ids), IDS_MAX):
                rows = connection.execute(found, {"ids": session_ids[at : at + IDS_MAX]})
                closed += [ClosedSession(*row) for row in rows]
        return closed

    def checkpoint(self, topic: str, batches: Sequence[PartitionBatch]) -> list[Claim]:
        """Writes all of the batches or nothing; returns the claims for the next checkpoint.

        `topic`: what dead letters call the log.

        Errors: `StaleOwnerError`: nothing was written. `DatabaseAwayError`: it may have been, the
        caller must forget what it has and claim anew.
        """
        with ExitStack() as turn, writing(self._engine, locks_late=True) as connection:
            put_in_place = self._rows.stage(connection, self.projection, topic, batches)
            turn.enter_context(self._turn)
            claims = [
                advance(connection, self.projection, batch.claim, batch.next_offset, batch.tick)
                for batch in batches
            ]
            put_in_place()
        return claims

    def settled_letters(self, partition: int, offsets: Sequence[int]) -> set[int]:
        """Those of the offsets whose dead letters have been replayed or dropped."""
        with reading(self._engine) as connection:
            return settled(connection, partition, offsets)

    def known_dead_letters(self, partition: int, offsets: Sequence[int]) -> set[int]:
        """Those of the offsets that are dead letters of any projection of the database."""
        found = select(dead_letters.c.offset).where(dead_letters.c.log_partition == partition)
        known: set[int] = set()
        with reading(self._engine) as connection:
            for at in range(0, len(offsets), IDS_MAX):
                some = found.where(dead_letters.c.offset.in_(offsets[at : at + IDS_MAX]))
                known.update(connection.execute(some).scalars())
        return known

    def next_offsets(self) -> dict[int, int]:
        """How far each partition has been read, by partition."""
        place = select(progress.c.log_partition, progress.c.next_offset).where(
            progress.c.projection == self.projection
        )
        with reading(self._engine) as connection:
            return {row.log_partition: row.next_offset for row in connection.execute(place)}

    def read_by_all(self, partition: int) -> int:
        """The offset below which every projection of the database has read the partition."""
        lowest = select(func.min(progress.c.next_offset)).where(
            progress.c.log_partition == partition
        )
        with reading(self._engine) as connection:
            return int(connection.execute(lowest).scalar_one() or 0)


def _is_one_of_ids(engine: Engine) -> ColumnElement[bool]:
    """The parameter `ids` is a list: on PostgreSQL one value, so that the statement stays one."""
    session_id = sessions_closed.c.session_id
    if is_postgres(engine):
        return session_id == any_(bindparam("ids", type_=ARRAY(Text)))
    return session_id.in_(bindparam("ids", expanding=True))


def find_live_projection(engine: Engine) -> int:
    """The projection that readers see. Errors: `ProjectionMissingError`, `DatabaseAwayError`."""
    with reading(engine) as connection:
        live = connection.execute(select(live_projection.c.projection)).scalar()
    if live is None:
        raise ProjectionMissingError(None)
    return int(live)


def ensure_live_projection(engine: Engine, policy: Policy, now_ms: int) -> int:
    """The live projection; in a new database one is made, with this policy for good.

    Errors: `DatabaseAwayError`.
    """
    live = select(live_projection.c.projection)
    with writing(engine) as connection:
        found = connection.execute(live).scalar()
        if found is None and is_postgres(connection):
            lock_live_projection(connection)
            found = connection.execute(live).scalar()
        if found is not None:
            return int(found)
        first = 1
        create_projection(connection, first, policy, now_ms)
        connection.execute(insert(live_projection).values(id=1, projection=first))
        return first


def create_projection(
    connection: Connection,
    projection: int,
    policy: Policy,
    now_ms: int,
    scope: dict[str, Any] | None = None,
) -> None:
    """Makes a projection without rows, in the caller's transaction. `scope`: which part of the
    log's sessions it is made of; None for all of them."""
    connection.execute(
        insert(projections).values(
            projection=projection,
            policy=asdict(policy),
            fold_version=FOLD_VERSION,
            created_at=now_ms,
            scope=scope,
        )
    )
    if is_postgres(connection):
        for statement in create_partitions(projection):
            connection.exec_driver_sql(statement)
