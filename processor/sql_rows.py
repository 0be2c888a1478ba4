"""The rows of a checkpoint, table by table, and the statements that write them to SQLite.

On the record's way: between `processor.summarize` and SQL; `processor.projection` runs this inside
its transaction (on PostgreSQL: `postgres_rows`). Rows are absolute figures, so writing them twice
changes nothing. Imports `models` and `step`; never `ingest`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Dialect,
    Insert,
    Table,
    Update,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import sqlite

from models.rows import OpenSpan, RowKey, SessionFigures, StartRow, Summary
from models.tables import (
    CHILD_TABLES,
    closes_outbox,
    dead_letters,
    finding_rows,
    log_gap_rows,
    session_starts,
    sessions_closed,
    sessions_live,
)
from processor.claim import Claim
from processor.findings import AFTER_CLOSE
from processor.source import Close
from processor.step import AfterClose, DeadLetter

Rows = list[dict[str, Any]]
BIGINT_MAX: Final = 2**63 - 1
ENDLESS: Final = ("untracked_ms", "initial_startup_ms")
"""Figures that a client can drive beyond what SQL holds, with a clock that jumps to and fro."""


_KEY: Final = ("projection", "session_id")
_CLOSED: Final = (*_KEY, "log_partition", "first_offset", "last_offset", *SessionFigures._fields)
_LIVE: Final = (*_CLOSED, "due_at", "state", *OpenSpan._fields)


class SessionWrite(NamedTuple):
    """A session as a checkpoint writes it. `state` is what a restart goes on from."""

    summary: Summary
    log_partition: int
    first_offset: int
    last_offset: int
    due_at: int
    state: bytes


class AfterCloseWrite(NamedTuple):
    """What a session that is closed for good and in SQL still takes."""

    figures: AfterClose
    finding_count: int


class _Prepared(NamedTuple):
    """A statement for the driver: its text, which of a row's values each parameter takes, and what
    makes the driver's value of ours, by parameter."""

    text: str
    order: tuple[int, ...]
    converts: Sequence[tuple[int, Callable[[Any], Any]]]


_Statement = str | Insert | Update | Delete
"""One of SQLAlchemy's, or a text for the driver."""


class _Write(NamedTuple):
    """A statement and its rows."""

    statement: _Statement
    rows: list[Any]


class Gap(NamedTuple):
    """Records that were gone before they were read, and that an operator accepted so.

    `session_count`: sessions that were live then. `read_until`: what had arrived before that (ms)
    was read. `accepted_at`: ms.
    """

    first_offset: int
    last_offset: int
    session_count: int
    read_until: int | None
    accepted_at: int


class PartitionBatch(NamedTuple):
    """All that one partition gives to a checkpoint."""

    claim: Claim
    next_offset: int
    tick: int | None
    sessions: Sequence[SessionWrite]
    after_closes: Sequence[AfterCloseWrite]
    dead_letters: Sequence[DeadLetter]
    closes: Sequence[Close]
    gap: Gap | None = None


def stage(
    connection: Connection, projection: int, topic: str, batches: Sequence[PartitionBatch]
) -> Callable[[], None]:
    """Makes the rows, which takes as long as to write them; what it returns writes them, and
    everything but the progress."""
    sessions = [write for batch in batches for write in batch.sessions]
    after_closes = [write for batch in batches for write in batch.after_closes]
    letters = [letter for batch in batches for letter in batch.dead_letters]
    writes = [
        *_child_writes(projection, sessions),
        *_session_writes(projection, sessions),
        *_upsert_named(finding_rows, _after_close_findings(projection, after_closes)),
        *_upsert_named(dead_letters, _letter_rows(projection, topic, letters)),
        _Write(insert(closes_outbox), _close_rows(projection, batches)),
    ]

    def put_in_place() -> None:
        """In an order that leaves each session in one table."""
        delete_gone(connection, projection, sessions)
        for write in writes:
            _run(connection, *write)
        update_after_closes(connection, projection, after_closes)
        write_gaps(connection, projection, batches)

    return put_in_place


def _run(connection: Connection, statement: _Statement, rows: list[Any]) -> None:
    if not rows:
        return
    if isinstance(statement, str):
        connection.exec_driver_sql(statement, rows)
    else:
        connection.execute(statement, rows)


