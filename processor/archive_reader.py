"""Records out of an archive, in log order, decoded: what a rebuild folds.

Beside the record's way: in the place of a log and `step.decode_records`. Holds one block of one
file at a time. A file is checked against its manifest before its first record is given, so that a
damaged archive is told and never folded. Imports `models`, `step` and the archive's modules.
"""

from collections.abc import Iterator
from typing import BinaryIO, Final

from fastavro import block_reader

from models.archived import ARCHIVE_SCHEMA, from_fields
from models.avro import UndecodableRecord
from models.records import LogRecord
from processor.archive import ArchiveDamagedError, Entry, PartitionArchive
from processor.archive_check import must_be_whole
from processor.step import DeadLetter, Decoded, PlacedRecord, decode_records

_WRITTEN: Final = {name: value for name, value in ARCHIVE_SCHEMA.items() if name[:2] != "__"}
"""This release's schema as a file has it: without what the library adds."""


def read_archived(archive: PartitionArchive, from_offset: int) -> Iterator[Decoded]:
    """All batches of a partition from `from_offset` on. What no release could decode so far is
    tried again, and a dead letter if this one cannot either.

    Errors: `ArchiveDamagedError`, `OSError`.
    """
    for entry in archive.entries:
        if entry.next_offset <= from_offset:
            continue
        if entry.file is None:
            yield Decoded([], [], {archive.partition: entry.next_offset})
            continue
        must_be_whole(archive, entry)
        with (archive.path / entry.file).open("rb") as file:
            for batch in _blocks(archive, entry, file):
                yield _from(batch, from_offset)
        # A file stands for offsets without a record, too.
        yield Decoded([], [], {archive.partition: entry.next_offset})


def _blocks(archive: PartitionArchive, entry: Entry, file: BinaryIO) -> Iterator[Decoded]:
    partition = archive.partition
    try:
        for block in _blocks_of(file):
            records: list[PlacedRecord] = []
            letters: list[DeadLetter] = []
            next_offset = entry.from_offset
            for fields in block:
                assert isinstance(fields, dict)
                next_offset = fields["offset"] + 1
                found = from_fields(partition, fields)
                if isinstance(found, LogRecord):
                    again = decode_records([found])
                    records += again.records
                    letters += again.dead_letters
                else:
                    records.append(PlacedRecord(partition, next_offset - 1, found))
            yield Decoded(records, letters, {partition: next_offset})
    except (ValueError, KeyError, EOFError, UndecodableRecord) as error:
        raise ArchiveDamagedError(
            archive.path / (entry.file or ""), f"it is no archive file of bookended: {error}"
        ) from error


def _blocks_of(file: BinaryIO) -> block_reader:
    """Bringing one schema to another costs more than decoding, so a file of this one is spared."""
    same = block_reader(file)
    if same.writer_schema == _WRITTEN:
        return same
    file.seek(0)
    return block_reader(file, ARCHIVE_SCHEMA)


def _from(batch: Decoded, from_offset: int) -> Decoded:
    """Without what lies below `from_offset`."""
    if not batch.records or batch.records[0].offset >= from_offset:
        return batch
    return batch._replace(
        records=[placed for placed in batch.records if placed.offset >= from_offset],
        dead_letters=[letter for letter in batch.dead_letters if letter.offset >= from_offset],
    )
