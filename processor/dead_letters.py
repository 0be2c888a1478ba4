"""Dead letters in SQL as operators handle them: looked at, replayed, dropped.

Beside the record's way: checkpoints write the rows (`projection`), `bookended dead-letters` calls
this. A replay marks a row before it publishes its record and deletes it afterwards
(docs/architecture.md "Replaying dead letters"). Every function works on one projection, in the
caller's transaction. Imports `models`.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, and_, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from models.tables import dead_letters, settled_letters
from processor.postgres_engine import is_postgres

_ROWS_AT_A_TIME: Final = 20
"""A row may hold 9 MiB."""

_OFFSETS_MAX: Final = 500
"""Offsets in one look-up; SQLite takes 32,766 values a statement."""

Place = tuple[int, int]
"""Partition and offset."""

_COLUMNS: Final[tuple[Column[Any], ...]] = (
    dead_letters.c.log_partition,
    dead_letters.c.offset,
    dead_letters.c.topic,
    dead_letters.c.received_at,
    dead_letters.c.reason,
    dead_letters.c.key,
    dead_letters.c.value,
    dead_letters.c.replay_from,
)


class Wanted(NamedTuple):
    """Which dead letters are meant; None: whatever it is. `reason`: a text in the reason. Times are
    arrival times, ms: from `from_ms` up to, not with, `to_ms`."""

    log_partition: int | None = None
    reason: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None


class StoredLetter(NamedTuple):
    """One row. `replay_from`: where the log ended before its replay was begun; None: it was not."""

    log_partition: int
    offset: int
    topic: str
    received_at: int
    reason: str
    key: bytes
    value: bytes
    replay_from: int | None


class BatchBounds(NamedTuple):
    """How much a batch holds; at least one row."""

    letters_max: int = 500
    bytes_max: int = 16 * 1024 * 1024


def count(connection: Connection, projection: int, wanted: Wanted) -> int:
    """How many there are."""
    query = select(func.count()).select_from(dead_letters).where(_are(projection, wanted))
    return int(connection.execute(query).scalar_one())


def newest(
    connection: Connection, projection: int, wanted: Wanted, letters_max: int
) -> Iterator[StoredLetter]:
    """Those that came last, the last first, a few in memory at a time."""
    query = (
        select(*_COLUMNS)
        .where(_are(projection, wanted))
        .order_by(
            dead_letters.c.received_at.desc(),
            dead_letters.c.log_partition,
            dead_letters.c.offset.desc(),
        )
        .limit(letters_max)
    )
    return _rows(connection, query)


def next_batch(
    connection: Connection, projection: int, wanted: Wanted, after: Place, bounds: BatchBounds
) -> list[StoredLetter]:
    """The next ones behind a place, in log order, of one partition. Empty: there are no more."""
    columns = dead_letters.c
    partition, offset = after
    behind = or_(
        columns.log_partition > partition,
        and_(columns.log_partition == partition, columns.offset > offset),
    )
    query = (
        select(*_COLUMNS)
        .where(_are(projection, wanted), behind)
        .order_by(columns.log_partition, columns.offset)
        .limit(bounds.letters_max)
    )
    letters: list[StoredLetter] = []
    size = 0
    for letter in _rows(connection, query):
        size += len(letter.value)
        is_other = letters and letter.log_partition != letters[0].log_partition
        if is_other or (letters and size > bounds.bytes_max):
            break
        letters.append(letter)
    return letters


def begin_replay(
    connection: Connection, projection: int, letters: Collection[StoredLetter], replay_from: int
) -> None:
    """Marks letters of one partition. One that was marked before keeps its older mark: what an
    earlier replay published of it lies behind that."""
    if letters:
        connection.execute(
            update(dead_letters)
            .where(_at(projection, letters), dead_letters.c.replay_from.is_(None))
            .values(replay_from=replay_from)
        )


def remove(connection: Connection, projection: int, letters: Collection[StoredLetter]) -> None:
    """Deletes letters of one partition, and remembers that they are settled."""
    if letters:
        connection.execute(delete(dead_letters).where(_at(projection, letters)))
        (partition,) = {letter.log_partition for letter in letters}
        settle(connection, partition, [letter.offset for letter in letters])


def drop(connection: Connection, projection: int, wanted: Wanted, letters_max: int) -> int:
    """Deletes at most so many, in log order; how many there were."""
    columns = dead_letters.c
    places = (
        select(columns.log_partition, columns.offset)
        .where(_are(projection, wanted))
        .order_by(columns.log_partition, columns.offset)
        .limit(letters_max)
    )
    found = connection.execute(places).all()
    for partition in sorted({row.log_partition for row in found}):
        offsets = [row.offset for row in found if row.log_partition == partition]
        connection.execute(delete(dead_letters).where(_with(projection, partition, offsets)))
        settle(connection, partition, offsets)
    return len(found)


def settle(connection: Connection, partition: int, offsets: Collection[int]) -> None:
    """Notes that a partition's letters are done with: a rebuild meets them again and passes."""
    dialect = postgresql if is_postgres(connection) else sqlite
    rows = [{"log_partition": partition, "offset": offset} for offset in offsets]
    connection.execute(dialect.insert(settled_letters).on_conflict_do_nothing(), rows)


def settled(connection: Connection, partition: int, offsets: Sequence[int]) -> set[int]:
    """Those of the offsets whose records were dead letters and have been replayed or dropped."""
    columns = settled_letters.c
    query = select(columns.offset).where(columns.log_partition == partition)
    found: set[int] = set()
    for at in range(0, len(offsets), _OFFSETS_MAX):
        some = query.where(columns.offset.in_(offsets[at : at + _OFFSETS_MAX]))
        found.update(connection.execute(some).scalars())
    return found


def _rows(connection: Connection, query: Any) -> Iterator[StoredLetter]:
    result = connection.execute(query, execution_options={"yield_per": _ROWS_AT_A_TIME})
    with result:
        for row in result:
            yield StoredLetter(*row)


def _are(projection: int, wanted: Wanted) -> ColumnElement[bool]:
    columns = dead_letters.c
    conditions: list[ColumnElement[bool]] = [columns.projection == projection]
    if wanted.log_partition is not None:
        conditions.append(columns.log_partition == wanted.log_partition)
    if wanted.reason is not None:
        conditions.append(columns.reason.icontains(wanted.reason, autoescape=True))
    if wanted.from_ms is not None:
        conditions.append(columns.received_at >= wanted.from_ms)
    if wanted.to_ms is not None:
        conditions.append(columns.received_at < wanted.to_ms)
    return and_(*conditions)


def _at(projection: int, letters: Collection[StoredLetter]) -> ColumnElement[bool]:
    (partition,) = {letter.log_partition for letter in letters}
    return _with(projection, partition, [letter.offset for letter in letters])


def _with(projection: int, partition: int, offsets: Collection[int]) -> ColumnElement[bool]:
    columns = dead_letters.c
    return and_(
        columns.projection == projection,
        columns.log_partition == partition,
        columns.offset.in_(offsets),
    )
