"""A month of sessions in a database: a crowd that the real rules folded, copied over the days.

The sessions of one slot are simulated, folded and written; the server then copies the closed ones
30 days long, with ids, visitors and times of their own, in the order in which a processor writes.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, Connection, Engine, Table, text

import migrations
from deploy.local import LocalPostgres
from models.partitions import partition_of
from models.tables import (
    ad_break_rows,
    ad_rows,
    finding_rows,
    session_starts,
    sessions_closed,
    span_rows,
)
from models.tables_types import Instant
from processor.database import open_database
from processor.postgres_engine import is_postgres
from tests.bench.figures import Effort
from tests.deploy.files import postgres_settings
from tests.reports.crowd import write_crowd

# A seventh more than there will be: so many of a slot's sessions are live at its end, not copied.
SESSIONS: Final = 1_160_000
QUICK_SESSIONS: Final = 1_500
_SLOTS: Final = 20
DAYS: Final = 30
DAY_MS: Final = 86_400_000
START_MS: Final = 1_772_323_200_000  # 1 March 2026
_TABLES: Final = (
    session_starts,
    span_rows,
    ad_break_rows,
    ad_rows,
    finding_rows,
    sessions_closed,
)
_SLOT: Final = """
    CREATE TEMPORARY TABLE slot_{0} AS
    SELECT * FROM {0} WHERE session_id IN (SELECT session_id FROM sessions_closed)"""
_VISITORS: Final = 0.3  # a session: many come again


def million(effort: Effort) -> str:
    """The address of a PostgreSQL with a million sessions, which the benchmarks of a run share. It
    is set as that of deploy/compose.yaml."""
    return effort.kept.once("million", lambda: _million(effort))


@contextmanager
def _million(effort: Effort) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)  # as root PostgreSQL runs as another account, which must get in
        effort.tell("starting PostgreSQL")
        with LocalPostgres(directory / "postgres", settings=postgres_settings()) as server:
            engine = open_database(server.url)
            migrations.upgrade(engine)
            sessions = effort.size(SESSIONS, QUICK_SESSIONS)
            fill(engine, sessions, effort.size(_SLOTS, 1), effort.tell)
            engine.dispose()
            yield server.url


def fill(engine: Engine, sessions: int, slots: int, tell: Callable[[str], None]) -> None:
    """Writes about so many sessions over 30 days of `slots` slots, from `START_MS` on."""
    slot_ms = DAY_MS // slots
    tell("simulating one slot")
    number = write_crowd(engine, 1, sessions // (DAYS * slots), START_MS - slot_ms, slot_ms)
    visitors = int(sessions * _VISITORS)
    with engine.begin() as connection:
        _prepare(connection)
        if is_postgres(engine):  # what is read is the same, and nobody needs it after a crash
            for table in _TABLES:
                connection.execute(text(f"ALTER TABLE {partition_of(table, number)} SET UNLOGGED"))
        for table in _TABLES:
            connection.execute(text(_SLOT.format(table.name)))
        for day in range(DAYS):
            tell(f"copying it to day {day + 1} of {DAYS}")
            for table in _TABLES:
                values = [_copied(connection, column, slot_ms, visitors) for column in table.c]
                connection.execute(_copying(table, values, day * slots + 1, (day + 1) * slots))
    tell("analysing")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _prepare(connection)
        connection.execute(text("VACUUM ANALYZE" if is_postgres(engine) else "ANALYZE"))


def _prepare(connection: Connection) -> None:
    if is_postgres(connection):
        connection.execute(text("SET statement_timeout = 0"))
        return
    driver: Any = connection.connection.driver_connection
    driver.create_function("md5", 1, lambda t: hashlib.md5(t.encode()).hexdigest())  # noqa: S324
    driver.create_function("later", 2, lambda time, ms: f"{int(time, 16) + ms:012x}")
    driver.create_function("hashtext", 1, lambda t: hash(t) % 2**31)


def _copied(connection: Connection, column: Column[Any], slot_ms: int, visitors: int) -> str:
    """The column's value in copy `k` of a row `s`, in SQL."""
    name = f's."{column.name}"'
    if column.name == "session_id":
        # A time and a random part, as a collector makes them: sessions of a day lie together.
        random = "substr(md5(s.session_id || k) || md5(k || s.session_id), 1, 52)"
        return f"{_later(connection, slot_ms)} || {random}"
    if column.name == "visitor_id":
        return f"'visitor-' || abs(hashtext(s.session_id || k)) % {visitors:d}"
    if not isinstance(column.type, Instant):
        return name
    if is_postgres(connection):
        return f"{name} + k * interval '{slot_ms:d} milliseconds'"
    return f"strftime('%Y-%m-%d %H:%M:%f', {name}, (k * {slot_ms // 1000:d}) || ' seconds')"


def _later(connection: Connection, slot_ms: int) -> str:
    """The first 12 digits of a session's id, which are its time, in copy `k`, in SQL."""
    if is_postgres(connection):
        time = f"('x' || substr(s.session_id, 1, 12))::bit(48)::bigint + k * {slot_ms:d}::bigint"
        return f"lpad(to_hex({time}), 12, '0')"
    return f"later(substr(s.session_id, 1, 12), k * {slot_ms:d})"


def _copying(table: Table, values: list[str], first: int, last: int) -> Any:
    names = ", ".join(f'"{column.name}"' for column in table.c)
    return text(
        f"INSERT INTO {table.name} ({names}) "  # noqa: S608 - the names are our own
        "WITH RECURSIVE copies(k) AS"
        f" (SELECT {first:d} UNION ALL SELECT k + 1 FROM copies WHERE k < {last:d}) "
        f"SELECT {', '.join(values)} FROM copies CROSS JOIN slot_{table.name} s ORDER BY k"
    )
