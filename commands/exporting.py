"""Views and tables as files: rows out of one snapshot, a batch at a time, Parquet or CSV.

After the record's way: what `export` shows is written here. The types are those of the view's
query, so that a column is the same in SQL, in a file and in a data frame. Imports `models`.
"""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Protocol

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Date,
    Double,
    Integer,
    LargeBinary,
    Numeric,
    Select,
    String,
    TableClause,
    column,
    func,
    inspect,
    select,
    table,
)
from sqlalchemy.types import TypeEngine

from commands.errors import Failure
from models.tables import live_projection, metadata
from models.tables_types import Instant, Json, Number
from models.views import view_queries
from processor.database import json_text

Format = Literal["parquet", "csv"]
Kind = Literal["text", "integer", "number", "boolean", "instant", "day", "bytes"]
ROWS_AT_A_TIME: Final = 1_000
"""A row may hold two JSON objects of 64 KiB."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SESSION: Final = "session_id"
_STARTED: Final = "started_at"
_KINDS: Final[tuple[tuple[type[TypeEngine[Any]] | type[Any], Kind], ...]] = (
    (Instant, "instant"),
    (Json, "text"),
    (Number, "number"),
    (Date, "day"),
    (Boolean, "boolean"),
    (BigInteger, "integer"),
    (Integer, "integer"),
    (Double, "number"),
    (Numeric, "number"),
    (String, "text"),
    (LargeBinary, "bytes"),
)
"""The first that fits. Those of `models` come first."""
Row = Sequence[Any]


class Exported(NamedTuple):
    """A view or table as it is exported."""

    name: str
    source: TableClause
    kinds: dict[str, Kind]
    is_table: bool


class Period(NamedTuple):
    """From an instant up to, not with, another, ms; None: without that end."""

    from_ms: int | None = None
    to_ms: int | None = None


def exportable() -> dict[str, Exported]:
    """All views, then the tables behind them, by name."""
    views = {
        name: _exported(name, query.selected_columns, is_table=False)
        for name, query in view_queries().items()
    }
    tables = {
        name: _exported(name, found.columns, is_table=True)
        for name, found in metadata.tables.items()
        if name not in views
    }
    return {**views, **tables}


def _exported(name: str, columns: Any, *, is_table: bool) -> Exported:
    kinds = {found.name: _kind(name, found) for found in columns}
    source = table(name, *(column(found.name, found.type) for found in columns))
    return Exported(name, source, kinds, is_table)


def _kind(name: str, found: Any) -> Kind:
    for kind, word in _KINDS:
        if isinstance(found.type, kind):
            return word
    raise AssertionError(f"{name}.{found.name} has a type without a kind: {found.type!r}")


def query_of(exported: Exported, period: Period) -> Select[Any]:
    """The rows of a period. Of a session's things: those of sessions that started in it, so that
    files of one period fit together. Of a report: those of its days. Of anything else: by arrival.

    Errors: `Failure` for what has no time.
    """
    source = exported.source
    query = select(source)
    if exported.is_table and "projection" in source.c:
        live = select(live_projection.c.projection).scalar_subquery()
        query = query.where(source.c.projection == live)
    if period == Period():
        return query
    if _SESSION in source.c and exported.name != "sessions":
        return query.where(source.c[_SESSION].in_(_sessions_of(period)))
    by = next((name for name in (_STARTED, "day", "minute", "received_at") if name in source.c), "")
    if not by:
        raise Failure(
            f"{exported.name} has no time to choose by", "Leave --from and --to out for it."
        )
    return query.where(*_within(source.c[by], period, is_day=exported.kinds[by] == "day"))


def _sessions_of(period: Period) -> Select[Any]:
    sessions = table("sessions", column(_SESSION, String()), column(_STARTED, Instant()))
    return select(sessions.c[_SESSION]).where(*_within(sessions.c[_STARTED], period, is_day=False))


def _within(by: Any, period: Period, *, is_day: bool) -> Iterator[Any]:
    """A day belongs to a period that it begins in."""
    if period.from_ms is not None:
        yield by >= (_day_from(period.from_ms) if is_day else period.from_ms)
    if period.to_ms is not None:
        yield by < (_day_from(period.to_ms) if is_day else period.to_ms)


def _day_from(ms: int) -> date:
    """The first day that begins at that instant or later, UTC."""
    instant = _EPOCH + timedelta(milliseconds=ms)
    is_midnight = instant.time().isoformat() == "00:00:00"
    return instant.date() if is_midnight else instant.date() + timedelta(days=1)


class Snapshot:
    """Reads what it is asked for, as of one moment if the connection does."""

    def __init__(self, connection: Connection, name: str) -> None:
        """`name`: what people call the database."""
        self._connection = connection
        self._name = name

    def must_have(self, exported: Exported) -> None:
        """Errors: `Failure`."""
        if not inspect(self._connection).has_table(exported.name):
            raise Failure(
                f"database {self._name} has no {exported.name}",
                "Give the right --data or --database, or run `bookended migrate`.",
            )

    def count(self, query: Select[Any]) -> int:
        """How many rows there are."""
        counted = select(func.count()).select_from(query.subquery())
        return int(self._connection.execute(counted).scalar_one())

    def batches(self, query: Select[Any]) -> Iterator[Sequence[Row]]:
        """All rows; on PostgreSQL by a cursor of the server's, so that neither side holds them."""
        options = {"yield_per": ROWS_AT_A_TIME}
        with self._connection.execute(query, execution_options=options) as result:
            yield from result.partitions()


class Writer(Protocol):
    """One file while it is written."""

    def write(self, rows: Sequence[Row]) -> None: ...

    def close(self) -> None: ...


class CsvWriter:
    """UTF-8 with a header; instants in ISO 8601, true and false, bytes in hex, null as nothing."""

    def __init__(self, path: Path, kinds: dict[str, Kind]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(kinds)
        self._texts = [_TEXTS.get(kind) for kind in kinds.values()]

    def write(self, rows: Sequence[Row]) -> None:
        self._writer.writerows(map(self._cells, rows))

    def _cells(self, row: Row) -> list[Any]:
        return [
            value if value is None or text_of is None else text_of(value)
            for value, text_of in zip(row, self._texts, strict=True)
        ]

    def close(self) -> None:
        self._file.close()


def _text(value: Any) -> str:
    """A text as it is, JSON as JSON."""
    return value if isinstance(value, str) else json_text(value)


def _iso(ms: int) -> str:
    instant = _EPOCH + timedelta(milliseconds=ms)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


_TEXTS: Final[dict[Kind, Callable[[Any], str]]] = {
    "text": _text,
    "boolean": lambda value: "true" if value else "false",
    "instant": _iso,
    "day": date.isoformat,
    "bytes": lambda value: bytes(value).hex(),
}


@contextmanager
def whole_file(path: Path, *, may_replace: bool) -> Iterator[Path]:
    """A file to write to in the block; it takes its place at the end, durable, or never.

    Errors: `Failure` if the place is taken, `OSError`.
    """
    must_be_free(path, may_replace=may_replace)
    growing = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield growing
        handle = os.open(growing, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        must_be_free(path, may_replace=may_replace)
        growing.replace(path)
    finally:
        growing.unlink(missing_ok=True)


def must_be_free(path: Path, *, may_replace: bool) -> None:
    """Errors: `Failure`."""
    if path.exists() and not may_replace:
        raise Failure(f"{path} exists", "Give another --output, or --force to replace it.")