def _upsert(
    table: Table, names: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> Iterator[_Write]:
    """Writes rows, their values in the order of `names`, over those that are there. Past
    SQLAlchemy's parameters, which take as long as SQLite does: a checkpoint is mostly this."""
    if rows:
        text, order, converts = _prepared(table, names)
        given = [*zip(*rows, strict=True)]
        columns: list[Iterable[Any]] = [given[index] for index in order]
        for index, convert in converts:
            columns[index] = map(convert, columns[index])
        yield _Write(text, [*zip(*columns, strict=True)])


def _upsert_named(table: Table, rows: Rows) -> Iterator[_Write]:
    if rows:
        names = tuple(rows[0])
        yield from _upsert(table, names, [*map(itemgetter(*names), rows)])


@cache
def _prepared(table: Table, names: tuple[str, ...]) -> _Prepared:
    dialect = sqlite.dialect()
    compiled = _upserting(table).compile(dialect=dialect, column_keys=names)
    parameters = tuple(compiled.positiontup or ())
    converts = [
        (index, convert)
        for index, name in enumerate(parameters)
        if (convert := _convert(table.c[name], dialect))
    ]
    return _Prepared(str(compiled), tuple(map(names.index, parameters)), converts)


def _convert(column: Column[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    if column.name in ENDLESS:
        return _bounded
    return column.type.dialect_impl(dialect).bind_processor(dialect)


def _bounded(value: int | None) -> int | None:
    """Else one session would stop its partition."""
    return None if value is None else min(value, BIGINT_MAX)


@cache
def _upserting(table: Table) -> Insert:
    statement = sqlite.insert(table)
    keys = [column.name for column in table.primary_key]
    news = {c.name: statement.excluded[c.name] for c in table.c if c.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=news)


@cache
def _delete(table: Table) -> Delete:
    """Deletes by primary key; the rows to delete name the keys with a trailing underscore."""
    return delete(table).where(*(key == bindparam(f"{key.name}_") for key in table.primary_key))


def read_live(
    connection: Connection, projection: int, partitions: Sequence[int]
) -> Iterable[tuple[int, str, bytes, int]]:
    """Partition, id, state and due time of the partitions' live sessions."""
    columns = sessions_live.c
    query = select(columns.log_partition, columns.session_id, columns.state, columns.due_at).where(
        columns.projection == projection, columns.log_partition.in_(partitions)
    )
    rows = connection.execute(query, execution_options={"yield_per": 1_000})
    return ((row.log_partition, row.session_id, row.state, row.due_at) for row in rows)


def write_gaps(connection: Connection, projection: int, batches: Iterable[PartitionBatch]) -> None:
    """The gaps before which batches begin."""
    rows = [
        {"projection": projection, "log_partition": batch.claim.partition, **batch.gap._asdict()}
        for batch in batches
        if batch.gap is not None
    ]
    _run(connection, insert(log_gap_rows), rows)


def delete_gone(connection: Connection, projection: int, sessions: Iterable[SessionWrite]) -> None:
    """Deletes child rows that an earlier summary had and that are no more."""
    gone: defaultdict[str, Rows] = defaultdict(list)
    for write in sessions:
        for key in write.summary.gone:
            gone[key[0]].append(_gone_row(projection, write.summary.session_id, key))
    for name, rows in gone.items():
        _run(connection, _delete(CHILD_TABLES[name]), rows)


def _child_writes(projection: int, sessions: Iterable[SessionWrite]) -> Iterator[_Write]:
    new: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    names: dict[str, tuple[str, ...]] = {}
    for write in sessions:
        key = projection, write.summary.session_id
        for (table, _), row in write.summary.rows.items():
            new[table].append((*key, *row))
            names[table] = row._fields
    for table, rows in new.items():
        yield from _upsert(CHILD_TABLES[table], (*_KEY, *names[table]), rows)


def _gone_row(projection: int, session_id: str, key: RowKey) -> dict[str, Any]:
    name, number = key
    *_, last_key = CHILD_TABLES[name].primary_key
    return {"projection_": projection, "session_id_": session_id, f"{last_key.name}_": number}


def _session_writes(projection: int, sessions: Iterable[SessionWrite]) -> Iterator[_Write]:
    live: list[tuple[Any, ...]] = []
    closed: list[tuple[Any, ...]] = []
    starts: list[tuple[Any, ...]] = []
    moved: Rows = []
    for write in sessions:
        summary = write.summary
        key = projection, summary.session_id
        if summary.start is not None:
            starts.append((*key, *summary.start))
        row = (*key, *write[1:4], *summary.figures)
        if summary.final:
            closed.append(row)
            moved.append({"projection_": projection, "session_id_": summary.session_id})
        else:
            live.append((*row, write.due_at, write.state, *summary.open_span))
    yield from _upsert(session_starts, (*_KEY, *StartRow._fields), starts)
    yield from _upsert(sessions_live, _LIVE, live)
    yield _Write(_delete(sessions_live), moved)
    yield from _upsert(sessions_closed, _CLOSED, closed)


def update_after_closes(
    connection: Connection, projection: int, writes: Sequence[AfterCloseWrite]
) -> None:
    """Moves the counters of sessions that are closed for good."""
    statement = update(sessions_closed).where(
        sessions_closed.c.projection == projection,
        sessions_closed.c.session_id == bindparam("session_id_"),
    )
    rows = [
        {
            "session_id_": figures.session_id,
            "events_after_close_count": figures.events_after_close_count,
            "finding_count": finding_count,
            "last_offset": figures.last_offset,
        }
        for figures, finding_count in writes
    ]
    _run(connection, statement, rows)


def _after_close_findings(projection: int, writes: Iterable[AfterCloseWrite]) -> Rows:
    return [
        {
            "projection": projection,
            "session_id": figures.session_id,
            "code": AFTER_CLOSE,
            "count": figures.events_after_close_count,
            "first_ts": figures.first_ts,
            "detail": figures.detail,
        }
        for figures, _ in writes
    ]


def _letter_rows(projection: int, topic: str, letters: Iterable[DeadLetter]) -> Rows:
    rows = []
    for letter in letters:
        row = letter._asdict()
        row["log_partition"] = row.pop("partition")
        row.update(projection=projection, topic=topic)
        rows.append(row)
    return rows


def _close_rows(projection: int, batches: Iterable[PartitionBatch]) -> Rows:
    return [
        {
            "projection": projection,
            "log_partition": batch.claim.partition,
            "session_id": close.session_id,
            "closed_at": close.closed_at,
        }
        for batch in batches
        for close in batch.closes
    ]
