"""One session's events for the explorer: out of the log, or an archive and then the log.

Part of the composition root: the explorer knows neither logs nor the fold. Opened for each request
and closed after it, since few ask. Imports `explore`, `processor` and the settings.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import repeat
from pathlib import Path
from typing import Final

from commands.errors import Failure
from commands.known import KNOWN, known_failure
from commands.log_parts import open_reader
from commands.settings import Logged
from explore.log import LogTroubleError, Place, Received
from models.judged import Judged, ReceivedEvent
from models.policy import Policy
from models.time_line import SessionRows
from processor.archive import PartitionArchive, read_archive
from processor.batch import fold_grouped
from processor.judged import judged
from processor.session_events import Part, Read, ReadBounds, read_session
from processor.source import OtherLogError, Source
from processor.view_rows import view_rows

BOUNDS: Final = ReadBounds(seconds_max=8.0, events_max=20_000, bytes_max=32 * 1024**2)
"""Of one request. A phone's session of a day has 9,000 events."""


class LogOfSettings:
    """`SessionLog` over the log that the settings name. `archive`: what the log has let go of."""

    def __init__(self, settings: Logged, archive: Path | None, bounds: ReadBounds = BOUNDS) -> None:
        self._settings = settings
        self._archive = archive
        self._bounds = bounds

    def events(self, place: Place, from_offset: int) -> Received:
        read = self._read(place, from_offset)
        is_from_start = read.start_offset <= place.first_offset == from_offset
        nothing_known: Iterator[Judged | None] = repeat(None)
        told = judged(read.records, place.policy) if is_from_start else nothing_known
        received = [
            ReceivedEvent(placed.offset, number, event, next(told))
            for placed in read.records
            for number, event in enumerate(placed.record.events, 1)
        ]
        return Received(received, read.start_offset, read.next_offset)

    def replays(self, place: Place, policies: Sequence[Policy]) -> list[SessionRows]:
        read = self._read(place, place.first_offset)
        if read.start_offset > place.first_offset:
            raise LogTroubleError(
                f"The log's records below offset {read.start_offset:,} are gone, and with them the "
                "session's beginning",
                "Give the explorer an archive that has them: --explore-archive.",
            )
        if read.next_offset <= place.last_offset or not read.records:
            raise LogTroubleError(
                "The session's events lie too far apart in the log to be replayed on a page",
                f"Run `bookended rebuild --sessions {place.session_id}` with the other policy, "
                "then `bookended diff`.",
            )
        gaps = {place.partition: place.gaps}
        return [
            view_rows(next(fold_grouped(read.records, policy, place.tick, gaps)), policy)
            for policy in policies
        ]

    def _read(self, place: Place, from_offset: int) -> Read:
        part = Part(place.session_id, place.partition, from_offset, place.last_offset + 1)
        with _told(), ExitStack() as opened:
            archive = self._archive_of(place)
            source = self._source(place, opened)
            return read_session(part, archive, source, self._bounds, time.monotonic)

    def _archive_of(self, place: Place) -> PartitionArchive | None:
        if self._archive is None:
            return None
        found = (it for it in read_archive(self._archive) if it.partition == place.partition)
        archive = next(found, None)
        if archive is not None and archive.log_id != place.log_id:
            raise LogTroubleError(
                f"The archive {archive.path} is of another log ({archive.log_id}) than the one that"
                f" the database was filled from ({place.log_id})",
                "Give the archive of that log: --explore-archive.",
            )
        return archive

    def _source(self, place: Place, opened: ExitStack) -> Source:
        source = open_reader(self._settings, opened)
        if source.log_id() != place.log_id:
            raise OtherLogError(source.name(), place.partition, place.log_id, source.log_id())
        return source


@contextmanager
def _told() -> Iterator[None]:
    """What is wrong with a log or an archive, as the explorer tells it. Errors:
    `LogTroubleError`."""
    try:
        yield
    except (*KNOWN, Failure) as error:
        failure = error if isinstance(error, Failure) else known_failure(error)
        assert failure is not None
        raise LogTroubleError(failure.what, failure.next_step) from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise LogTroubleError(
            f"The archive cannot be read: {reason}", "Check --explore-archive."
        ) from error


def session_log(settings: Logged, archive: Path | None) -> LogOfSettings | None:
    """The log, if the settings name one: one in Kafka, or a file that is there."""
    if settings.kafka is None and not settings.log_path.is_file():
        return None
    return LogOfSettings(settings, archive)
