"""`make rebuilt`: are live rows and rebuilt rows the same, for 100,000 sessions with faults?

The audience of `simulate` with all of its faults (bookends missing, events lost, doubled, late), on
the way also overtaken by others, and half of the sessions cut off anywhere. Records go straight to
an embedded log. A processor reads it, started again and again, and ticks on the way. Then the log
is rebuilt from the log, from its archive, and from half of that and the log's tail: each
projection must have the live one's rows, all of them and no other, on SQLite and on PostgreSQL.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from heapq import heappop, heappush
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import click
from sqlalchemy import Connection, Engine, Table, func, select

import migrations
from commands.audience import Session, session
from commands.faults import FAULTS, spoil
from commands.interpreter import tune_interpreter
from commands.logs import configure
from commands.players import Sent
from deploy.local import LocalPostgres
from models.avro import encode
from models.records import Event, playhead_to_ms
from models.requests import RequestReader
from models.tables import (
    CHILD_TABLES,
    session_starts,
    sessions_closed,
    sessions_live,
)
from processor.archive import PartitionArchive
from processor.database import open_database
from processor.pace import RunnerSettings
from processor.rebuild import RebuildBounds
from tests.archive.logs import T0
from tests.processor_shell.postgres_world import PostgresWorld
from tests.processor_shell.world import World
from tests.rebuild.rows import LEFT_OUT, archive_of, candidate_of, rebuild

SPEED: Final = 60.0
TABLES: Final = (sessions_live, sessions_closed, session_starts, *CHILD_TABLES.values())
_NEXT_STARTS_MS: Final = 400
_OVERTAKEN_MS: Final = 4_000
_PORTIONS: Final = 8
SETTINGS: Final = RunnerSettings(
    checkpoint_interval_s=1e6, checkpoint_events_max=100_000, poll_records_max=5_000
)

Stored = tuple[int, str, bytes, int]
"""A record as a log has it: arrival (ms), key, value; and how many events it has."""


class Seen(NamedTuple):
    """What was compared. `events`: counted once, as repeats, or as after close."""

    sessions: int
    events: int
    rows: int


# --- the log ------------------------------------------------------------------------------------


def simulated(sessions: int, seed: int) -> Iterator[Stored]:
    """All records, in the order of their arrival."""
    waiting: list[Stored] = []
    for number in range(sessions):
        begins_ms = T0 + number * _NEXT_STARTS_MS
        while waiting and waiting[0][0] < begins_ms:
            yield heappop(waiting)
        chance = Random(f"{seed}/{number}")
        for record in _records(session(number, chance), begins_ms, chance):
            heappush(waiting, record)
    while waiting:
        yield heappop(waiting)


def _records(viewer: Session, begins_ms: int, chance: Random) -> Iterator[Stored]:
    session_id = sha256(str(viewer.number).encode()).hexdigest()
    if viewer.offline:
        events = tuple(_event(item, begins_ms) for item in viewer.sent)
        ended_ms = begins_ms + viewer.duration_ms
        yield ended_ms, session_id, encode(session_id, events, offline=True), len(events)
        return
    sent, _ = spoil(viewer.sent, FAULTS, SPEED, chance)
    if chance.random() < 0.5:
        sent = sent[: chance.randrange(1, len(sent) + 1)]
    for item in sent:
        late_ms = chance.randrange(_OVERTAKEN_MS if chance.random() < 0.03 else 300)
        event = _event(item, begins_ms)
        yield begins_ms + item.at_ms + late_ms, session_id, encode(session_id, (event,)), 1


def _event(item: Sent, begins_ms: int) -> Event:
    time = item.body["playerTime"]
    ts = time["ts"] + begins_ms
    if item.type == "ping":
        return Event("ping", ts, playhead_to_ms(time["playhead"]))
    body = item.body | {"playerTime": time | {"ts": ts}}
    return _reader().read_event(json.dumps(body).encode())


@cache
def _reader() -> RequestReader:
    return RequestReader("standard")


# --- the rows -----------------------------------------------------------------------------------


def fill(world: World, records: Iterable[Stored], portion: int) -> int:
    """A processor that is started anew for every portion of the log, and ticks after each. Says how
    many events there were."""
    events = 0
    records = iter(records)
    statement = "INSERT INTO log_records (received_at, key, value) VALUES (?, ?, ?)"
    while some := list(islice(records, portion)):
        world.log.execute("BEGIN")
        world.log.executemany(statement, [record[:3] for record in some])
        world.log.execute("COMMIT")
        world.now_ms = some[-1][0]
        world.process()
        events += sum(record[3] for record in some)
    return events


def compare(world: World, folder: Path, bounds: RebuildBounds, tell: Callable[[str], None]) -> Seen:
    """Rebuilds in each way. Errors: `AssertionError`, which says what differs."""
    archive = archive_of(world, folder / "archive", bounds.archive_records_min)
    half = PartitionArchive(archive.path, archive.log_id, archive.entries[:-1])
    assert archive.entries[:-1], "the archive should end within the log, too"
    ways: dict[str, tuple[PartitionArchive | None, bool]] = {
        "log": (None, True),
        "archive": (archive, False),
        "archive and tail": (half, True),
    }
    for way, (read, from_log) in ways.items():
        tell(f"rebuilding from {way}")
        candidate = candidate_of(world)
        rebuild(world, candidate, read, from_log=from_log, bounds=bounds)
        with world.engine.connect() as connection:
            for table in TABLES:
                differ = _differing(connection, table, candidate)
                assert not differ, f"{table.name}, from {way}: {differ} rows differ"
    return _seen(world.engine)


def _differing(connection: Connection, table: Table, candidate: int) -> int:
    """How many rows only one of the two projections has."""
    columns = [column for column in table.c if column.name not in LEFT_OUT]
    live, rebuilt = (select(*columns).where(table.c.projection == it) for it in (1, candidate))
    return sum(
        connection.execute(
            select(func.count()).select_from(one.except_(other).subquery())
        ).scalar_one()
        for one, other in ((live, rebuilt), (rebuilt, live))
    )


def _seen(engine: Engine) -> Seen:
    def count(table: Table, what: Any) -> int:
        query = select(what).select_from(table).where(table.c.projection == 1)
        return int(connection.execute(query).scalar_one() or 0)

    with engine.connect() as connection:
        sessions = [sessions_live, sessions_closed]
        return Seen(
            sum(count(table, func.count()) for table in sessions),
            sum(count(t, func.sum(_arrived(t))) for t in sessions),
            sum(count(table, func.count()) for table in TABLES),
        )


def _arrived(table: Table) -> Any:
    columns = table.c
    return columns.event_count + columns.duplicate_event_count + columns.events_after_close_count


@click.command()
@click.option("--sessions", default=100_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--only", type=click.Choice(["sqlite", "postgresql"]), help="One of the two.")
def main(sessions: int, seed: int, only: str | None) -> None:
    """Compares live with rebuilt rows. Exit code 1 when a row differs."""
    tune_interpreter()
    configure("error", "text")
    for database in [only] if only else ["sqlite", "postgresql"]:
        seen = _compare_in(database, sessions, seed)
        click.echo(
            f"{database}: {seen.rows:,} rows of {seen.sessions:,} sessions with {seen.events:,} "
            "events are the same in the live projection and in each of the rebuilt ones"
        )


def _compare_in(database: str, sessions: int, seed: int) -> Seen:
    def tell(doing: str) -> None:
        click.echo(f"{datetime.now(UTC):%H:%M:%S} {database}: {doing}")

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # as root PostgreSQL runs as another account, which must get in
        world = _world(database, folder, stack)
        tell("the processor reads the log")
        events = fill(world, simulated(sessions, seed), max(1, sessions * 40 // _PORTIONS))
        bounds = RebuildBounds(archive_records_min=max(100, sessions))
        seen = compare(world, folder, bounds, tell)
        world.close()
        assert (seen.sessions, seen.events) == (sessions, events), (seen, events)
        return seen


def _world(database: str, folder: Path, stack: ExitStack) -> World:
    if database == "sqlite":
        return World(folder, settings=SETTINGS)
    server = stack.enter_context(LocalPostgres(folder / "postgres"))
    url = server.database("rebuilt")
    engine = open_database(url)
    migrations.upgrade(engine)
    engine.dispose()
    return PostgresWorld(folder, settings=SETTINGS, url=url)


if __name__ == "__main__":
    main()
