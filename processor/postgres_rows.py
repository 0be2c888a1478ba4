"""The rows of a checkpoint on PostgreSQL: COPY into temporary tables, then one statement a table.

On the record's way: between `processor.summarize` and SQL, inside the transaction of
`processor.projection`. All that the client sends goes into temporary tables, which lock nothing
that others want; what follows the progress row's lock is short and the server's own work. Imports
`models`, `sql_rows` and `step`; never `ingest`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import cache, partial
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Delete,
    Double,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    any_,
    bindparam,
    delete,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.schema import CreateTable

from models.rows import OpenSpan, SessionFigures, StartRow
from models.tables import (
    CHILD_TABLES,
    closes_outbox,
    dead_letters,
    session_starts,
    sessions_closed,
    sessions_live,
)
from models.tables_types import Instant, Json, Number
from processor.database import json_text
from processor.findings import AFTER_CLOSE
from processor.sql_rows import (
    BIGINT_MAX,
    ENDLESS,
    AfterCloseWrite,
    PartitionBatch,
    SessionWrite,
    delete_gone,
    update_after_closes,
    write_gaps,
)
from processor.step import DeadLetter

Row = list[Any]
Convert = Callable[[Any], Any]
_EPOCH_2000_MS: Final = 946_684_800_000
_JSONB_VERSION: Final = "\x01"


class _Wire(NamedTuple):
    """How a column goes over in COPY's binary format: the type whose bytes are sent, and what makes
    a value of that type out of ours (None: nothing to do)."""

    type_name: str
    convert: Convert | None = None


def _timestamp(ms: int) -> int:
    """A timestamptz is sent as the microseconds since 2000, in eight bytes, as an int8 is."""
    return (ms - _EPOCH_2000_MS) * 1_000


def _jsonb(value: Any) -> str:
    """A jsonb is sent as its version and the text, as a text is."""
    return _JSONB_VERSION + json_text(value)


def _numeric(value: float) -> Decimal:
    return Decimal(repr(value))


def _bounded(value: int) -> int:
    return min(value, BIGINT_MAX)  # else one session would stop its partition


_WIRES: Final[dict[type, _Wire]] = {
    BigInteger: _Wire("int8"),
    Boolean: _Wire("bool"),
    Double: _Wire("float8", float),
    Instant: _Wire("int8", _timestamp),
    Integer: _Wire("int4"),
    Json: _Wire("text", _jsonb),
    LargeBinary: _Wire("bytea"),
    Number: _Wire("numeric", _numeric),
    Text: _Wire("text"),
}

_temporary: Final = MetaData()


def _wire(column: Column[Any]) -> _Wire:
    return _Wire("int8", _bounded) if column.name in ENDLESS else _WIRES[type(column.type)]


class _Staging:
    """A temporary table beside `target`: its columns but the projection, and without constraints.

    `names` gives the columns in the order in which the rows have their values.
    """

    def __init__(self, target: Table, names: Sequence[str]) -> None:
        self.target = target
        columns: list[Column[Any]] = [Column(name, target.c[name].type) for name in names]
        self.table = Table(
            f"new_{target.name}",
            _temporary,
            *columns,
            schema="pg_temp",
            prefixes=["TEMPORARY"],
            postgresql_on_commit="DELETE ROWS",
        )
        wires = [_wire(target.c[name]) for name in names]
        self.types = [wire.type_name for wire in wires]
        self._converts = [(i, w.convert) for i, w in enumerate(wires) if w.convert is not None]

    def converted(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows with each value as it is sent. Changes them in place."""
        converts = self._converts
        for row in rows:
            for index, convert in converts:
                value = row[index]
                if value is not None:
                    row[index] = convert(value)
            yield row


