"""`bookended archive`: the log into immutable files, once or for ever.

Beside the record's way: reads the log as a processor does, and writes nothing but the archive.
Part of the composition root. Imports `processor`, the log's parts, the locks.
"""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import structlog
from pydantic import Field
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from commands.locks import sole
from commands.log_parts import open_reader
from commands.logs import configure
from commands.options import takes
from commands.settings import Logged
from commands.storage import make_directory_of, touching
from commands.tables import stderr, stdout
from commands.values import Duration
from processor.archive import read_archive
from processor.archiver import ArchiveBounds, Archiver
from processor.source import LogAwayError, Source

_RETRY_S: Final = 2.0

logger = structlog.get_logger("bookended")


class Archiving(Logged):
    """The archive's place, and whether to go on."""

    to: Path = Field(
        Path("bookended-archive"),
        description="Directory of the archive; one log has one. Made if there is none.",
    )
    follow: bool = Field(False, description="Go on with what comes, until Ctrl-C or SIGTERM.")
    every: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = Field(
        timedelta(minutes=10),
        description="With --follow: finish a file at this age, so that no record waits longer.",
    )
    accept_gap: bool = Field(
        False, description="Go on although the log lost records that were not archived yet."
    )


@takes(Archiving)
def command(settings: Archiving) -> None:
    """Copies the log into Avro files: the base of rebuilds when the log forgets.

    Files are TOPIC/PARTITION/DAY/FIRST-NEXT.avro, each whole and named in its partition's manifest.
    Start it again after any stop: it goes on where the archive ends. `bookended verify --archive`
    checks all of it.
    """
    configure(settings.log_level, settings.log_format)
    make_directory_of(settings.to / "log")
    before = _archived(settings.to)
    with ExitStack() as stack:
        stack.enter_context(sole("archiver", settings.to))
        stack.enter_context(touching("archive", settings.to))
        source = open_reader(settings, stack)
        stop = _stopped_by_signals()
        if settings.follow:
            _follow(settings, source, stop)
        else:
            _once(settings, source, stop)
    count = _archived(settings.to) - before
    stdout().print(
        f"Archived {count:,} records of {source.name()} to {settings.to}",
        highlight=False,
        soft_wrap=True,
    )


def _archived(root: Path) -> int:
    """Records that the archive has; 0 if there is none."""
    if not any(root.glob("*/*/manifest.jsonl")):
        return 0
    return sum(entry.records for archive in read_archive(root) for entry in archive.entries)


def _stopped_by_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _archiver(settings: Archiving, source: Source) -> Archiver:
    bounds = ArchiveBounds(age_s=settings.every.total_seconds())
    return Archiver(source, settings.to, bounds, time.monotonic, accepts_gap=settings.accept_gap)


def _once(settings: Archiving, source: Source, stop: threading.Event) -> None:
    archiver = _archiver(settings, source)
    with _bar() as bar:
        task = bar.add_task("", total=None)

        def progress(count: int) -> None:
            if bar.tasks[0].total is None:
                bar.update(task, total=count + archiver.to_read())
            bar.advance(task, count)

        archiver.run(stop, follow=False, progress=progress)


def _follow(settings: Archiving, source: Source, stop: threading.Event) -> None:
    """A log that is away comes back: what was not finished then is read again."""
    while not stop.is_set():
        try:
            _archiver(settings, source).run(stop, follow=True, progress=lambda _: None)
        except LogAwayError as error:
            logger.warning("archiver_retrying", reason=str(error))
            stop.wait(_RETRY_S)


@contextmanager
def _bar() -> Iterator[Progress]:
    columns = (TextColumn("records"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr(), disable=not sys.stderr.isatty()) as progress:
        yield progress
