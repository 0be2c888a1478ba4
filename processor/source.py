"""Where log records come from: the interface, and what can be wrong with a log.

On the record's way: between the log and `processor.step`. `processor.embedded_source` is the one
for the embedded log; another log comes behind the same interface and the same contract tests.
Imports `models` only, never `ingest`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from models.records import LogRecord


class LogAwayError(Exception):
    """The log cannot be reached now; it may come back. `reason` is one line."""

    def __init__(self, log: str, reason: str) -> None:
        super().__init__(log, reason)
        self.log = log
        self.reason = reason

    def __str__(self) -> str:
        return f"log {self.log}: {self.reason}"


class LogMissingError(Exception):
    """There is no log under that name, or it is none of ours."""

    def __init__(self, log: str, reason: str) -> None:
        super().__init__(log, reason)
        self.log = log
        self.reason = reason

    def __str__(self) -> str:
        return f"log {self.log}: {self.reason}; run `bookended migrate` to make it"


class LogDamagedError(Exception):
    """The log's file is damaged. `reason` is one line."""

    def __init__(self, log: str, reason: str) -> None:
        super().__init__(log, reason)
        self.log = log
        self.reason = reason

    def __str__(self) -> str:
        return f"log {self.log}: {self.reason}; restore it from a backup"


class NewerLogError(Exception):
    """The log was written by a newer release."""

    def __init__(self, log: str, schema_version: int, known: int) -> None:
        super().__init__(log, schema_version, known)
        self.log = log
        self.schema_version = schema_version
        self.known = known

    def __str__(self) -> str:
        return (
            f"log {self.log} has schema version {self.schema_version}, newer than {self.known}, "
            "the newest that this release knows; install the release that wrote it, or a later one"
        )


class OtherLogError(Exception):
    """The projection was made from another log: its offsets mean nothing in this one."""

    def __init__(self, log: str, partition: int, stored_log_id: str, log_id: str) -> None:
        super().__init__(log, partition, stored_log_id, log_id)
        self.log = log
        self.partition = partition
        self.stored_log_id = stored_log_id
        self.log_id = log_id

    def __str__(self) -> str:
        return (
            f"the database was filled from another log ({self.stored_log_id}) than {self.log} "
            f"({self.log_id}); put the two that belong together side by side, or start with an "
            "empty database to have it filled from this log"
        )


class BeyondLogError(Exception):
    """The projection is ahead of the log: the log lost records, or was restored from a backup."""

    def __init__(self, log: str, partition: int, next_offset: int, end_offset: int) -> None:
        super().__init__(log, partition, next_offset, end_offset)
        self.log = log
        self.partition = partition
        self.next_offset = next_offset
        self.end_offset = end_offset

    def __str__(self) -> str:
        return (
            f"log {self.log} ends at offset {self.end_offset} of partition {self.partition}, but "
            f"the database has read on to {self.next_offset}: the log lost records; restore the "
            "log, or start with an empty database to have it filled from this log"
        )


class LogGapError(Exception):
    """Records that the projection has not read are gone from the log (retention)."""

    def __init__(self, log: str, partition: int, next_offset: int, start_offset: int) -> None:
        super().__init__(log, partition, next_offset, start_offset)
        self.log = log
        self.partition = partition
        self.next_offset = next_offset
        self.start_offset = start_offset

    def __str__(self) -> str:
        return (
            f"log {self.log} starts at offset {self.start_offset} of partition {self.partition}, "
            f"but the database has read only to {self.next_offset}: records {self.next_offset} to "
            f"{self.start_offset - 1} are gone; restore the log from a backup, start with an empty "
            "database to have it filled from what is left, or go on without them by --accept-gap"
        )


class Source(Protocol):
    """The reading side of a log. Used by one thread.

    Every method: `LogAwayError`, `LogDamagedError`.
    """

    def name(self) -> str:
        """What the log is called and where it is, for people."""
        ...

    def topic(self) -> str:
        """What dead letters call the log: its topic, without the place it is at."""
        ...

    def log_id(self) -> str:
        """Which log it is: never the same for two logs."""
        ...

    def partitions(self) -> Sequence[int]:
        """The partitions that this processor is to read now."""
        ...

    def gone(self) -> Sequence[int]:
        """The partitions sought that are this processor's no more, or were not for a while since.
        Each is told once; if `partitions` still has it, it must be claimed and sought anew."""
        ...

    def doubt(self, partition: int) -> None:
        """The claim on the partition was lost or is unknown: `partitions` has it again only when
        it is certain that this processor is to read it."""
        ...

    def start_offset(self, partition: int) -> int:
        """Offset of the first record that the log still has; the end offset if it has none."""
        ...

    def start_offsets(self, partitions: Collection[int]) -> Mapping[int, int]:
        """`start_offset` of each of the partitions."""
        ...

    def end_offset(self, partition: int) -> int:
        """Offset that the next record will get.

        For a tick, ask after reading the wall clock: every record that arrived before that moment
        then lies below it.
        """
        ...

    def end_offsets(self, partitions: Collection[int]) -> Mapping[int, int]:
        """`end_offset` of each of the partitions."""
        ...

    def seek(self, partition: int, next_offset: int) -> None:
        """Makes `next_offset` the first record that `poll` gives of the partition."""
        ...

    def next_offsets(self) -> Mapping[int, int]:
        """Of each partition sought, the offset below which `poll` gives nothing any more.

        That is behind the last record given, or further: a log in Kafka has offsets that no reader
        gets (marks of transactions, records of aborted ones). At the end of the log it is the end
        offset.
        """
        ...

    def poll(self, timeout_s: float, records_max: int) -> list[LogRecord]:
        """The next records of the partitions sought, in order within each.

        Waits up to `timeout_s` for the first one; never for a full batch.
        """
        ...

    def idle(self) -> None:
        """Reads nothing, but stays one of the log's readers. Returns at once.

        For a processor that cannot write now: it calls this every second or so, and claims and
        seeks all of its partitions anew before the next `poll`.
        """
        ...

    def checkpointed(self, next_offsets: Mapping[int, int]) -> None:
        """How far SQL has come, for those who look at the log's readers. Never read back."""
        ...

    def close(self) -> None:
        """Lets go of files and connections. Closing twice does nothing."""
        ...


class Close(NamedTuple):
    """A session's close as collectors are told: `closed_at` None takes an earlier one back."""

    session_id: str
    closed_at: int | None


class ClosesSink(Protocol):
    """Where closes go, for collectors to learn them. Telling one twice does no harm."""

    def publish(self, closes: Sequence[Close]) -> None:
        """Returns when all of them are durable, in order. Errors: `LogAwayError`."""
        ...
