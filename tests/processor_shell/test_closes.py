"""Closes: when one is told, how it gets from the outbox to the log, and what a crash does to it."""

from collections.abc import Sequence

import structlog
from sqlalchemy import insert, update

from models.tables import closes_outbox, live_projection
from processor.closes import CLOSES_MAX, ClosesRelay
from processor.embedded_source import EmbeddedCloses
from processor.source import Close, LogAwayError
from tests.processor_shell.faults import Killed
from tests.processor_shell.world import World, event, session_id


class Collected:
    """A sink that keeps what it is given; `fault`, once set, is raised instead, or after."""

    def __init__(self) -> None:
        self.closes: list[Close] = []
        self.fault: BaseException | None = None
        self.fault_after = False

    def publish(self, closes: Sequence[Close]) -> None:
        if self.fault is not None and not self.fault_after:
            raise self.fault
        self.closes += closes
        if self.fault is not None:
            raise self.fault


def outbox_count(world: World) -> int:
    return len(world.content()["closes_outbox"])


def test_a_close_is_told_once(world: World) -> None:
    sink = Collected()
    world.append_events(1, event("play", 0), event("sessionEnd", 9))
    world.process(sink=sink)
    world.append_events(1, event("ping", 9))  # arrives behind it, and comes after close
    world.append_events(1, event("ping", 60))
    world.process(sink=sink)
    assert sink.closes == [Close(session_id(1), event("ping", 9).ts)]
    assert outbox_count(world) == 0


def test_a_close_that_moves_is_told_again(world: World) -> None:
    sink = Collected()
    world.append_events(1, event("play", 0), event("sessionEnd", 9))
    world.process(sink=sink)
    world.append_events(1, event("sessionEnd", 8)._replace(received_at=event("ping", 10).ts))
    world.process(sink=sink)
    assert [close.closed_at for close in sink.closes] == [event("ping", 9).ts, event("ping", 8).ts]


def test_a_close_that_is_taken_back_is_told_as_such(world: World) -> None:
    sink = Collected()
    world.append_events(1, event("play", 0), event("sessionEnd", 9))
    world.process(sink=sink)
    world.append_events(1, event("sessionStart", 10))
    world.process(sink=sink)
    assert sink.closes == [
        Close(session_id(1), event("ping", 9).ts),
        Close(session_id(1), None),
    ]
    assert [row["status"] for row in world.content()["sessions_live"]] == ["live"]


def test_a_candidate_tells_nothing(world: World) -> None:
    with world.engine.begin() as connection:
        connection.execute(update(live_projection).values(projection=99))
    world.follows_live = False
    sink = Collected()
    world.append_events(1, event("play", 0), event("sessionEnd", 9))
    world.process(sink=sink)
    assert sink.closes == []
    assert outbox_count(world) == 0
    assert world.content()["sessions_live"][0]["status"] == "closed"


def test_a_log_that_takes_no_closes_stops_nothing_else(world: World) -> None:
    sink = Collected()
    sink.fault = LogAwayError("log.db", "the disk is full")
    world.append_events(1, event("play", 0), event("sessionEnd", 9))
    with structlog.testing.capture_logs() as lines:
        world.process(sink=sink)
    assert [line["event"] for line in lines].count("processor_cannot_write_log") == 1
    assert "disk is full" in str(lines)
    assert outbox_count(world) == 1
    assert len(world.content()["sessions_live"]) == 1
    sink.fault = None
    world.process(sink=sink)
    assert sink.closes == [Close(session_id(1), event("ping", 9).ts)]
    assert outbox_count(world) == 0


def test_killed_between_publishing_and_deleting_it_is_told_again(world: World) -> None:
    sink = Collected()
    sink.fault, sink.fault_after = Killed(), True
    world.append_events(1, event("play", 0), event("sessionEnd", 9))
    try:
        world.process(sink=sink)
    except Killed:
        sink.fault = None
    world.process(sink=sink)
    assert sink.closes == [Close(session_id(1), event("ping", 9).ts)] * 2
    assert outbox_count(world) == 0


def test_a_full_outbox_is_emptied_in_order(world: World) -> None:
    count = 2 * CLOSES_MAX + 1
    with world.engine.begin() as connection:
        connection.execute(
            insert(closes_outbox),
            [
                {"projection": 1, "log_partition": 0, "session_id": session_id(n), "closed_at": n}
                for n in range(count)
            ],
        )
    sink = Collected()
    world.process(sink=sink)
    assert sink.closes == [Close(session_id(n), n) for n in range(count)]
    assert outbox_count(world) == 0


def test_the_relay_leaves_other_partitions_and_projections_alone(world: World) -> None:
    with world.engine.begin() as connection:
        connection.execute(
            insert(closes_outbox),
            [
                {"projection": p, "log_partition": n, "session_id": "a", "closed_at": 10 * p + n}
                for p in (1, 2)
                for n in (0, 1)
            ],
        )
    sink = Collected()
    relay = ClosesRelay(world.engine, sink)
    assert relay.relay(1, 1) == 1
    assert sink.closes == [Close("a", 11)]
    assert outbox_count(world) == 3
    assert relay.relay(1, 1) == 0


def test_what_collectors_read_is_what_the_rows_say(world: World) -> None:
    sink = EmbeddedCloses(world.log_path, lambda: 0)
    world.append_events(1, event("play", 0), event("sessionEnd", 9), event("ping", 60))
    world.append_events(2, event("play", 61))
    world.process(sink=sink)
    sink.close()
    (row,) = world.content()["sessions_closed"]
    assert world.closes() == {row["session_id"]: row["closed_at"]}
