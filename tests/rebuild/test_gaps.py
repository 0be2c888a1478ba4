"""A gap that was accepted is part of a rebuild too: the same findings, the same `log_gaps`."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from models.records import AcceptedGap, Record
from processor.archive import read_archive
from processor.log_gaps import (
    Range,
    UnacceptedGapError,
    accepted_gaps,
    archived_gaps,
    gaps_to_cross,
)
from tests.processor_shell.test_exactly_once import crowd
from tests.processor_shell.world import SMALL, World
from tests.rebuild.rows import assert_grouped_gives, rows_of
from tests.rebuild.test_commands import run


class Site:
    """A log whose processor was away for too long, and the commands of its operator."""

    def __init__(self, world: World) -> None:
        self.world = world
        records = sorted(crowd(3, 30), key=lambda record: record.events[0].received_at)
        at = len(records) // 2
        self.lost, self.after = records[at : at + 20], records[at + 20 :]
        self.process(records[:at])
        self.gap_at = self.world.log_records()[-1].offset + 1

    def process(self, records: Sequence[Record]) -> None:
        self.world.append(*records)
        self.world.now_ms = max(record.events[0].received_at for record in records) + 70_000
        self.world.process()

    def lose_records(self) -> None:
        """They are gone before anybody has read them; others come."""
        self.world.append(*self.lost)
        end = self.world.log_records()[-1].offset
        self.world.log.execute('DELETE FROM log_records WHERE "offset" <= ?', (end,))

    def go_on(self) -> None:
        self.world.settings = replace(SMALL, accepts_gaps=True)
        self.process(self.after)

    def run(self, *arguments: str) -> str:
        database = f"sqlite:///{self.world.database_path}"
        log = f"sqlite:///{self.world.log_path}"
        place = ["--database", database] if arguments[0] == "rebuild" else []
        done = run(self.world.folder, *arguments, "--log", log, *place)
        return done.stdout + done.stderr

    def rebuild(self, *arguments: str) -> str:
        return self.run("rebuild", "--archive", "archive", *arguments)

    def archive(self, *arguments: str) -> str:
        return self.run("archive", "--to", "archive", *arguments)

    def assert_same(self, candidate: int) -> None:
        live = rows_of(self.world.engine, 1)
        rebuilt = rows_of(self.world.engine, candidate)
        live.pop("closes_outbox"), rebuilt.pop("closes_outbox")
        assert rebuilt == live
        assert len(live["log_gap_rows"]) == 1
        assert [row for row in live["finding_rows"] if row["code"] == "log_gap"]


@pytest.fixture
def site(world: World) -> Site:
    return Site(world)


def test_archive_and_live_projection_crossed_the_same_gap(site: Site) -> None:
    site.archive()
    site.lose_records()
    site.go_on()
    assert "is gone" not in site.archive("--accept-gap")
    told = site.rebuild("--archive-only")
    assert f"Records {site.gap_at} to {site.gap_at + 19} of partition 0 are gone" in told
    assert "Projection 2 holds all sessions" in told
    site.assert_same(2)
    assert "Projection 3 holds all sessions" in site.rebuild()
    site.assert_same(3)
    (archive,) = read_archive(site.world.folder / "archive")
    with site.world.engine.connect() as connection:
        crossed = accepted_gaps(connection, 2)
    assert_grouped_gives(site.world.engine, 2, archive, gaps=crossed)


def test_the_live_projection_crossed_it_alone(site: Site) -> None:
    """The archive ends where the gap begins, the log begins where it ends."""
    site.archive()
    site.lose_records()
    assert "Projection 2 holds all sessions" in site.rebuild(), "the live one is not beyond it yet"
    site.go_on()
    assert "Projection 3 holds all sessions" in site.rebuild()
    site.assert_same(3)


def test_a_candidate_that_was_begun_before_it_goes_on_behind_it(site: Site) -> None:
    site.run("rebuild")
    site.lose_records()
    site.go_on()
    assert "Projection 2 holds all sessions" in site.run("rebuild", "--into", "2")
    site.assert_same(2)


def test_the_archive_crossed_it_alone(site: Site) -> None:
    """The live projection has read those records: the rebuild says that it could not."""
    site.archive()
    site.process(site.lost)
    end = site.world.log_records()[-1].offset
    site.world.append(*site.after)
    site.world.log.execute('DELETE FROM log_records WHERE "offset" <= ?', (end,))
    site.world.process()
    told = site.rebuild()
    assert f"records {site.gap_at} to {end} of partition 0 are gone" in told
    assert "archived to" in told
    assert "archive --accept-gap" in told
    site.archive("--accept-gap")
    (archive,) = read_archive(site.world.folder / "archive")
    assert "holds all sessions" in site.rebuild()
    found = rows_of(site.world.engine, 3)
    (gap,) = found["log_gap_rows"]
    assert (gap["first_offset"], gap["last_offset"]) == (site.gap_at, end)
    touched = [row for row in found["finding_rows"] if row["code"] == "log_gap"]
    assert len(touched) == gap["session_count"] > 0
    assert gap["read_until"] is not None
    assert archive.entries[1].file is None
    gaps = {0: archived_gaps(archive)}
    assert_grouped_gives(site.world.engine, 3, archive, gaps=gaps)


A, B = AcceptedGap(10, 19, 5, 6), AcceptedGap(20, 24, 7, 8)


@pytest.mark.parametrize(
    ("whole", "present", "accepted", "expected"),
    [
        (Range(0, 30), [Range(0, 30)], [A], []),
        (Range(0, 30), [Range(0, 10), Range(20, 30)], [A], [A]),
        (Range(0, 30), [Range(0, 10), Range(25, 30)], [A, B], [A, B]),
        (Range(0, 15), [Range(0, 10), Range(20, 30)], [A], [A._replace(last_offset=14)]),
        (Range(12, 30), [Range(0, 10), Range(20, 30)], [A], [A._replace(first_offset=12)]),
        (Range(0, 30), [Range(0, 12), Range(18, 30)], [A], [AcceptedGap(12, 17, 5, 6)]),
        (Range(40, 30), [Range(0, 10)], [], []),
    ],
)
def test_only_what_is_gone_is_crossed(
    whole: Range, present: list[Range], accepted: list[AcceptedGap], expected: list[AcceptedGap]
) -> None:
    assert gaps_to_cross(whole, present, [accepted]) == expected


@pytest.mark.parametrize(
    ("present", "ways", "missing"),
    [
        ([Range(0, 10)], [[]], Range(10, 30)),
        ([Range(5, 30)], [[A]], Range(0, 5)),
        ([Range(0, 8), Range(20, 30)], [[A]], Range(8, 10)),
        ([Range(0, 10), Range(25, 30)], [[], [A]], Range(20, 25)),
    ],
)
def test_what_nobody_accepted_is_named(
    present: list[Range], ways: list[list[AcceptedGap]], missing: Range
) -> None:
    with pytest.raises(UnacceptedGapError) as caught:
        gaps_to_cross(Range(0, 30), present, ways)
    assert caught.value.gap == missing


def test_the_first_way_that_has_an_offset_counts() -> None:
    wide = AcceptedGap(0, 29, None, None)
    crossed = gaps_to_cross(Range(0, 30), [], [[A], [wide]])
    assert crossed == [
        AcceptedGap(0, 9, None, None),
        A,
        AcceptedGap(20, 29, None, None),
    ]
