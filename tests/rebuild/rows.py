"""Rows of one projection, to be compared with another's; rebuilds of a `World`. Only for tests."""

import threading
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from models.policy import DEFAULT_POLICY, Policy
from models.tables import live_projection, metadata, projections
from processor.archive import PartitionArchive, read_archive
from processor.archive_reader import read_archived
from processor.archiver import ArchiveBounds, Archiver
from processor.batch import NO_GAPS, Gaps, child_rows, fold_grouped, session_row
from processor.embedded_source import EmbeddedSource
from processor.projection import Projection
from processor.projections import create_candidate, places
from processor.rebuild import Part, RebuildBounds, Target, batches_of, rebuild_part
from tests.contract.tables import in_order
from tests.processor_shell.world import World

LEFT_OUT = {"projection", "owner", "version", "state", "due_at", "created_at", "position"}
_OF_NO_PROJECTION = {live_projection.name, projections.name}
SMALL = RebuildBounds(
    read_records_max=25,
    archive_records_min=25,
    checkpoint_events_max=40,
    sessions_min=3,
    tick_sessions_max=3,
)

Rows = dict[str, list[dict[str, Any]]]


def rows_of(engine: Engine, projection: int) -> Rows:
    """All rows of a projection that say what was counted, by table."""
    with engine.connect() as connection:
        return {
            table.name: [
                {name: value for name, value in row._mapping.items() if name not in LEFT_OUT}
                for row in connection.execute(
                    in_order(table).where(table.c.projection == projection)
                )
            ]
            for table in metadata.sorted_tables
            if "projection" in table.c and table.name not in _OF_NO_PROJECTION
        }


def archive_of(
    world: World, root: Path, records_max: int = 50, *, accepts_gap: bool = False
) -> PartitionArchive:
    """All that the log has now, in small files."""
    source = EmbeddedSource(world.log_path)
    bounds = ArchiveBounds(records_max=records_max)
    Archiver(source, root, bounds, lambda: 0.0, accepts_gap=accepts_gap).run(
        threading.Event(), follow=False, progress=lambda _: None
    )
    source.close()
    (partition,) = read_archive(root)
    return partition


def target_of(engine: Engine, projection: int = 1) -> Target:
    """Where a projection is."""
    with engine.connect() as connection:
        place = places(connection, projection)[0]
    return Target(place.next_offset, place.tick)


def rebuild(
    world: World,
    candidate: int,
    archive: PartitionArchive | None = None,
    *,
    from_log: bool = True,
    wanted: frozenset[str] | None = None,
    target: Target | None = None,
    bounds: RebuildBounds = SMALL,
) -> None:
    """Fills a candidate up to where the live projection is."""
    source = EmbeddedSource(world.log_path)
    part = Part(
        0,
        (source.name(), source.log_id()),
        source.topic(),
        1,
        target or target_of(world.engine),
        wanted,
    )
    read = batches_of(archive, source if from_log else None, 0, bounds)
    try:
        rebuild_part(Projection(world.engine, candidate), read, part, bounds, lambda *_: None)
    finally:
        source.close()


def candidate_of(world: World, policy: Policy | None = None) -> int:
    return create_candidate(world.engine, policy or world.policy, None, world.now_ms)


def assert_grouped_gives(
    engine: Engine,
    projection: int,
    archive: PartitionArchive,
    policy: Policy = DEFAULT_POLICY,
    gaps: Gaps = NO_GAPS,
) -> None:
    """A batch job's fold of the archive, session by session, gives the projection's rows."""
    placed = [one for batch in read_archived(archive, 1) for one in batch.records]
    placed.sort(key=lambda one: one.record.session_id)  # stable: in log order within a session
    summaries = list(fold_grouped(placed, policy, target_of(engine, projection).tick, gaps))
    rows = rows_of(engine, projection)
    sessions = {r["session_id"]: r for r in rows["sessions_live"] + rows["sessions_closed"]}
    starts = {row["session_id"]: row for row in rows["session_starts"]}
    assert len(summaries) == len(sessions)
    for summary in summaries:
        row = session_row(summary)
        stored = {**starts.get(summary.session_id, {}), **sessions[summary.session_id]}
        for name, value in row.items():
            given = list(value) if isinstance(value, tuple) else value
            assert given == stored.get(name), name
    for table, name in (("ads", "ad_rows"), ("findings", "finding_rows"), ("spans", "span_rows")):
        made = [row for summary in summaries for row in child_rows(summary, table)]
        key = ("session_id", *list(rows[name][0])[1:2])
        assert sorted(made, key=lambda r: [r[k] for k in key]) == sorted(
            rows[name], key=lambda r: [r[k] for k in key]
        )


def live_number(engine: Engine) -> int:
    with engine.connect() as connection:
        number: int = connection.execute(select(live_projection.c.projection)).scalar_one()
        return number
