"""One archive file while it is written: Avro container, hashed on the way, whole or not at all.

Beside the record's way: `archiver` and the rewriting of `forget` write through it. Imports
`models` and `archive`.
"""

import hashlib
import os
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, cast

from fastavro.write import Writer

from models.archived import ARCHIVE_SCHEMA, CODEC
from processor.archive import GROWING_SUFFIX, Entry, file_name, sync_directory

BLOCK_BYTES: Final = 1_000_000
"""Bytes of a block before compression. Measured on the usual mix, bytes a record: 28 with blocks of
64 kB, 18 with 256 kB, 16 with 1 MB, 15 with 4 MB; a reader holds one block."""

LEVEL: Final = 3
"""Of zstandard: level 1 takes 12 % more space, 6 takes 3 % less and half as long again to write."""


class _Hashed:
    """A file that knows length and SHA-256 of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self.bytes += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def seekable(self) -> bool:
        return False

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class GrowingFile:
    """A file of one partition that takes records until `finish` puts it in its place.

    It stands under another name until then; `discard`, or a kill, leaves nothing that counts.
    """

    def __init__(self, partition_path: Path, from_offset: int, received_at: int) -> None:
        """`from_offset`: the first offset that it stands for; `received_at`: of its first record.

        Errors: `OSError`.
        """
        self.from_offset = from_offset
        self.records = 0
        self.first_received_at = received_at
        self.last_received_at = received_at
        self._partition_path = partition_path
        final = partition_path / file_name(from_offset, 0, received_at)
        self._is_new_day = not final.parent.exists()
        final.parent.mkdir(exist_ok=True)
        self._path = final.with_suffix(GROWING_SUFFIX)
        self._file = self._path.open("wb")
        self._hashed = _Hashed(self._file)
        self._writer = Writer(
            cast("IO[bytes]", self._hashed),  # all of one that the writer needs
            ARCHIVE_SCHEMA,
            codec=CODEC,
            sync_interval=BLOCK_BYTES,
            compression_level=LEVEL,
        )

    @property
    def bytes(self) -> int:
        """Bytes on the disk so far; what the last block gathers is not among them."""
        return self._hashed.bytes

    def add(self, fields: dict[str, Any]) -> None:
        """Takes one `ArchivedRecord`. Errors: `OSError`."""
        self._writer.write(fields)
        self.records += 1
        self.last_received_at = fields["received_at"]

    def finish(self, next_offset: int, revision: int = 0) -> Entry:
        """The file is durable under its own name; it stands for the offsets below `next_offset`.
        `revision`: of a file that takes another one's place.

        Errors: `OSError`.
        """
        self._writer.flush()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        name = file_name(self.from_offset, next_offset, self.first_received_at, revision)
        final = self._partition_path / name
        self._path.replace(final)
        sync_directory(final.parent)
        if self._is_new_day:
            sync_directory(self._partition_path)
        return Entry(
            name,
            self.from_offset,
            next_offset,
            self.records,
            self.first_received_at,
            self.last_received_at,
            self._hashed.bytes,
            self._hashed.sha256,
        )

    def discard(self) -> None:
        """Nothing of it stays."""
        self._file.close()
        self._path.unlink(missing_ok=True)