_PLACE: Final = ("session_id", "log_partition", "first_offset", "last_offset")
_SESSION: Final = (*_PLACE, *SessionFigures._fields)
_LIVE: Final = _Staging(sessions_live, (*_SESSION, "due_at", "state", *OpenSpan._fields))
_CLOSED: Final = _Staging(sessions_closed, _SESSION)
_STARTS: Final = _Staging(session_starts, ("session_id", *StartRow._fields))
_CHILDREN: Final = {
    name: _Staging(table, [c.name for c in table.c if c.name != "projection"])
    for name, table in CHILD_TABLES.items()
}
_LETTERS: Final = _Staging(
    dead_letters, ("log_partition", "offset", "topic", "received_at", "reason", "key", "value")
)
_CLOSES: Final = _Staging(closes_outbox, ("position", "log_partition", "session_id", "closed_at"))
_STAGINGS: Final = (_LIVE, _CLOSED, _STARTS, *_CHILDREN.values(), _LETTERS, _CLOSES)


def stage(
    connection: Connection, projection: int, topic: str, batches: Sequence[PartitionBatch]
) -> Callable[[], None]:
    """Sends the rows to the server; what it returns puts them in place, in the same transaction.

    Errors: the driver's, as SQLAlchemy's.
    """
    _make_temporary_tables(connection)
    sessions = [write for batch in batches for write in batch.sessions]
    after_closes = [write for batch in batches for write in batch.after_closes]
    staged = _Staged(connection, projection)
    children = _child_rows(sessions, after_closes)
    for name, rows in children.items():
        staged.copy(_CHILDREN[name], [*rows.values()], list)
    staged.copy(_STARTS, _last(w for w in sessions if w.summary.start), _start_row)
    staged.copy(_LIVE, _last(w for w in sessions if not w.summary.final), _live_row)
    staged.copy(_CLOSED, _last(w for w in sessions if w.summary.final), _closed_row)
    staged.copy(_LETTERS, [*_letters(batches)], lambda letter: _letter_row(topic, letter))
    staged.copy(_CLOSES, [*_closes(batches)], list)
    write_gaps(connection, projection, batches)
    return partial(staged.put_in_place, sessions, after_closes)


def _last(writes: Iterable[SessionWrite]) -> list[SessionWrite]:
    """Of several writes of one session the last one: a statement may not write a row twice. (Only
    a producer of its own can put one session in two partitions.)"""
    return [*{write.summary.session_id: write for write in writes}.values()]


class _Staged:
    """What one checkpoint has sent so far."""

    def __init__(self, connection: Connection, projection: int) -> None:
        self._connection = connection
        self._projection = projection
        self._filled: list[_Staging] = []

    def copy(self, staging: _Staging, items: Sequence[Any], row_of: Callable[[Any], Row]) -> None:
        """Sends a row an item to the temporary table."""
        if items:
            _copy(self._connection, staging, staging.converted(map(row_of, items)))
            self._filled.append(staging)

    def put_in_place(
        self, sessions: Sequence[SessionWrite], after_closes: Sequence[AfterCloseWrite]
    ) -> None:
        """In an order that leaves each session in one table."""
        connection, projection = self._connection, self._projection
        delete_gone(connection, projection, sessions)
        for staging in self._filled:
            connection.execute(_put(staging, projection))
            if staging is _LIVE:
                self._delete_moved(sessions)
        if _LIVE not in self._filled:
            self._delete_moved(sessions)
        update_after_closes(connection, projection, after_closes)

    def _delete_moved(self, sessions: Sequence[SessionWrite]) -> None:
        ids = [write.summary.session_id for write in sessions if write.summary.final]
        if ids:
            self._connection.execute(_delete_moved(self._projection), {"ids": ids})


def _make_temporary_tables(connection: Connection) -> None:
    """Once a connection; again after a rollback, which takes them back."""
    known = text("SELECT to_regclass(:name)")
    if connection.execute(known, {"name": str(_STAGINGS[-1].table)}).scalar_one() is None:
        for staging in _STAGINGS:
            connection.execute(CreateTable(staging.table))


def _copy(connection: Connection, staging: _Staging, rows: Iterable[Row]) -> None:
    quote = connection.dialect.identifier_preparer.quote
    names = ", ".join(quote(column.name) for column in staging.table.c)
    statement = f"COPY {staging.table} ({names}) FROM STDIN (FORMAT BINARY)"
    with _copying(connection, statement) as copy:
        copy.set_types(staging.types)
        write_row = copy.write_row
        for row in rows:
            write_row(row)


