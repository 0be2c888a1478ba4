"""Commands killed at random moments and started again: the end is the same as without a kill."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from models.avro import decode, encode
from models.records import LogRecord
from processor.archive_check import check_archive
from processor.database import reading
from processor.projections import describe, places
from tests.archive.logs import DAY_MS, archived
from tests.processor_shell.test_exactly_once import crowd
from tests.processor_shell.world import SMALL, World, event, session_id
from tests.rebuild.killing import Killer, readers, until_killed
from tests.rebuild.rows import archive_of, live_number, rows_of
from tests.rebuild.test_forget import AD, NAMES, START
from tests.rebuild.test_promote import sessions_seen

MANY_SESSIONS = 8_000
LARGE = replace(SMALL, checkpoint_events_max=50_000, poll_records_max=5_000)
DAYS = 5
PINGS_A_DAY = 300
DATA = ("--data", ".")
SEEN = "SELECT * FROM sessions ORDER BY session_id"


@pytest.fixture
def pings(world: World) -> World:
    """Days of pings, so that an archive has several files."""
    rows = [
        (at.received_at, f"{number % 7:064x}", encode(f"{number % 7:064x}", (at,)))
        for day in range(DAYS)
        for number in range(PINGS_A_DAY)
        for at in [event("ping", day * DAY_MS / 1_000 + number)]
    ]
    world.log.execute("BEGIN")
    world.log.executemany(
        "INSERT INTO log_records (received_at, key, value) VALUES (?, ?, ?)", rows
    )
    world.log.execute("COMMIT")
    return world


def test_archive(pings: World, tmp_path: Path) -> None:
    killer, root = Killer(tmp_path, 1), tmp_path / "archive"
    expected = [(record.offset, decode(record)) for record in pings.log_records()]
    command = ("archive", "--to", "archive", *DATA)
    killer.measure(*command)
    endings = []

    def turn() -> None:
        if killer.run(*command, share=0.6):
            endings.append(archived(root) == expected and not check_archive(root, len_of)[1])
            shutil.rmtree(root)

    shutil.rmtree(root)
    until_killed(killer, turn)
    killer.to_its_end(*command)
    assert archived(root) == expected
    assert check_archive(root, len_of)[1] == []
    assert all(endings)


def len_of(_: int) -> None:
    """Nobody wants to know how far it is."""


@pytest.fixture
def filled(world: World) -> World:
    records = crowd(3, 40)
    world.append(*records)
    world.now_ms = max(record.events[0].received_at for record in records)
    world.process()
    return world


def test_rebuild(filled: World, tmp_path: Path) -> None:
    killer = Killer(tmp_path, 2)
    live = rows_of(filled.engine, 1)
    live.pop("closes_outbox")
    killer.measure("rebuild", "--jobs", "1", *DATA)

    def turn() -> None:
        """A new candidate, or on with the last one: it may be there already, or be whole."""
        newest = max(one.projection for one in describe(filled.engine))
        onto = () if newest == 1 else ("--into", str(newest))
        candidate = newest if onto else newest + 1
        if killer.run("rebuild", "--jobs", "1", *DATA, *onto):
            rebuilt = rows_of(filled.engine, candidate)
            rebuilt.pop("closes_outbox")
            assert rebuilt == live
            killer.to_its_end("projections", "drop", str(candidate), *DATA)

    with readers(filled.database_path, SEEN) as seen:
        until_killed(killer, turn)
        if len(describe(filled.engine)) == 1:
            killer.to_its_end("rebuild", "--jobs", "1", *DATA)
        newest = str(describe(filled.engine)[-1].projection)
        killer.to_its_end("rebuild", "--jobs", "1", "--into", newest, *DATA)
    assert "No difference" in killer.to_its_end("diff", newest, *DATA)
    assert seen == [sessions_seen(filled)]


def test_rebuild_between_checkpoints(world: World, tmp_path: Path) -> None:
    """Killed after each of its checkpoints, it goes on behind it: what the log had before is gone
    by then."""
    end = _write_many_sessions(world)
    killer = Killer(tmp_path, 5)
    live = rows_of(world.engine, 1)
    live.pop("closes_outbox")
    command = ("rebuild", "--jobs", "1", *DATA)
    killer.kill_once(partial(_is_beyond, world, 1), *command)
    while (reached := _read_to(world, 2)) == end:  # it was quicker than this process could look
        killer.to_its_end("projections", "drop", "2", *DATA)
        killer.kill_once(partial(_is_beyond, world, 1), *command)
    while reached < end:
        world.log.execute('DELETE FROM log_records WHERE "offset" < ?', (reached,))
        before, goes_on = reached, partial(_is_beyond, world, reached)
        killer.kill_once(goes_on, *command, "--into", "2")
        reached = _read_to(world, 2)
        assert reached > before
    killer.to_its_end(*command, "--into", "2")
    rebuilt = rows_of(world.engine, 2)
    rebuilt.pop("closes_outbox")
    assert rebuilt == live


def _write_many_sessions(world: World) -> int:
    """So many that a rebuild writes some checkpoints: ten a second, of half a minute each, some of
    them with a break that is never completed. Returns where the log ends."""
    rows = []
    for number in range(MANY_SESSIONS):
        begin_s, key = number / 10, session_id(number)
        kind = "adBreakStart" if number % 3 else "ping"
        start = (event("sessionStart", begin_s, params=START), event("play", begin_s))
        rows.append((event("ping", begin_s).received_at, key, encode(key, start)))
        last = (event(kind, begin_s + 20), event("sessionEnd", begin_s + 30))
        rows.append((last[1].received_at, key, encode(key, last)))
    rows.sort()
    world.log.execute("BEGIN")
    world.log.executemany(
        "INSERT INTO log_records (received_at, key, value) VALUES (?, ?, ?)", rows
    )
    world.log.execute("COMMIT")
    world.now_ms = rows[-1][0]
    world.settings = LARGE
    world.process()
    return len(rows) + 1


def _read_to(world: World, projection: int) -> int:
    with reading(world.engine) as connection:
        found = places(connection, projection)
    return found[0].next_offset if found else 0


def _is_beyond(world: World, next_offset: int) -> bool:
    return _read_to(world, 2) > next_offset


def test_promote(filled: World, tmp_path: Path) -> None:
    killer = Killer(tmp_path, 3)
    killer.to_its_end("rebuild", "--jobs", "1", "--unclosed-break", "ad", *DATA)
    seen_of = {1: sessions_seen(filled)}
    killer.measure("promote", "2", *DATA)
    seen_of[2] = sessions_seen(filled)
    assert seen_of[1] != seen_of[2]

    def turn() -> None:
        live = live_number(filled.engine)
        assert sessions_seen(filled) == seen_of[live]
        killer.run("promote", str(3 - live), *DATA)

    with readers(filled.database_path, SEEN) as seen:
        until_killed(killer, turn)
    assert sessions_seen(filled) == seen_of[live_number(filled.engine)]
    assert all(rows in seen_of.values() for rows in seen)


def test_forget(world: World, tmp_path: Path) -> None:
    """Whatever is done of it when it is killed, the same command finds the rest and does it."""
    _write_viewers(world)
    world.process()
    archive_of(world, tmp_path / "archive", records_max=20)
    world.close()
    figures = rows_of(world.engine, 1)["sessions_closed"]
    world.engine.dispose()
    shutil.copytree(tmp_path, whole := tmp_path.parent / f"{tmp_path.name}-whole")
    killer = Killer(tmp_path, 4)
    command = ("forget", "--visitor", "ada-77", "--archive", "archive", *DATA)
    killer.measure(*command)

    def anew() -> None:
        shutil.rmtree(tmp_path)
        shutil.copytree(whole, tmp_path, dirs_exist_ok=True)

    def turn() -> None:
        if killer.run(*command, already="nothing is known of this visitor"):
            _assert_forgotten(tmp_path)
            anew()

    anew()
    until_killed(killer, turn)
    while not killer.run(*command, already="nothing is known of this visitor"):
        pass
    _assert_forgotten(tmp_path)
    killer.to_its_end("rebuild", "--archive", "archive", "--archive-only", "--jobs", "1", *DATA)
    assert rows_of(world.engine, 2)["sessions_closed"] == figures


def _write_viewers(world: World) -> None:
    """Sessions of the viewer and of others, whose starts are repeated in other files."""
    for round_s in range(0, 60, 20):
        for number in range(8):
            start = START if number % 2 else {**START, "visitor.marketingCloudUserId": "bob"}
            once = event("sessionStart", 0, params=start, custom={"k": "ada-custom"})
            world.append_events(number, once._replace(received_at=event("play", 5 + round_s).ts))
            ad = event("adStart", 5 + round_s, params=AD, custom={"k": "ada-custom"})
            world.append_events(number, ad, event("ping", 9 + round_s))
    for number in range(8):
        world.append_events(number, event("sessionEnd", 70))
    world.now_ms = event("ping", 3_600).received_at


def _assert_forgotten(folder: Path) -> None:
    """Neither file names the viewer; what stands for one value is one value, in all files."""
    assert check_archive(folder / "archive", len_of)[1] == []
    in_archive = [record for _, record in archived(folder / "archive")]
    with closing(sqlite3.connect(folder / "log.db")) as log:
        rows = log.execute('SELECT "offset", received_at, key, value FROM log_records').fetchall()
    in_log = [decode(LogRecord(0, at, ms, key.encode(), value)) for at, ms, key, value in rows]
    assert in_archive == in_log
    starts = {
        json.dumps([event.params, event.custom])
        for record in in_log
        for event in record.events
        if event.type == "sessionStart" and record.session_id == f"{1:064x}"
    }
    (start,) = starts
    assert "forgotten-" in start
    assert not [name for name in NAMES if name in start]
    text = str([record for record in in_log if int(record.session_id, 16) % 2])
    assert not [name for name in NAMES if name in text]
