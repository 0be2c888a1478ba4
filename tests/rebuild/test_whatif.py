"""Totals under other rules, from the archive alone, are the sums over the rows of a rebuild."""

from pathlib import Path

import pytest

from models.policy import DEFAULT_POLICY, Policy
from processor.archive_reader import read_archived
from processor.batch import child_rows, fold_grouped, session_row
from processor.whatif import SUMMED, compare_policies
from tests.processor_shell.test_exactly_once import crowd
from tests.processor_shell.world import World
from tests.rebuild.rows import archive_of, candidate_of, rebuild, rows_of, target_of

AD = Policy(unclosed_break="ad", break_gap="content", stall_detection="off")


@pytest.fixture
def filled(world: World) -> World:
    records = crowd(3, 25)
    world.append(*records)
    world.now_ms = max(record.events[0].received_at for record in records)
    world.process()
    return world


def test_totals_are_those_of_a_rebuild(filled: World, tmp_path: Path) -> None:
    archive = archive_of(filled, tmp_path / "archive")
    until = target_of(filled.engine).tick
    batches = (batch.records for batch in read_archived(archive, 1))
    documented, other = compare_policies(batches, (DEFAULT_POLICY, AD), until)
    candidate = candidate_of(filled, AD)
    rebuild(filled, candidate)
    for totals, projection in ((documented, 1), (other, candidate)):
        rows = rows_of(filled.engine, projection)
        sessions = rows["sessions_live"] + rows["sessions_closed"]
        assert totals.sessions == len(sessions) == 25
        left_out = ("events_after_close_count", "finding_count")  # of closed sessions, see `take`
        for name in SUMMED:
            if name not in left_out:
                assert totals.sums[name] == sum(row[name] for row in sessions), name


@pytest.mark.parametrize("policy", [DEFAULT_POLICY, AD])
def test_grouped_records_give_the_rows_of_the_processor(
    filled: World, policy: Policy, tmp_path: Path
) -> None:
    candidate = candidate_of(filled, policy)
    rebuild(filled, candidate)
    archive = archive_of(filled, tmp_path / "archive")
    placed = [one for batch in read_archived(archive, 1) for one in batch.records]
    placed.sort(key=lambda one: one.record.session_id)  # stable: in log order within a session
    summaries = list(fold_grouped(placed, policy, target_of(filled.engine).tick))
    rows = rows_of(filled.engine, candidate)
    sessions = {r["session_id"]: r for r in rows["sessions_live"] + rows["sessions_closed"]}
    starts = {row["session_id"]: row for row in rows["session_starts"]}
    assert len(summaries) == len(sessions)
    for summary in summaries:
        row = session_row(summary)
        stored = {**starts.get(summary.session_id, {}), **sessions[summary.session_id]}
        for name, value in row.items():
            expected = stored.get(name)
            given = list(value) if isinstance(value, tuple) else value
            assert given == expected, name
    for table, name in (("ads", "ad_rows"), ("findings", "finding_rows"), ("spans", "span_rows")):
        made = [row for summary in summaries for row in child_rows(summary, table)]
        key = ("session_id", *list(rows[name][0])[1:2])
        assert sorted(made, key=lambda r: [r[k] for k in key]) == sorted(
            rows[name], key=lambda r: [r[k] for k in key]
        )
