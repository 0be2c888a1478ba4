"""Records out of an archive, in log order, decoded: what a rebuild folds.

Beside the record's way: in the place of a log and `step.decode_records`. Holds one block of one
file at a time. A file is checked against its manifest before its first record is given, so that a
damaged archive is told and never folded. Imports `models`, `step` and the archive's modules.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NamedTuple

from fastavro import block_reader

from models.archived import ARCHIVE_SCHEMA, from_fields
from models.archived_bare import PING, BareRecords
from models.avro import UndecodableRecord
from models.records import Event, LogRecord, Record
from processor.archive import ArchiveDamagedError, Entry, PartitionArchive
from processor.archive_check import must_be_whole
from processor.by_session import Item, Stretch, arrived_at, offset_of, placed
from processor.step import DeadLetter, Decoded, PlacedRecord, decode_any

_WRITTEN: Final = {name: value for name, value in ARCHIVE_SCHEMA.items() if name[:2] != "__"}
"""This release's schema as a file has it: without what the library adds."""


class _Block(NamedTuple):
    """What a block of a file holds: session ids and items side by side, in log order."""

    session_ids: list[bytes]
    items: list[Item]
    dead_letters: list[DeadLetter]
    next_offset: int


def read_archived(archive: PartitionArchive, from_offset: int) -> Iterator[Decoded]:
    """All batches of a partition from `from_offset` on. What no release could decode so far is
    tried again, and a dead letter if this one cannot either.

    Errors: `ArchiveDamagedError`, `OSError`.
    """
    partition = archive.partition
    for session_ids, items, letters, next_offset in _read(archive, from_offset):
        yield Decoded(
            [
                placed(partition, session_id.decode(), item)
                for session_id, item in zip(session_ids, items, strict=True)
            ],
            letters,
            {partition: next_offset},
        )


def read_by_session(
    archive: PartitionArchive, from_offset: int, records_min: int
) -> Iterator[Stretch]:
    """The same by session, in stretches of whole blocks with so many records or more.

    Errors: `ArchiveDamagedError`, `OSError`.
    """
    sessions: defaultdict[bytes, list[Item]] = defaultdict(list)
    dead_letters: list[DeadLetter] = []
    count = received_at = 0
    next_offset = from_offset
    for session_ids, items, letters, next_offset in _read(archive, from_offset):
        for session_id, item in zip(session_ids, items, strict=True):
            sessions[session_id].append(item)
        dead_letters += letters
        count += len(items)
        if items:
            received_at = arrived_at(items[-1])
        if count >= records_min:
            yield Stretch(_by_id(sessions), dead_letters, next_offset, received_at)
            sessions, dead_letters, count = defaultdict(list), [], 0
    yield Stretch(_by_id(sessions), dead_letters, next_offset, received_at)


def _by_id(sessions: dict[bytes, list[Item]]) -> dict[str, list[Item]]:
    return {session_id.decode(): items for session_id, items in sessions.items()}


def _read(archive: PartitionArchive, from_offset: int) -> Iterator[_Block]:
    """All blocks with records at `from_offset` or above, and what files and gaps stand for."""
    for entry in archive.entries:
        if entry.next_offset <= from_offset:
            continue
        if entry.file is not None:
            must_be_whole(archive, entry)
            with (archive.path / entry.file).open("rb") as file:
                blocks = _blocks(archive, entry, file)
                yield from (_from(block, from_offset) for block in blocks)
        # A file stands for offsets without a record, too.
        yield _Block([], [], [], entry.next_offset)


def _from(block: _Block, from_offset: int) -> _Block:
    """Without what lies below `from_offset`."""
    session_ids, items, letters, next_offset = block
    if not items or offset_of(items[0]) >= from_offset:
        return block
    begin = bisect_left(items, from_offset, key=offset_of)
    letters = [letter for letter in letters if letter.offset >= from_offset]
    return _Block(session_ids[begin:], items[begin:], letters, next_offset)


def _blocks(archive: PartitionArchive, entry: Entry, file: BinaryIO) -> Iterator[_Block]:
    try:
        blocks, is_ours = _blocks_of(file)
        for block in blocks:
            yield _read_block(archive.partition, block, is_ours=is_ours)
    except (ValueError, KeyError, EOFError, UndecodableRecord) as error:
        raise ArchiveDamagedError(
            archive.path / (entry.file or ""), f"it is no archive file of bookended: {error}"
        ) from error


def _blocks_of(file: BinaryIO) -> tuple[block_reader, bool]:
    """And whether they are of this release's schema: bringing one schema to another costs more
    than decoding, and pings are read past the library only where their bytes are known."""
    same = block_reader(file)
    if same.writer_schema == _WRITTEN:
        return same, True
    file.seek(0)
    return block_reader(file, ARCHIVE_SCHEMA), False


def _read_block(partition: int, block: Any, *, is_ours: bool) -> _Block:
    """Rows of bare records at once, every other record by the library, which goes on reading where
    its stream stands. Errors: those of `_blocks`."""
    stream, library = block.bytes_, iter(block)
    data = stream.getvalue()
    bare = BareRecords()
    others: list[tuple[int, PlacedRecord]] = []
    letters: list[DeadLetter] = []
    next_offset = 0
    while (at := stream.tell()) < len(data):
        if is_ours:
            at = bare.take(data, at)
            stream.seek(at)
            if at == len(data):
                break
        fields = next(library, None)
        if fields is None:
            break
        next_offset = fields["offset"] + 1
        found = _found(partition, fields)
        if isinstance(found, DeadLetter):
            letters.append(found)
        else:
            others.append((len(bare), found))
    if len(bare) + len(others) + len(letters) != block.num_records:
        raise ValueError("a block has not as many records as it says")
    return _in_order(partition, bare, others, letters, next_offset)


def _found(partition: int, fields: dict[str, Any]) -> PlacedRecord | DeadLetter:
    """What no release could decode so far is tried again."""
    found = from_fields(partition, fields)
    if not isinstance(found, LogRecord):
        return PlacedRecord(partition, fields["offset"], found)
    return decode_any(found)


def _in_order(
    partition: int,
    bare: BareRecords,
    others: list[tuple[int, PlacedRecord]],
    letters: list[DeadLetter],
    next_offset: int,
) -> _Block:
    """`others`: each with the number of bare records before it."""
    session_ids: list[bytes] = []
    items: list[Item] = []
    packed, kinds = bare.numbers()
    rows: list[Item] = [*packed]
    for index, kind in kinds.items():
        ts, playhead_ms, received_at, offset = PING.unpack(packed[index])
        event = Event(kind, ts, playhead_ms, received_at=received_at)
        session_id = bare.session_ids[index].decode()
        rows[index] = PlacedRecord(partition, offset, Record(session_id, False, (event,)))
    begin = 0
    for before, record in others:
        session_ids += bare.session_ids[begin:before]
        items += rows[begin:before]
        session_ids.append(record.record.session_id.encode())
        items.append(record)
        begin = before
    session_ids += bare.session_ids[begin:]
    items += rows[begin:]
    if rows:
        next_offset = max(next_offset, offset_of(rows[-1]) + 1)
    return _Block(session_ids, items, letters, next_offset)