def read_live(
    connection: Connection, projection: int, partitions: Sequence[int]
) -> Iterator[tuple[int, str, bytes, int]]:
    """Partition, id, state and due time of the partitions' live sessions, as they come from the
    server: there may be many. Errors: the driver's, as SQLAlchemy's."""
    columns = sessions_live.c
    query = select(columns.log_partition, columns.session_id, columns.state, columns.due_at).where(
        columns.projection == projection, columns.log_partition.in_(partitions)
    )
    text_of_it = query.compile(connection, compile_kwargs={"literal_binds": True})
    with _copying(connection, f"COPY ({text_of_it}) TO STDOUT (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "text", "bytea", "int8"])
        yield from copy.rows()


@contextmanager
def _copying(connection: Connection, statement: str) -> Iterator[Any]:
    """The driver's COPY. SQLAlchemy does not see what goes past it: errors are told as those of its
    own statements are."""
    driver = connection.dialect.loaded_dbapi
    raw: Any = connection.connection.driver_connection
    cursor = raw.cursor()
    try:
        with cursor, cursor.copy(statement) as copy:
            yield copy
    except driver.Error as error:
        if connection.dialect.is_disconnect(error, raw, cursor):
            connection.invalidate(error)
        kind = OperationalError if isinstance(error, driver.OperationalError) else DBAPIError
        raise kind(statement, None, error) from error


@cache
def _put(staging: _Staging, projection: int) -> Insert:
    """From the temporary table into its target; a row that is there is written over."""
    target, source = staging.target, staging.table
    is_queue = target is closes_outbox  # it has no rows to write over, but an order
    names = [c.name for c in source.c if not (is_queue and c.name == "position")]
    rows = select(literal(projection, Integer), *(source.c[name] for name in names))
    statement = insert(target)
    if is_queue:
        return statement.from_select(["projection", *names], rows.order_by(source.c.position))
    statement = statement.from_select(["projection", *names], rows)
    keys = [column.name for column in target.primary_key]
    news = {name: statement.excluded[name] for name in names if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=news)


@cache
def _delete_moved(projection: int) -> Delete:
    ids = bindparam("ids", type_=ARRAY(Text))
    return delete(sessions_live).where(
        sessions_live.c.projection == projection, sessions_live.c.session_id == any_(ids)
    )


def _child_rows(
    sessions: Iterable[SessionWrite], after_closes: Iterable[AfterCloseWrite]
) -> dict[str, dict[Any, tuple[Any, ...]]]:
    """By table and key."""
    rows: dict[str, dict[Any, tuple[Any, ...]]] = {name: {} for name in CHILD_TABLES}
    for write in sessions:
        session_id = write.summary.session_id
        for (name, number), row in write.summary.rows.items():
            rows[name][session_id, number] = (session_id, *row)
    findings = rows["findings"]
    for (session_id, count, first_ts, detail, _), _ in after_closes:
        key = (session_id, AFTER_CLOSE)
        findings[key] = (*key, count, first_ts, detail)
    return rows


def _start_row(write: SessionWrite) -> Row:
    assert write.summary.start is not None
    return [write.summary.session_id, *write.summary.start]


def _live_row(write: SessionWrite) -> Row:
    summary = write.summary
    return [*_place(write), *summary.figures, write.due_at, write.state, *summary.open_span]


def _closed_row(write: SessionWrite) -> Row:
    return [*_place(write), *write.summary.figures]


def _place(write: SessionWrite) -> tuple[str, int, int, int]:
    return write.summary.session_id, write.log_partition, write.first_offset, write.last_offset


def _letters(batches: Iterable[PartitionBatch]) -> Iterator[DeadLetter]:
    return (letter for batch in batches for letter in batch.dead_letters)


def _letter_row(topic: str, letter: DeadLetter) -> Row:
    partition, offset, received_at, reason, key, value = letter
    return [partition, offset, topic, received_at, reason.replace("\0", "\ufffd"), key, value]


def _closes(batches: Iterable[PartitionBatch]) -> Iterator[tuple[int, int, str, int | None]]:
    told = ((batch.claim.partition, close) for batch in batches for close in batch.closes)
    for position, (partition, (session_id, closed_at)) in enumerate(told):
        yield position, partition, session_id, closed_at
