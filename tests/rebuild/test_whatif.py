"""Totals under other rules, from the archive alone, are the sums over the rows of a rebuild."""

from pathlib import Path

import pytest

from models.policy import DEFAULT_POLICY, Policy
from models.rows import SUMMED
from processor.archive_reader import read_archived
from processor.whatif import compare_policies
from tests.processor_shell.test_exactly_once import crowd
from tests.processor_shell.world import World
from tests.rebuild.rows import (
    archive_of,
    assert_grouped_gives,
    candidate_of,
    rebuild,
    rows_of,
    target_of,
)

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
        for name in SUMMED:
            assert totals.sums[name] == sum(row[name] for row in sessions), name


@pytest.mark.parametrize("policy", [DEFAULT_POLICY, AD])
def test_grouped_records_give_the_rows_of_the_processor(
    filled: World, policy: Policy, tmp_path: Path
) -> None:
    candidate = candidate_of(filled, policy)
    rebuild(filled, candidate)
    archive = archive_of(filled, tmp_path / "archive")
    assert_grouped_gives(filled.engine, candidate, archive, policy)
