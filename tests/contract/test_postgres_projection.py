"""PostgreSQL as the projection's database: the contract, what its errors mean, cheap updates, a
former owner in the way, and readers beside the writer."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text

from models.policy import Policy
from processor.database import (
    DatabaseAwayError,
    DatabaseDamagedError,
    open_database,
    reading,
    writing,
)
from processor.projection import Projection, ensure_live_projection
from processor.step import DeadLetter
from tests.commands.processes import PATIENCE_S, ROOT, environment
from tests.contract.projection_contract import (
    LOG,
    POLICY,
    T0,
    ProjectionContract,
    as_write,
    batch,
    closed_session,
    event,
    folded,
    written,
)
from tests.contract.tables import content, place
from tests.postgres import plain

AD = {"media.ad.id": "ad-1", "media.ad.podPosition": 1.5}


class TestPostgresProjection(ProjectionContract):
    @pytest.fixture
    def engine(self, postgres_engine: Engine) -> Engine:
        return postgres_engine


@pytest.fixture
def projection(postgres_engine: Engine) -> Projection:
    return Projection(postgres_engine, ensure_live_projection(postgres_engine, POLICY, T0))


@pytest.fixture
def onlooker(postgres_url: str) -> Iterator[psycopg.Connection]:
    """A connection of somebody else."""
    with psycopg.connect(plain(postgres_url), autocommit=True) as connection:
        yield connection


def checkpoint(projection: Projection, number: int = 1, title: str = "film") -> None:
    claim = projection.claim(0, LOG, 1)
    projection.checkpoint("", [batch(claim, 5, written(closed_session(number, title)))])


# --- what is written -----------------------------------------------------------------------------


def test_analysts_read_timestamps_numbers_and_json(
    projection: Projection, onlooker: psycopg.Connection
) -> None:
    checkpoint(projection)
    row = onlooker.execute(
        "SELECT to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS'), "
        "pg_typeof(started_at)::text, content_started, player_error_ids, content_length_s "
        "FROM sessions"
    ).fetchone()
    assert row == ("2025-10-09 08:53:20.000", "timestamp with time zone", True, [], 100.0)


def test_values_at_the_bounds_read_back(projection: Projection, postgres_engine: Engine) -> None:
    last_ms = 253_402_300_799_999
    long = Random(1).randbytes(20_000).hex()  # PostgreSQL could make a repeated text short
    title = f"a\tb\\c\nd'\"é\U0001f600{long}"
    start = {"media.id": title, "media.length": 10**15, "media.name": "\\N"}
    state = folded(
        1,
        event("sessionStart", 0, params=start, custom={"k\n": "\\.", "é": "\x01"}),
        event("adStart", 0, params=AD),
    )
    summary = written(state).summary
    write = as_write(
        summary._replace(figures=summary.figures._replace(last_event_at=last_ms, started_at=0)),
        state,
    )
    projection.checkpoint("", [batch(projection.claim(0, LOG, 1), 5, write)])
    found = content(postgres_engine)
    (started,), (live,), (ad,) = found["session_starts"], found["sessions_live"], found["ad_rows"]
    assert started["content_id"] == title
    assert (started["content_name"], started["content_length_s"]) == ("\\N", 1e15)
    assert started["custom_metadata"] == {"k\n": "\\.", "é": "\x01"}
    assert (live["last_event_at"], live["started_at"]) == (last_ms, 0)
    assert ad["pod_position"] == 1.5


def test_a_reason_with_a_null_character_stops_nothing(
    projection: Projection, postgres_engine: Engine
) -> None:
    letter = DeadLetter(0, 12, T0, "no\0Avro", b"\0", b"\0")
    projection.checkpoint("", [batch(projection.claim(0, LOG, 1), 13, dead_letters=[letter])])
    (row,) = content(postgres_engine)["dead_letters"]
    assert (row["reason"], row["key"], row["value"]) == ("no\ufffdAvro", b"\0", b"\0")


def test_a_session_in_two_partitions_stops_nothing(
    projection: Projection, postgres_engine: Engine
) -> None:
    """Only a producer that breaks the partition rule makes one; the last write holds."""
    claims = [projection.claim(partition, LOG, 1) for partition in (0, 1)]
    states = [folded(1, event("play", 0), event("error", n), partition=n) for n in (0, 1)]
    both = [batch(c, 9, written(s)) for c, s in zip(claims, states, strict=True)]
    projection.checkpoint("", both)
    (row,) = content(postgres_engine)["sessions_live"]
    assert row["log_partition"] == 1
    assert [r["at"] for r in content(postgres_engine)["error_rows"]] == [T0 + 1_000]


def test_updates_of_live_sessions_touch_no_index(
    projection: Projection, onlooker: psycopg.Connection
) -> None:
    """HOT updates: the new version lies in the same page, and nothing indexed has changed."""
    claim = projection.claim(0, LOG, 1)
    states = [folded(number, event("play", 0)) for number in range(300)]
    for round_ in range(1, 6):
        states = [folded(n, event("play", 0), event("ping", round_)) for n in range(300)]
        (claim,) = projection.checkpoint("", [batch(claim, 5, *map(written, states))])
    with projection._engine.connect() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
    row = onlooker.execute(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'sessions_live_1'"
    ).fetchone()
    assert row is not None
    assert row[0] == 4 * 300
    assert row[1] >= 0.95 * row[0]


# --- what errors mean ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"port": 1}, "Connection refused"),
        ({"password": "wrong-secret"}, "password authentication failed"),
        ({"database": "none"}, 'database "none" does not exist'),
    ],
)
def test_a_server_that_cannot_be_reached_is_away(
    postgres_url: str, change: dict[str, Any], reason: str
) -> None:
    secret = make_url(postgres_url).password
    engine = open_database(make_url(postgres_url).set(**change).render_as_string(False))
    with pytest.raises(DatabaseAwayError, match=reason) as error, reading(engine):
        pass
    engine.dispose()
    assert str(error.value).count("\n") == 0
    assert str(secret) not in str(error.value)
    assert "wrong-secret" not in str(error.value)


@pytest.mark.parametrize(
    "code", ["40001", "40P01", "53100", "53300", "55P03", "57014", "57P01", "25006", "58030"]
)
def test_what_can_pass_is_away(postgres_engine: Engine, code: str) -> None:
    with pytest.raises(DatabaseAwayError, match="injected"), writing(postgres_engine) as connection:
        raise_in_server(connection, code)


def test_a_damaged_table_is_told(postgres_engine: Engine) -> None:
    with (
        pytest.raises(DatabaseDamagedError, match="injected"),
        writing(postgres_engine) as connection,
    ):
        raise_in_server(connection, "XX001")


def raise_in_server(connection: Any, code: str) -> None:
    raise_it = f"RAISE EXCEPTION 'injected' USING ERRCODE = '{code}'"
    connection.exec_driver_sql(f"DO $$ BEGIN {raise_it}; END $$")


def test_a_defect_of_ours_is_not_taken_for_a_database_that_is_away(
    postgres_engine: Engine,
) -> None:
    with pytest.raises(Exception, match="does not exist") as error, writing(postgres_engine) as c:
        c.execute(text("SELECT * FROM no_such_table"))
    assert not isinstance(error.value, DatabaseAwayError)


def test_a_lost_connection_is_made_anew(
    projection: Projection, postgres_engine: Engine, onlooker: psycopg.Connection
) -> None:
    checkpoint(projection)
    onlooker.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with pytest.raises(DatabaseAwayError):
        checkpoint(projection)
    checkpoint(projection)
    assert place(postgres_engine) == (5, None)


# --- a former owner in the way -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "met"),
    [
        ("copy", "StaleOwnerError"),  # it holds no lock: it is left alone, and finds its claim lost
        ("lock", "DatabaseAwayError"),  # its connection was ended
        ("copy_with_lock", "DatabaseAwayError"),
    ],
)
def test_a_frozen_former_owner_stops_nobody(
    projection: Projection, postgres_engine: Engine, postgres_url: str, where: str, met: str
) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-m", "tests.contract.frozen_owner", where],
        cwd=ROOT,
        env=environment(OWNER_OF=postgres_url),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        _, status = os.waitpid(owner.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "it ended before it froze"
        projection.claim_all(LOG, {1: 1, 0: 1})
        checkpoint(projection, number=9_999, title="ours")
        rows = content(postgres_engine)
        owner.send_signal(signal.SIGCONT)
        told, _ = owner.communicate(timeout=PATIENCE_S)
        assert told.split() == [met]
        assert content(postgres_engine) == rows
        assert [r["content_id"] for r in rows["session_starts"]] == ["ours"]
        assert rows["sessions_live"] == []
    finally:
        owner.kill()
        owner.wait()


def test_an_owner_that_is_only_slow_is_waited_for(
    projection: Projection, postgres_engine: Engine, onlooker: psycopg.Connection
) -> None:
    """It is inside its checkpoint, and done before a claimant loses patience."""
    checkpoint(projection)
    onlooker.autocommit = False
    onlooker.execute("UPDATE progress SET next_offset = 77")
    threading.Timer(0.3, onlooker.commit).start()
    assert projection.restore(projection.claim(0, LOG, 1)).next_offset == 77


def test_two_first_claims_at_once_are_two_owners(projection: Projection, postgres_url: str) -> None:
    claims = []

    def claim(partitions: Sequence[int]) -> None:
        engine = open_database(postgres_url)
        mine = Projection(engine, projection.projection)
        claims.append(mine.claim_all(LOG, dict.fromkeys(partitions, 1)))
        engine.dispose()

    orders = ((0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1))  # none may wait for one that waits for it
    threads = [threading.Thread(target=claim, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for partition in range(3):
        of_it = [it for some in claims for it in some if it.partition == partition]
        assert sorted(it.version for it in of_it) == [1, 2, 3, 4]
        assert len({it.owner for it in of_it}) == 4


def test_first_starts_at_once_make_one_projection(postgres_url: str) -> None:
    found = []

    def start() -> None:
        engine = open_database(postgres_url)
        found.append(ensure_live_projection(engine, Policy(), T0))
        engine.dispose()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1, 1, 1, 1]


# --- readers -------------------------------------------------------------------------------------


def test_readers_neither_wait_for_the_writer_nor_stop_it(
    projection: Projection, postgres_engine: Engine, onlooker: psycopg.Connection
) -> None:
    checkpoint(projection)
    onlooker.autocommit = False
    onlooker.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    count = "SELECT count(*) FROM sessions"
    assert onlooker.execute(count).fetchone() == (1,)
    with postgres_engine.begin() as connection:  # a transaction that writes, while others read
        connection.execute(text("UPDATE progress SET tick = 1"))
        connection.execute(text("DELETE FROM sessions_closed"))
        assert onlooker.execute(count).fetchone() == (1,)
    checkpoint(projection, number=2)
    onlooker.commit()
    assert onlooker.execute(count).fetchone() == (1,)


def test_a_reading_engine_does_not_write(postgres_url: str) -> None:
    reader = open_database(postgres_url, read_only=True)
    with pytest.raises(DatabaseAwayError, match="read-only"), writing(reader) as connection:
        connection.execute(text("DELETE FROM progress"))
    reader.dispose()
