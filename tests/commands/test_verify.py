"""`bookended verify`: totals are the sums of their rows, whatever was sent, and at any moment."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from commands.verifying import SUMS, count, differences, differences_of
from models.policy import Policy
from models.records import Record
from processor.database import open_database, snapshot
from tests.commands.processes import Cli
from tests.processor_shell.eventful import TINY, write_eventful
from tests.processor_shell.postgres_world import PostgresWorld
from tests.processor_shell.test_exactly_once import crowd
from tests.processor_shell.world import World, session_id

MakeWorld = Callable[[Policy], World]
POLICIES = (
    Policy(),
    Policy(unclosed_break="ad", break_gap="content"),
    Policy(stall_detection="off", break_gap="content"),
)


@pytest.fixture(params=["sqlite", "postgres"])
def make_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(policy: Policy) -> World:
        if request.param == "sqlite":
            made.append(World(tmp_path, policy))
        else:
            url = request.getfixturevalue("postgres_url")
            made.append(PostgresWorld(tmp_path, policy, url=url))
        return made[-1]

    yield make
    for world in made:
        world.close()


def address(world: World) -> str:
    """Of the world's database."""
    return world.engine.url.render_as_string(hide_password=False)


def arrival(record: Record) -> int:
    return record.events[0].received_at


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_totals_are_sums_whatever_was_sent(make_world: MakeWorld, policy: Policy) -> None:
    """Of live sessions too: looked at four times on the way."""
    world = make_world(policy)
    records = sorted(crowd(7, 48), key=arrival)
    live = 0
    for begin in range(0, len(records), len(records) // 4 + 1):
        part = records[begin : begin + len(records) // 4 + 1]
        world.append(*part)
        world.now_ms = arrival(part[-1])
        world.process()
        with snapshot(world.engine) as connection:
            counted = count(connection)
            assert [*differences(connection)] == []
        live += counted.live_sessions
    assert live >= 8
    assert counted.sessions == 48
    assert counted.spans > 400
    assert min(counted.ads, counted.ad_breaks, counted.chapters) > 10


def test_no_statement_sees_a_session_whose_totals_disagree(make_world: MakeWorld) -> None:
    """A reader in a loop while a processor writes a checkpoint every two events."""
    world = make_world(Policy())
    world.settings = replace(TINY, checkpoint_events_max=10, poll_records_max=10)
    world.append(*crowd(3, 10))
    world.now_ms = world.log_records()[-1].received_at
    reads: list[int] = []
    done = threading.Event()

    def read() -> None:
        engine = open_database(address(world), read_only=True)
        with engine.connect() as connection:
            while not done.is_set():
                for sums in SUMS:
                    found = [*differences_of(connection, sums)]
                    connection.rollback()
                    assert found == []
                reads.append(connection.execute(text(EVENTS)).scalar_one())
                connection.rollback()
        engine.dispose()

    def wait_for_a_read(_: int) -> None:
        """Never more polls than reads, so that there are some between all checkpoints."""
        seen = len(reads)
        while len(reads) == seen and reader.is_alive():
            reader.join(0.001)

    failures: list[BaseException] = []
    reader = threading.Thread(target=lambda: catch(read, failures))
    reader.start()
    try:
        world.process(wait_for_a_read)
    finally:
        done.set()
        reader.join()
    assert failures == []
    assert len(set(reads)) > 10


EVENTS = "SELECT coalesce(sum(event_count), 0) FROM sessions"


def catch(work: Callable[[], None], failures: list[BaseException]) -> None:
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - it is told in the test's own thread
        failures.append(error)


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def eventful(make_world: MakeWorld) -> World:
    """Every kind of row, all as it should be."""
    world = make_world(Policy())
    write_eventful(world)
    world.process()
    return world


def test_it_says_what_it_looked_at(eventful: World, cli: Cli) -> None:
    done = cli("verify", BOOKENDED_DATABASE=address(eventful))
    assert done.returncode == 0, done.stderr
    assert "every total is the sum of its rows" in done.stdout
    told = json.loads(cli("verify", "--json", BOOKENDED_DATABASE=address(eventful)).stdout)
    assert told["checked"]["sessions"] == 5
    assert told["checked"]["spans"] > 5
    assert told["difference_count"] == 0


FIRST = session_id(1)


def alter(world: World, statement: str, **values: int) -> None:
    with world.engine.begin() as connection:
        connection.execute(text(statement), {"first": FIRST, **values})


CHANGES = {
    "UPDATE span_rows SET duration_ms = duration_ms + 5 WHERE activity = 'ad'": {
        ("sessions", "ad_ms"),
        ("sessions", "media_ms"),
        ("sessions", "watched_ms"),
        ("ads 1", "playing_ms"),
        ("ad_breaks 1", "ad_ms"),
    },
    "DELETE FROM span_rows WHERE chapter_number = 1 AND playhead_from_s = 0": {
        ("sessions", "content_ms"),
        ("sessions", "media_ms"),
        ("sessions", "watched_ms"),
        ("chapters 1", "content_ms"),
        ("spans 3", "started_at"),
    },
    "UPDATE ad_rows SET completed = NOT completed": {("sessions", "ad_complete_count")},
    "UPDATE ad_break_rows SET gap_ms = 7, ad_count = 3": {
        ("ad_breaks 1", "gap_ms"),
        ("ad_breaks 1", "ad_count"),
    },
    "DELETE FROM finding_rows WHERE session_id = :first": {("sessions", "finding_count")},
    "DELETE FROM error_rows": {("sessions", "error_count")},
    "DELETE FROM chapter_rows": {("sessions", "chapter_count")},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_figure_that_differs_is_named(eventful: World, cli: Cli, change: str) -> None:
    alter(eventful, change)
    done = cli("verify", "--json", BOOKENDED_DATABASE=address(eventful))
    assert done.returncode == 1
    told = json.loads(done.stdout)
    found = {(d["row"], d["column"]) for d in told["differences"]}
    assert found == CHANGES[change]
    assert {d["session_id"] for d in told["differences"]} == {FIRST}
    assert told["difference_count"] == len(told["differences"])
    shown = cli("verify", BOOKENDED_DATABASE=address(eventful))
    assert shown.returncode == 1
    for row, column in CHANGES[change]:
        assert f"{FIRST}  {row}: {column} is " in shown.stdout


def test_a_line_that_does_not_hang_together_is_named(eventful: World) -> None:
    alter(eventful, "UPDATE span_rows SET started_at = ended_at WHERE span_number = 2")
    with snapshot(eventful.engine) as connection:
        assert ("spans 2", "started_at") in {(d.row, d.column) for d in differences(connection)}


def test_more_rows_than_are_kept_is_no_fault_but_less_is(eventful: World, cli: Cli) -> None:
    alter(
        eventful,
        "UPDATE finding_rows SET code = 'too_many_rows'"
        " WHERE session_id = :first AND code = 'placeholder_value'",
    )
    of_first = "UPDATE sessions_closed SET content_ms = :ms WHERE session_id = :first"
    alter(eventful, of_first, ms=1_000_000)
    done = cli("verify", BOOKENDED_DATABASE=address(eventful))
    assert "1 sessions have more rows than are kept" in done.stdout
    assert "every total is the sum of its rows" in done.stdout
    alter(eventful, of_first, ms=1)
    done = cli("verify", BOOKENDED_DATABASE=address(eventful))
    assert f"{FIRST}  sessions: content_ms is 1, its rows give " in done.stdout


def test_a_database_that_is_not_there_is_told_in_one_line(cli: Cli) -> None:
    done = cli("verify")
    assert done.returncode == 1
    assert done.stderr.endswith("there is no such file. Give the right --data or --database.\n")
    assert len(done.stderr.splitlines()) == 1
