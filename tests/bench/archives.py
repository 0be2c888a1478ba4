"""Archives of the usual mix, of any size, as the archiver writes them.

A large one repeats the same sessions one after the other under new ids, each time later, so that
no more of them are live at a time than in a small one: what a larger archive costs is its length.
"""

import multiprocessing
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

from models.archived import to_fields
from processor.archive import PartitionArchive, open_partition
from processor.archive_file import GrowingFile
from tests.bench.mix import Stored, chunks, whole_log

TOPIC: Final = "media-events"
LOG_ID: Final = "bench"
_CONTENT_MS: Final = 1_800_000
_PAUSE_MS: Final = 60_000


def small_log(sessions: int, seed: int = 1) -> list[Stored]:
    return whole_log(Random(seed), sessions=sessions, content_ms=_CONTENT_MS)


def write_archive(root: Path, log: list[Stored]) -> PartitionArchive:
    """One partition, in one file."""
    archive = open_partition(root, TOPIC, 0, LOG_ID)
    _write_file(archive, 0, map(to_fields, (record for some in chunks(log) for record in some)))
    return archive


def write_large_archive(root: Path, partitions: int, sessions: int, repeats: int) -> int:
    """`repeats` files a partition; all partitions at a time. Says how many records that were."""
    write = partial(_write_partition, root, sessions, repeats)
    with multiprocessing.get_context("spawn").Pool(partitions) as pool:
        return sum(pool.map(write, range(partitions)))


def _write_partition(root: Path, sessions: int, repeats: int, partition: int) -> int:
    log = small_log(sessions, seed=partition)
    template = [to_fields(record) for some in chunks(log) for record in some]
    step_ms = log[-1][0] - log[0][0] + _PAUSE_MS
    archive = open_partition(root, TOPIC, partition, LOG_ID)
    for number in range(repeats):
        _write_file(archive, number * len(log), _again(template, number, step_ms * number))
    return repeats * len(log)


def _again(template: list[dict[str, Any]], number: int, later_ms: int) -> Iterator[dict[str, Any]]:
    ids: dict[str, str] = {}
    for offset, fields in zip(count(number * len(template)), template, strict=False):
        session_id = fields["session_id"]
        if session_id not in ids:
            ids[session_id] = sha256(f"{session_id}{number}".encode()).hexdigest()
        ts = [event["ts"] + later_ms for event in fields["events"]]
        events = [{**event, "ts": at} for event, at in zip(fields["events"], ts, strict=True)]
        received_at = fields["received_at"] + later_ms
        moved = {"offset": offset, "received_at": received_at, "session_id": ids[session_id]}
        yield {**fields, **moved, "events": events}


def _write_file(
    archive: PartitionArchive, from_offset: int, records: Iterator[dict[str, Any]]
) -> None:
    first = next(records)
    growing = GrowingFile(archive.path, from_offset, first["received_at"])
    growing.add(first)
    for fields in records:
        growing.add(fields)
    archive.append(growing.finish(from_offset + growing.records))
