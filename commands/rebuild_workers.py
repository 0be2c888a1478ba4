"""The processes of a rebuild: each takes some partitions, opens what it needs, tells how far it is.

Beside the record's way. A worker ends with the process that started it, however that ends; what it
wrote in checkpoints stays. Part of the composition root. Imports `processor`, the log's parts.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, NamedTuple

from commands.database import database
from commands.errors import Failure
from commands.interpreter import tune_interpreter
from commands.known import known_failure
from commands.log_parts import open_reader
from commands.settings import Stored
from processor.archive import PartitionArchive, read_archive
from processor.projection import Projection
from processor.rebuild import Part, RebuildBounds, batches_of, rebuild_part

CONTEXT: Final = get_context("fork") if sys.platform == "linux" else get_context("spawn")
"""How a worker comes to be. A forked one begins at once; another one first imports what this one
has, for a second. Elsewhere the system's own libraries may not survive a fork."""

Turn = AbstractContextManager[object]


class Job(NamedTuple):
    """What one worker does. `archive`: None to read the log alone; `reads_log`: False to read the
    archive alone."""

    settings: Stored
    projection: int
    archive: Path | None
    reads_log: bool
    parts: tuple[Part, ...]


class Moved(NamedTuple):
    """A worker has folded so many events; its partition is at `next_offset`."""

    partition: int
    next_offset: int
    events: int


class Ended(NamedTuple):
    """A worker is done, or has failed with this to tell."""

    failure: str | None


@contextmanager
def workers(jobs: Sequence[Job]) -> Iterator[Callable[[Callable[[Moved], object]], None]]:
    """Has all jobs done side by side, a single one in this process, until the end of the block.
    What it gives waits for their end, and tells of each batch.

    The caller has no other thread and nothing open when the block begins: it may be forked.

    Errors, of what it gives: of a single job its own; of several `Failure` with what the first
    worker told that failed, and the others are stopped then.
    """
    if len(jobs) == 1:
        tune_interpreter()
        yield partial(_rebuild, jobs[0], nullcontext())
        return
    with _started(jobs) as connections:
        yield partial(_listen, connections)


def _listen(connections: Sequence[Connection], moved: Callable[[Moved], object]) -> None:
    listening = list(connections)
    while listening:
        for connection in wait(listening):
            assert isinstance(connection, Connection)
            told = _receive(connection)
            if isinstance(told, Moved):
                moved(told)
                continue
            if told.failure is not None:
                what, _, next_step = told.failure.partition("\n")
                raise Failure(what, next_step)
            listening.remove(connection)


def _receive(connection: Connection) -> Moved | Ended:
    try:
        told = connection.recv()
    except (EOFError, OSError):  # the latter in the middle of a message
        return Ended("a worker was killed\nStart it again with --into: it goes on where it was.")
    assert isinstance(told, Moved | Ended)
    return told


@contextmanager
def _started(jobs: Sequence[Job]) -> Iterator[list[Connection]]:
    processes: list[BaseProcess] = []
    connections = []
    turn = CONTEXT.Lock()
    try:
        for job in jobs:
            ours, theirs = CONTEXT.Pipe(duplex=False)
            process = CONTEXT.Process(target=_run, args=(job, turn, theirs), daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            connections.append(ours)
        yield connections
    finally:
        for connection in connections:
            connection.close()
        for started in processes:
            started.terminate()
            started.join()


def _run(job: Job, turn: Turn, connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all: the parent ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tune_interpreter()
    try:
        _rebuild(job, turn, connection.send)
    except BrokenPipeError:
        return
    except Exception as error:  # noqa: BLE001 - the worker's main loop: the parent tells it
        connection.send(Ended(_told(error)))
        return
    connection.send(Ended(None))


def _end_with_parent() -> None:
    """At once, as if killed with it: whoever goes on with the candidate must not wait for one who
    writes for nobody, nor have a partition taken away by it."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _told(error: Exception) -> str:
    known = known_failure(error)
    if known is not None:
        return f"{known.what}\n{known.next_step}"
    if isinstance(error, Failure):
        return f"{error.what}\n{error.next_step}"
    return f"unexpected error, a defect of bookended: {error!r}\nPlease report it."


def _rebuild(job: Job, turn: Turn, moved: Callable[[Moved], object]) -> None:
    """`turn`: shared by all that write to one SQLite file. It has one writer at a time, and of many
    checkpoints that come at once the last would wait for longer than a database is waited for."""
    archives: dict[int, PartitionArchive] = {}
    if job.archive is not None:
        archives = {archive.partition: archive for archive in read_archive(job.archive)}
    bounds = RebuildBounds()
    with database(job.settings) as engine:
        turns = turn if job.settings.is_database_embedded else nullcontext()
        projection = Projection(engine, job.projection, turn=turns)
        for part in job.parts:
            with ExitStack() as stack:
                source = open_reader(job.settings, stack) if job.reads_log else None
                read = batches_of(archives.get(part.partition), source, part.partition, bounds)
                rebuild_part(projection, read, part, bounds, lambda *told: moved(Moved(*told)))
