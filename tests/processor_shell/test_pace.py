"""The live loop: when a checkpoint is due."""

from dataclasses import replace
from itertools import pairwise

import pytest

from processor.claim import Claim
from processor.projection import Projection
from processor.sql_rows import PartitionBatch
from tests.contract.tables import place
from tests.processor_shell.world import SMALL, World, event


def test_a_claimed_partition_is_written_as_soon_as_there_is_anything(world: World) -> None:
    """Its readers have waited since its last owner went: not for an interval more."""
    world.settings = replace(SMALL, checkpoint_interval_s=1e6)
    places = []

    def meddle(polls: int) -> None:
        if polls in (3, 5):  # the first round of all has been, with nothing to write
            world.append_events(polls, event("play", polls))
        if polls in (5, 7):
            places.append(place(world.engine)[0])

    world.process(meddle)
    assert places == [2, 2]


def test_checkpoints_begin_an_interval_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long one takes, as long as that is not most of the interval."""
    world.settings = replace(SMALL, checkpoint_interval_s=1.0, checkpoint_events_max=1_000)
    begun: list[float] = []
    write = Projection.checkpoint

    def take_time(projection: Projection, topic: str, batches: list[PartitionBatch]) -> list[Claim]:
        begun.append(world.steady_s)
        world.steady_s += 0.4 if len(begun) < 6 else 0.9
        return write(projection, topic, batches)

    def meddle(polls: int) -> None:
        world.steady_s += 0.05
        if len(begun) < 10:
            world.append_events(polls, event("play", polls))

    monkeypatch.setattr(world, "steady", lambda: world.steady_s)
    monkeypatch.setattr(Projection, "checkpoint", take_time)
    world.process(meddle)
    apart_s = [later - earlier for earlier, later in pairwise(begun[1:10])]
    assert all(1.0 <= apart < 1.15 for apart in apart_s[:4]), apart_s
    assert all(1.4 <= apart < 1.55 for apart in apart_s[4:]), apart_s


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """`next_offset` of each checkpoint."""
    seen: list[int] = []
    write = Projection.checkpoint

    def checkpoint(
        projection: Projection, topic: str, batches: list[PartitionBatch]
    ) -> list[Claim]:
        seen.append(batches[0].next_offset)
        return write(projection, topic, batches)

    monkeypatch.setattr(Projection, "checkpoint", checkpoint)
    return seen


BEHIND = replace(
    SMALL,
    checkpoint_events_max=10,
    poll_records_max=5,
    behind_ms=10_000,
    behind_interval_s=1e6,
    settled_after_s=0,
)


def test_far_behind_checkpoints_are_larger(world: World, places: list[int]) -> None:
    """What arrived long ago, and much of it; the last of it does not wait."""
    world.settings = replace(BEHIND, behind_events_factor=4)
    written: list[int] = []
    world.append_events(1, event("play", 0), *(event("ping", 10 * n) for n in range(1, 200)))
    world.now_ms = event("ping", 2_000).received_at + BEHIND.behind_ms
    world.process(lambda _: written.append(place(world.engine)[0]))
    # The first one is due at once, and only behind it the log is looked at.
    assert places == [6, 46, 86, 126, 166, 201]
    assert written[-1] == 201  # before it is stopped
    assert world.content() == world.clean()[0]


def test_checkpoints_are_not_larger_while_partitions_change_hands(
    world: World, places: list[int]
) -> None:
    """What is not written of a partition that goes, its next owner folds again."""
    world.settings = replace(BEHIND, settled_after_s=8)  # with each look 0.4 s go by
    world.append_events(1, event("play", 0), *(event("ping", 10 * n) for n in range(1, 200)))
    world.now_ms = event("ping", 2_000).received_at + BEHIND.behind_ms
    world.process()
    apart = [later - earlier for earlier, later in pairwise(places)]
    assert apart[:4] == [10, 10, 10, 10]
    assert 40 in apart


def test_far_behind_sessions_are_bounded(world: World, places: list[int]) -> None:
    """However few events each has, memory does not fill with those that are over."""
    world.settings = replace(BEHIND, behind_events_factor=1_000, behind_sessions_max=15)
    for number in range(1, 101):
        world.append_events(number, event("play", number), event("sessionEnd", number + 0.5))
    world.now_ms = event("ping", 110).received_at + BEHIND.behind_ms
    world.process()
    assert places[:6] == [6, 36, 66, 96, 126, 156]
    assert world.content() == world.clean()[0]
