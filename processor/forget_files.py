"""Forgets viewers in files that keep events: an archive's, and the embedded log.

Beside the record's way. Values that may name somebody are replaced, records and offsets stay. An
archive's file is written anew under another name; then the manifest is, in one step; then the old
file goes. A kill in between leaves a whole archive, and what is in no manifest is swept away by the
next run. Imports `models`, `forgetting` and the archive's modules.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from fastavro import reader

from models.archived import from_fields, to_fields
from models.avro import UndecodableRecord, decode, encode
from models.records import LogRecord, Record
from processor.archive import ArchiveDamagedError, Entry, PartitionArchive
from processor.archive_check import must_be_whole
from processor.archive_file import GrowingFile
from processor.fields import visitor_of
from processor.forgetting import disguised

_UNREADABLE: Final = b"forgotten"
_OF_SESSIONS: Final = (
    'SELECT "offset", received_at, CAST(key AS BLOB), CAST(value AS BLOB) FROM log_records '
    'WHERE key IN (SELECT value FROM json_each(?)) AND "offset" > ? ORDER BY "offset" LIMIT ?'
)
_BUSY_TIMEOUT_S: Final = 30.0
_IDS_MAX: Final = 500
_ROWS_MAX: Final = 100
"""Records in hand at once; each may be an offline list of 9 MiB."""


def sessions_in_archive(archive: PartitionArchive, visitor_id: str) -> set[str]:
    """Ids of the sessions whose `sessionStart` names the visitor.

    Errors: `ArchiveDamagedError`, `OSError`.
    """
    return {
        record.session_id
        for entry in archive.entries
        for _, record in _read(archive, entry)
        if isinstance(record, Record)
        and any(
            event.type == "sessionStart" and visitor_of(event.params) == visitor_id
            for event in record.events
        )
    }


def forget_in_archive(
    archive: PartitionArchive,
    ids: Collection[str],
    secret: bytes,
    progress: Callable[[int], object],
) -> int:
    """Replaces what may name somebody in the sessions' records; says how many files were written
    anew. `progress` is told the bytes of each file.

    Errors: `ArchiveDamagedError`, `OSError`: what was written before stays.
    """
    archive.sweep()
    written = 0
    for number, entry in enumerate(archive.entries):
        if any(_is_of(record, ids) for _, record in _read(archive, entry)):
            archive.put(number, _rewritten(archive, entry, ids, secret))
            written += 1
        progress(entry.bytes)
    return written


def _rewritten(
    archive: PartitionArchive, entry: Entry, ids: Collection[str], secret: bytes
) -> Entry:
    growing = GrowingFile(archive.path, entry.from_offset, entry.first_received_at)
    try:
        for fields, record in _read(archive, entry):
            changed = fields
            if _is_of(record, ids):
                changed = to_fields(
                    _forgotten(_log_record(archive.partition, fields, record), secret)
                )
            growing.add(changed)
        return growing.finish(entry.next_offset, revision=_revision(entry) + 1)
    except BaseException:
        growing.discard()
        raise


def _revision(entry: Entry) -> int:
    _, _, number = Path(entry.file or "").stem.partition("-r")
    return int(number) if number.isdecimal() else 0


def _read(
    archive: PartitionArchive, entry: Entry
) -> Iterator[tuple[dict[str, Any], Record | LogRecord]]:
    if entry.file is None:
        return
    must_be_whole(archive, entry)
    path = archive.path / entry.file
    try:
        with path.open("rb") as file:
            for fields in reader(file):
                assert isinstance(fields, dict)
                yield fields, from_fields(archive.partition, fields)
    except (ValueError, KeyError, EOFError, UndecodableRecord) as error:
        raise ArchiveDamagedError(path, f"it is no archive file of bookended: {error}") from error


def _is_of(record: Record | LogRecord, ids: Collection[str]) -> bool:
    if isinstance(record, Record):
        return record.session_id in ids
    return record.key.decode("utf-8", "replace") in ids


def _log_record(partition: int, fields: dict[str, Any], record: Record | LogRecord) -> LogRecord:
    if isinstance(record, LogRecord):
        return record
    session_id, offline, events = record
    value = encode(session_id, events, offline=offline)
    place = (partition, fields["offset"], fields["received_at"])
    return LogRecord(*place, session_id.encode(), value)


def _forgotten(record: LogRecord, secret: bytes) -> LogRecord:
    """The record with nothing left that may name somebody; bytes that nobody can decode are gone,
    the record stays where it is."""
    try:
        session_id, offline, events = decode(record)
    except UndecodableRecord:
        return record._replace(value=_UNREADABLE)
    changed = [disguised(event, secret) for event in events]
    return record._replace(value=encode(session_id, changed, offline=offline))


def forget_in_log(path: Path, ids: Collection[str], secret: bytes) -> int:
    """The same in the embedded log's file; says how many records changed. What was there is
    overwritten on the disk.

    Errors: `sqlite3.Error`, also when another program reads the file for so long that it cannot be:
    then it is to be done again.
    """
    with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)) as log:
        log.execute("PRAGMA secure_delete = ON")
        changed = 0
        wanted = sorted(ids)
        for at in range(0, len(wanted), _IDS_MAX):
            changed += _forget_sessions(log, json.dumps(wanted[at : at + _IDS_MAX]), secret)
        _clear_wal(log)
        return changed


def _clear_wal(log: sqlite3.Connection) -> None:
    """What was there is in the write-ahead log as well, and in the file until that is copied."""
    is_in_the_way, *_ = log.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_in_the_way:
        raise sqlite3.OperationalError("database is locked by a reader")


def _forget_sessions(log: sqlite3.Connection, ids: str, secret: bytes) -> int:
    changed, after = 0, -1
    while rows := log.execute(_OF_SESSIONS, (ids, after, _ROWS_MAX)).fetchall():
        changed += _forget_rows(log, [LogRecord(0, *row) for row in rows], secret)
        after, *_ = rows[-1]
    return changed


def _forget_rows(log: sqlite3.Connection, records: Sequence[LogRecord], secret: bytes) -> int:
    changes = [(record, _forgotten(record, secret)) for record in records]
    different = [(new.value, old.offset) for old, new in changes if new.value != old.value]
    if different:
        log.execute("BEGIN IMMEDIATE")
        log.executemany('UPDATE log_records SET value = ? WHERE "offset" = ?', different)
        log.execute("COMMIT")
    return len(different)
