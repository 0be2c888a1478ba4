"""Replays dead letters: their bytes into the log again, so that what was once unreadable is folded.

Part of the composition root. A replay never folds: the processor reads what it published like any
other record. It may be killed at any line and started again without doubling a record
(docs/architecture.md "Replaying dead letters"). Imports `log_again` and `processor`.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import DBAPIError

from commands.errors import Failure
from commands.locks import sole
from commands.log_again import KeyAndValue, LogAgain, PublisherTo
from commands.settings import Stored
from ingest.publisher import PublishError
from models.avro import UndecodableRecord, decode
from models.records import LogRecord
from models.tables import progress
from processor.database import reading, writing
from processor.dead_letters import (
    BatchBounds,
    StoredLetter,
    Wanted,
    begin_replay,
    next_batch,
    remove,
)
from processor.postgres_engine import is_postgres
from processor.source import OtherLogError

_LOCK: Final = 7_143_805_932_114_068  # any number that no other program locks
_BEFORE_ALL: Final = (-1, -1)


class Replayed(NamedTuple):
    """What became of the letters that a replay looked at.

    `found`: an earlier, interrupted replay had published them. `unreadable`: this release cannot
    read them either; they stay.
    """

    published: int = 0
    found: int = 0
    unreadable: int = 0

    def __add__(self, other: "Replayed") -> "Replayed":  # type: ignore[override]
        return Replayed(*(mine + its for mine, its in zip(self, other, strict=True)))


class Replay:
    """One replay. `progress` is told how many letters each batch had."""

    def __init__(
        self,
        engine: Engine,
        projection: int,
        log: LogAgain,
        progress: Callable[[int], object],
        bounds: BatchBounds | None = None,
    ) -> None:
        self._engine = engine
        self._projection = projection
        self._log = log
        self._progress = progress
        self._bounds = bounds or BatchBounds()

    async def run(self, wanted: Wanted, limit: int | None) -> Replayed:
        """Replays what is wanted, in log order, at most `limit` letters.

        Errors: `OtherLogError`, `Failure` when the log does not take a record, those of log and
        database. What was published by then is in the log, and is not published again.
        """
        done = Replayed()
        partitions = self._check_log()
        async with self._log.publisher(max(partitions, default=0) + 1).at_work() as publisher:
            after = _BEFORE_ALL
            while letters := self._next(wanted, after, limit, done):
                after = (letters[-1].log_partition, letters[-1].offset)
                done += await self._batch(letters, publisher)
                self._progress(len(letters))
        return done

    def _check_log(self) -> list[int]:
        """The partitions read; the log must be the one that they were read from."""
        query = select(progress.c.log_partition, progress.c.log_id).where(
            progress.c.projection == self._projection
        )
        log_id = self._log.log_id()
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        for row in rows:
            if row.log_id != log_id:
                raise OtherLogError(self._log.name(), row.log_partition, row.log_id, log_id)
        return [row.log_partition for row in rows]

    def _next(
        self, wanted: Wanted, after: tuple[int, int], limit: int | None, done: Replayed
    ) -> list[StoredLetter]:
        """The next batch behind a place; empty when there is none, or the limit is reached."""
        bounds = self._bounds
        if limit is not None:
            left = limit - done.published - done.found
            bounds = bounds._replace(letters_max=min(bounds.letters_max, left))
        with reading(self._engine) as connection:
            return next_batch(connection, self._projection, wanted, after, bounds)

    async def _batch(self, letters: Sequence[StoredLetter], publisher: PublisherTo) -> Replayed:
        """Letters of one partition, in log order."""
        found = self._find([letter for letter in letters if letter.replay_from is not None])
        with writing(self._engine) as connection:
            remove(connection, self._projection, found)
        offsets = {letter.offset for letter in found}
        rest = [letter for letter in letters if letter.offset not in offsets]
        readable = [letter for letter in rest if is_readable(letter)]
        if readable:
            end_offset = self._log.end_offset(readable[0].log_partition)
            with writing(self._engine) as connection:
                begin_replay(connection, self._projection, readable, end_offset)
            await self._publish(readable, publisher)
        return Replayed(len(readable), len(found), len(rest) - len(readable))

    def _find(self, begun: Sequence[StoredLetter]) -> list[StoredLetter]:
        """Those that an interrupted replay has published: the log has their bytes behind the mark.

        Errors: `Failure` when the log has let go of what lies behind a mark.
        """
        if not begun:
            return []
        partition = begun[0].log_partition
        first = min(letter.replay_from or 0 for letter in begun)
        start_offset = self._log.start_offset(partition)
        if first < start_offset:
            raise Failure(
                f"a replay that was interrupted began at offset {first} of partition {partition}, "
                f"but the log starts at {start_offset} by now: what it published is not to be told",
                "Drop these dead letters: `bookended dead-letters list` says which were begun.",
            )
        wanted = {_bytes(letter) for letter in begun}
        records = self._log.records(partition, first)
        present = Counter(record for record in records if record in wanted)
        found = []
        for letter in begun:
            if present[_bytes(letter)] > 0:  # of several that are alike, as many as there are
                present[_bytes(letter)] -= 1
                found.append(letter)
        return found

    async def _publish(self, letters: Sequence[StoredLetter], publisher: PublisherTo) -> None:
        """Each session's records one after the other, so that a fault leaves no gap in a session;
        several sessions at a time. Rows go as soon as their records are acknowledged."""
        publisher.chosen.chosen = letters[0].log_partition
        by_session: defaultdict[bytes, list[StoredLetter]] = defaultdict(list)
        for letter in letters:
            by_session[letter.key].append(letter)
        acknowledged: list[StoredLetter] = []

        async def publish(session: Sequence[StoredLetter]) -> None:
            for letter in session:
                await publisher.publisher.publish(letter.key.decode(), letter.value)
                acknowledged.append(letter)

        try:
            results = await asyncio.gather(
                *map(publish, by_session.values()), return_exceptions=True
            )
        finally:
            with writing(self._engine) as connection:
                remove(connection, self._projection, acknowledged)
        for result in results:
            if isinstance(result, PublishError):
                raise Failure(
                    f"the log did not take all of the records: {result.reason}",
                    f"{len(letters) - len(acknowledged)} of this batch are left. Replay again: "
                    "none is published twice.",
                ) from result
            if result is not None:
                raise result


@contextmanager
def sole_replay(settings: Stored, engine: Engine) -> Iterator[None]:
    """One replay of a database at a time. Errors: `Failure`."""
    if not is_postgres(engine):
        with sole("replay", settings.database_path):
            yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not _locks(connection):
            raise Failure(
                f"another replay of {settings.database_name} is at work", "Wait for its end."
            )
        try:
            yield
        finally:
            _unlock(connection)


def _locks(connection: Connection) -> bool:
    """The lock is the connection's, and ends with it."""
    lock = connection.execute(text("SELECT pg_try_advisory_lock(:number)"), {"number": _LOCK})
    return bool(lock.scalar_one())


def _unlock(connection: Connection) -> None:
    """Said, and not left to the connection's end, which the server notices some time later: a
    replay that comes next would be refused. Where the connection is lost, the lock is too."""
    with suppress(DBAPIError):
        connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": _LOCK})
    connection.invalidate()


def is_readable(letter: StoredLetter) -> bool:
    """Whether this release can read the record; it makes no sense to replay it if not."""
    try:
        decode(LogRecord(letter.log_partition, letter.offset, 0, letter.key, letter.value))
    except UndecodableRecord:
        return False
    return True


def _bytes(letter: StoredLetter) -> KeyAndValue:
    return letter.key, letter.value
