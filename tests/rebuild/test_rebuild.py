"""A rebuild gives the live projection's rows, whatever it reads from and whatever stops it."""

from pathlib import Path

import pytest
from sqlalchemy import delete

from commands.known import known_failure
from models.policy import Policy
from models.tables import dead_letters
from processor.archive import ArchiveDamagedError
from processor.claim import StaleOwnerError
from processor.dead_letters import Wanted, drop
from processor.projection import Projection
from processor.rebuild import UndecodableInRebuildError
from tests.processor_shell.eventful import write_eventful
from tests.processor_shell.faults import Killed
from tests.processor_shell.test_exactly_once import crowd
from tests.processor_shell.world import World, copy_of
from tests.rebuild.rows import (
    archive_of,
    candidate_of,
    rebuild,
    rows_of,
)


@pytest.fixture
def filled(world: World) -> World:
    """Sessions of all kinds, a dead letter, closes by ticks: all processed."""
    write_eventful(world)
    records = crowd(3, 12)
    world.append(*records)
    world.now_ms = max(record.events[0].received_at for record in records)
    world.process()
    assert rows_of(world.engine, 1)["sessions_closed"]
    return world


def assert_same(world: World, candidate: int) -> None:
    live, rebuilt = rows_of(world.engine, 1), rows_of(world.engine, candidate)
    live.pop("closes_outbox"), rebuilt.pop("closes_outbox")
    assert rebuilt == live


def test_from_the_log(filled: World) -> None:
    candidate = candidate_of(filled)
    rebuild(filled, candidate)
    assert_same(filled, candidate)


def test_from_the_archive(filled: World, tmp_path: Path) -> None:
    archive = archive_of(filled, tmp_path / "archive")
    candidate = candidate_of(filled)
    rebuild(filled, candidate, archive, from_log=False)
    assert_same(filled, candidate)


def test_from_the_archive_and_then_the_log(filled: World, tmp_path: Path) -> None:
    archive_of(filled, tmp_path / "archive")
    filled.append(*crowd(4, 4))
    filled.process()
    archive = archive_of(filled, tmp_path / "other")
    archive.entries = archive.entries[: len(archive.entries) // 2]  # it ends within the log
    assert archive.next_offset is not None
    filled.log.execute('DELETE FROM log_records WHERE "offset" < ?', (archive.next_offset,))
    candidate = candidate_of(filled)
    rebuild(filled, candidate, archive)
    assert_same(filled, candidate)


class _Dying:
    """Lets a projection's checkpoints through, up to one that kills."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, dies_at: int) -> None:
        self.count = 0
        checkpoint = Projection.checkpoint

        def dying(projection: Projection, *arguments: object) -> object:
            self.count += 1
            if self.count == dies_at:
                raise Killed
            return checkpoint(projection, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(Projection, "checkpoint", dying)


@pytest.mark.parametrize("dies_at", [1, 2, 5])
def test_a_killed_rebuild_goes_on_where_it_was(
    filled: World, dies_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = candidate_of(filled)
    with monkeypatch.context() as patched:
        _Dying(patched, dies_at)
        with pytest.raises(Killed):
            rebuild(filled, candidate)
    rebuild(filled, candidate)
    assert_same(filled, candidate)


def test_a_rebuild_catches_up_with_what_came_since(filled: World) -> None:
    candidate = candidate_of(filled)
    rebuild(filled, candidate)
    records = crowd(5, 3)
    filled.append(*records)
    filled.process()
    rebuild(filled, candidate)
    assert_same(filled, candidate)


@pytest.mark.parametrize(
    "policy",
    [Policy(unclosed_break="ad"), Policy(break_gap="content"), Policy(stall_detection="off")],
    ids=["unclosed_break", "break_gap", "stall_detection"],
)
def test_another_policy_gives_the_rows_of_a_fold_under_it(
    filled: World, policy: Policy, tmp_path: Path
) -> None:
    candidate = candidate_of(filled, policy)
    rebuild(filled, candidate)
    other = copy_of(filled, tmp_path / "other")
    other.policy = policy
    other.start_anew()
    other.process()
    folded, rebuilt = rows_of(other.engine, 1), rows_of(filled.engine, candidate)
    for name in ("sessions_closed", "sessions_live", "ad_rows", "ad_break_rows", "finding_rows"):
        assert rebuilt[name] == folded[name]
    assert rebuilt["sessions_closed"] != rows_of(filled.engine, 1)["sessions_closed"]
    other.close()


def test_a_part_has_the_rows_of_its_sessions_and_no_others(filled: World) -> None:
    rows = rows_of(filled.engine, 1)["sessions_closed"]
    wanted = frozenset(row["session_id"] for row in rows[::3])
    candidate = candidate_of(filled)
    rebuild(filled, candidate, wanted=wanted)
    rebuilt = rows_of(filled.engine, candidate)["sessions_closed"]
    assert rebuilt == [row for row in rows if row["session_id"] in wanted]


def test_a_record_that_only_the_rebuild_cannot_read_ends_it(filled: World) -> None:
    with filled.engine.begin() as connection:
        connection.execute(delete(dead_letters))
    with pytest.raises(UndecodableInRebuildError, match="no dead letter of the live"):
        rebuild(filled, candidate_of(filled))


def test_a_damaged_archive_ends_it_before_its_records_are_folded(
    filled: World, tmp_path: Path
) -> None:
    archive = archive_of(filled, tmp_path / "archive")
    entry = archive.entries[1]
    path = archive.path / (entry.file or "")
    path.write_bytes(path.read_bytes()[:-3])
    candidate = candidate_of(filled)
    with pytest.raises(ArchiveDamagedError, match="cut short"):
        rebuild(filled, candidate, archive, from_log=False)
    path.unlink()
    with pytest.raises(ArchiveDamagedError, match="missing"):
        rebuild(filled, candidate, archive, from_log=False)


def test_two_rebuilds_of_one_candidate_do_not_mix(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second takes over where the first one is, and comes to its end; the first is told so."""
    candidate = candidate_of(filled)
    checkpoint = Projection.checkpoint
    written = []

    def interrupted(projection: Projection, *arguments: object) -> object:
        written.append(arguments)
        if len(written) == 3:
            rebuild(filled, candidate)
        return checkpoint(projection, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Projection, "checkpoint", interrupted)
        with pytest.raises(StaleOwnerError) as taken:
            rebuild(filled, candidate)
    assert_same(filled, candidate)
    assert len(written) > 4
    told = known_failure(taken.value)
    assert told is not None
    assert told.what == "another process goes on with partition 0 of this projection"


def test_a_letter_that_was_dropped_is_passed_over(filled: World) -> None:
    with filled.engine.begin() as connection:
        assert drop(connection, 1, Wanted(), 10) == 1
    candidate = candidate_of(filled)
    rebuild(filled, candidate)
    assert_same(filled, candidate)
