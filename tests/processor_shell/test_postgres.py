"""The processor over PostgreSQL: whatever happens, its rows are those of one fold on SQLite."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import column, text

from models.policy import Policy
from models.records import Record
from models.requests import RequestReader
from models.views import view_queries
from tests.commands.traffic import FILE as TRAFFIC
from tests.golden.loading import golden_names, load_golden
from tests.processor_shell.eventful import TINY, write_eventful
from tests.processor_shell.faults import Killed
from tests.processor_shell.postgres_world import (
    PostgresFaultAt,
    PostgresWorld,
    end_connections,
    lose_answer,
)
from tests.processor_shell.test_exactly_once import (
    assert_clean,
    process_again_when_killed,
    process_crowd,
)
from tests.processor_shell.world import World, records_of, session_id


@pytest.fixture
def world(tmp_path: Path, postgres_url: str) -> Iterator[PostgresWorld]:
    world = PostgresWorld(tmp_path, url=postgres_url)
    yield world
    world.close()


@pytest.mark.parametrize("seed", range(3))
def test_many_checkpoints_give_the_rows_of_one_fold(world: PostgresWorld, seed: int) -> None:
    process_crowd(world, seed)


@pytest.fixture
def eventful(tmp_path: Path, postgres_url: str) -> Iterator[PostgresWorld]:
    """A small log with everything in it, not yet processed."""
    (tmp_path / "eventful").mkdir()
    world = PostgresWorld(tmp_path / "eventful", settings=TINY, url=postgres_url)
    write_eventful(world)
    yield world
    world.close()


def kill() -> None:
    raise Killed


def test_a_fault_at_any_kind_of_statement_changes_nothing(
    eventful: PostgresWorld, tmp_path: Path
) -> None:
    """At the first and the last occurrence of each statement, COPY and commit."""
    world = eventful
    world.close()
    shutil.copy(world.log_path, log := tmp_path / "unread.db")
    faults = PostgresFaultAt(world.engine)
    world.start_anew_with(log)
    faults.arm(-1, kill)  # never
    world.process()
    points = [*faults.points]
    assert_clean(world)
    expected, closes = world.content(), world.closes()
    assert {label.split()[0] for label in points} >= {"begin", "end", "committed", "SAVEPOINT"}
    for at, fault in moments(points, world.url):
        world.start_anew_with(log)
        faults.arm(at, fault)
        process_again_when_killed(world)
        assert faults.points[at] == points[at], "another point than was meant"
        world.engine.dispose()  # its connection may have been ended at the very last
        assert len(faults.points) > at
        assert (world.content(), world.closes()) == (expected, closes), points[at]


def moments(points: list[str], url: str) -> Iterator[tuple[int, Callable[[], None]]]:
    """The first and the last occurrence of each kind of point, with the faults in turn."""
    where: dict[str, list[int]] = {}
    for at, label in enumerate(points):
        kind = "CREATE" if "CREATE" in label else label  # temporary tables, one like the other
        where.setdefault(kind, []).append(at)
    faults = (kill, lose_answer, end_connections(url))
    for number, found in enumerate(where.values()):
        yield found[0], faults[number % 3]
        if len(found) > 1:
            yield found[-1], faults[(number + 1) % 3]


# --- the same log, both databases ----------------------------------------------------------------


def golden_records(policy: Policy) -> list[Record]:
    """The worked sessions of one policy, each with an id of its own."""
    found = [load_golden(name) for name in golden_names()]
    numbered = enumerate(golden for golden in found if golden.policy == policy)
    return [record for n, golden in numbered for record in records_of(n, golden.steps)]


def recorded_traffic() -> list[Record]:
    """What a real player connector sent and a collector took, as records."""
    reader = RequestReader("standard")
    ids: dict[str, str] = {}
    records: list[Record] = []
    for line in TRAFFIC.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["answer"] >= 300:
            continue
        if entry["path"].endswith("/sessions"):
            ids[entry["session"]] = session_id(10_000 + len(records))
        event = reader.read_event(entry["body"].encode())._replace(received_at=entry["at_ms"])
        records.append(Record(ids[entry["session"]], False, (event,)))
    return records


POLICIES = sorted({load_golden(name).policy for name in golden_names()}, key=str)


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_worked_sessions_and_recorded_traffic_give_the_same_rows(
    tmp_path: Path, postgres_url: str, policy: Policy
) -> None:
    records = golden_records(policy) + recorded_traffic()
    embedded = World(tmp_path, policy)
    embedded.append(*records)
    embedded.now_ms = max(r.events[0].received_at for r in records) + 3_600_000
    embedded.process()
    production = PostgresWorld(tmp_path, policy, now_ms=embedded.now_ms, url=postgres_url)
    production.process()
    expected, found = views(embedded), views(production)
    assert all(expected[name] for name in ("sessions", "ads", "ad_breaks", "findings", "spans"))
    assert found == expected
    assert production.content() == embedded.content()
    embedded.close()
    production.close()


def views(world: World) -> dict[str, list[Any]]:
    """What analysts read of sessions, by view, whatever the order. (Reports have their own
    comparison of databases, tests/reports.)"""
    found = {}
    with world.engine.connect() as connection:
        for name, query in view_queries().items():
            if "session_id" not in query.selected_columns:
                continue
            typed = [column(c.name, c.type) for c in query.selected_columns]
            result = connection.execute(text(f"SELECT * FROM {name}").columns(*typed))  # noqa: S608
            found[name] = sorted((row._asdict() for row in result), key=in_views)
    return found


def in_views(row: dict[str, Any]) -> tuple[Any, ...]:
    """By the key of the view, which stands first; a session's only row has no number."""
    return row["session_id"], *(row[name] for name in NUMBERS if row.get(name) is not None)


NUMBERS = (
    *("span_number", "ad_number", "break_number", "chapter_number", "state_number"),
    *("error_number", "code"),
)
