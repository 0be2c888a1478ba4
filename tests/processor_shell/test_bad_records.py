"""The live loop: records that break the contract."""

import threading
from dataclasses import replace

import pytest

from processor.memory import JUDGED_RECORDS, BadPartitionError
from tests.contract.tables import everything
from tests.processor_shell.world import SMALL, World, event


def test_bad_records_are_kept_and_the_rest_goes_on(world: World) -> None:
    world.append_events(1, event("play", 0))
    world.append_bytes("x", b"\x00junk", event("ping", 1).received_at)
    world.append_events(1, event("ping", 2))
    world.process()
    (letter,) = world.content()["dead_letters"]
    assert (letter["offset"], letter["key"], letter["value"]) == (2, b"x", b"\x00junk")
    assert letter["topic"] == "log.db"
    assert "C3 01" in letter["reason"]
    assert world.sample("dead_letters_total") == 1
    assert world.sample("records_total") == 3
    assert world.content()["sessions_live"][0]["event_count"] == 2


def test_bad_records_among_many_of_a_session_are_kept(world: World) -> None:
    """Such a poll is folded session by session."""
    world.settings = replace(SMALL, poll_records_max=100)
    for number in range(10):
        world.append_events(1, event("play" if number == 0 else "ping", 10 * number))
        if number == 5:
            world.append_bytes("x", b"\x00junk", event("ping", 55).received_at)
        world.append_events(1, *[event("ping", 10 * number)] * (number == 7))
    world.process()
    (letter,) = world.content()["dead_letters"]
    assert (letter["offset"], letter["key"], letter["value"]) == (7, b"x", b"\x00junk")
    assert world.sample("records_total") == 12
    assert world.sample("events_total") == 11
    assert world.sample("duplicate_events_total") == 1
    assert world.content() == world.clean()[0]


def test_a_partition_of_bad_records_stops_the_processor(world: World) -> None:
    world.settings = replace(SMALL, checkpoint_events_max=10**9, poll_records_max=JUDGED_RECORDS)
    world.steady_s = -(10.0**9)
    fill(world, bad=JUDGED_RECORDS // 2 + 1)
    before = everything(world.engine)
    stop = threading.Event()
    runner = world.runner_of_its_own(stop)
    runner._round_at = 0.0
    with pytest.raises(BadPartitionError, match=r"501 of the latest 1000") as error:
        runner.run(stop)
    assert runner.status.state == "failed"
    assert error.value.last.partition == 0
    after = everything(world.engine)
    assert after.pop("progress") != before.pop("progress")  # the claim
    assert after == before


def test_bad_records_are_accepted_on_demand(world: World) -> None:
    """Else who starts it again comes to more of them."""
    fill(world, bad=3 * JUDGED_RECORDS)
    with pytest.raises(BadPartitionError):
        world.process()
    with pytest.raises(BadPartitionError, match="once with --accept-bad-records"):
        world.process()
    world.settings = replace(world.settings, accepts_bad_records=True)
    world.process()
    assert len(world.content()["dead_letters"]) == 3 * JUDGED_RECORDS


def test_a_partition_of_half_bad_records_goes_on(world: World) -> None:
    fill(world, bad=JUDGED_RECORDS // 2)
    world.process()
    assert len(world.content()["dead_letters"]) == JUDGED_RECORDS // 2


def fill(world: World, bad: int) -> None:
    """`JUDGED_RECORDS` records; the bad ones come last."""
    world.log.execute("BEGIN")
    world.append_events(1, *(event("ping", n) for n in range(JUDGED_RECORDS - bad)))
    for _ in range(bad):
        world.append_bytes("x", b"junk", event("ping", JUDGED_RECORDS).received_at)
    world.log.execute("COMMIT")
