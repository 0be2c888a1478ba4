"""The right to write a partition's rows: taken by a claim, proved with every checkpoint.

On the record's way: before the first record of a partition and inside every checkpoint
(docs/architecture.md "Exactly once"). Imports `models` and `source`; never `ingest`.
"""

import uuid
from collections.abc import Mapping
from typing import Final, NamedTuple

from sqlalchemy import Connection, insert, select, update

from models.policy import FOLD_VERSION, Policy
from models.tables import live_projection, progress, projections
from processor.source import OtherLogError

DROPPED: Final = {"dropped": True}
"""The scope of a projection whose rows are being deleted: it is as good as gone."""


class Rules(NamedTuple):
    """What a projection's row says: the policy its rows are made by, and whether readers see it."""

    policy: Policy
    is_live: bool


class Claim(NamedTuple):
    """Proof of ownership: a checkpoint succeeds only while the row still says the same."""

    partition: int
    owner: str
    version: int


class StaleOwnerError(Exception):
    """Another processor has claimed the partition since: nothing of the checkpoint was written."""

    def __init__(self, partition: int) -> None:
        super().__init__(f"another processor has claimed partition {partition}")
        self.partition = partition


class ProjectionMissingError(Exception):
    """There is no such projection, or none is live."""

    def __init__(self, projection: int | None) -> None:
        super().__init__(projection)
        self.projection = projection

    def __str__(self) -> str:
        if self.projection is None:
            return "the database has no live projection; run `bookended migrate`"
        return (
            f"the database has no projection {self.projection}; `bookended projections list` shows "
            "those that there are"
        )


class NotLiveError(Exception):
    """Another projection has been made the live one: the processor goes on with that."""

    def __init__(self, projection: int) -> None:
        super().__init__(f"projection {projection} is not the live one any more")
        self.projection = projection


class RulesError(Exception):
    """The projection's rows are made by rules that this release does not have: it stands by."""

    def __init__(self, projection: int, fold_version: int) -> None:
        super().__init__(projection, fold_version)
        self.projection = projection
        self.fold_version = fold_version

    def __str__(self) -> str:
        made = (
            f"projection {self.projection} is made by rules of version {self.fold_version}, this "
            f"release has version {FOLD_VERSION}"
        )
        if self.fold_version > FOLD_VERSION:
            return f"{made}; run the release that made it, or go back with `bookended rollback`"
        return (
            f"{made}; run `bookended rebuild` with this release, then `bookended promote` with the "
            "number that it says, and leave the release that made this one running until then"
        )


def read_rules(connection: Connection, projection: int) -> Rules:
    """Errors: `ProjectionMissingError`, `RulesError`."""
    row = connection.execute(
        select(projections.c.policy, projections.c.fold_version, projections.c.scope).where(
            projections.c.projection == projection
        )
    ).first()
    if row is None or row.scope == DROPPED:
        raise ProjectionMissingError(projection)
    if row.fold_version != FOLD_VERSION:
        raise RulesError(projection, row.fold_version)
    live = connection.execute(select(live_projection.c.projection)).scalar()
    return Rules(Policy(**row.policy), live == projection)


def take(
    connection: Connection,
    projection: int,
    log: tuple[str, str],
    start_offsets: Mapping[int, int],
) -> list[Claim]:
    """Makes the caller the owner of the partitions, each from its start offset if nobody ever was.

    `log` is the log's name and id. Errors: `OtherLogError`.
    """
    log_name, log_id = log
    mine = progress.c.projection == projection, progress.c.log_partition.in_([*start_offsets])
    found = select(progress.c.log_partition, progress.c.version, progress.c.log_id).where(*mine)
    versions: dict[int, int] = {}
    for partition, version, stored_log_id in connection.execute(found):
        if stored_log_id != log_id:
            raise OtherLogError(log_name, partition, stored_log_id, log_id)
        versions[partition] = version
    owner = str(uuid.uuid4())
    connection.execute(
        update(progress).where(*mine).values(owner=owner, version=progress.c.version + 1)
    )
    new = [
        {
            "projection": projection,
            "log_partition": partition,
            "owner": owner,
            "version": 1,
            "next_offset": start_offset,
            "log_id": log_id,
        }
        for partition, start_offset in start_offsets.items()
        if partition not in versions
    ]
    if new:
        connection.execute(insert(progress), new)
    return [Claim(partition, owner, versions.get(partition, 0) + 1) for partition in start_offsets]


def advance(
    connection: Connection, projection: int, claim: Claim, next_offset: int, tick: int | None
) -> Claim:
    """Moves the partition's progress if the claim still holds. Errors: `StaleOwnerError`."""
    mine = progress.c.projection == projection, progress.c.log_partition == claim.partition
    still_owner = (progress.c.owner == claim.owner, progress.c.version == claim.version)
    version = claim.version + 1
    moved = connection.execute(
        update(progress)
        .where(*mine, *still_owner)
        .values(version=version, next_offset=next_offset, tick=tick)
    )
    if moved.rowcount == 0:
        raise StaleOwnerError(claim.partition)
    return claim._replace(version=version)
