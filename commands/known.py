"""Errors of the other packages that a user can do something about, as the one line he is told.

Beside the record's way: `bookended.py` asks here before it calls an error a defect. Imports the
packages' errors.
"""

from typing import Final

from commands.errors import CHECK_BROKERS, Failure
from commands.storage import fault_of_text, next_step_on_server
from ingest.log_file import LogFault, LogUnusable
from ingest.server import CertificateError, ListenError
from ingest.sids import KeyFault
from migrations import NewerSchemaError, OlderSchemaError, ReaderRoleError
from models.kafka_log import is_kafka_url
from processor.archive import ArchiveDamagedError, ArchiveMissingError, ArchiveOfOtherLogError
from processor.claim import ProjectionMissingError, RulesError, StaleOwnerError
from processor.database import DatabaseAwayError, DatabaseDamagedError
from processor.drop_projection import LiveProjectionError, ReadersInTheWayError
from processor.group import InstanceTakenError
from processor.memory import BadPartitionError
from processor.postgres_engine import POSTGRES
from processor.projections import NothingToRollBackError, PromotionRefusedError
from processor.rebuild import LogStartGoneError, UndecodableInRebuildError
from processor.snapshot import StateVersionError
from processor.source import (
    BeyondLogError,
    LogAwayError,
    LogDamagedError,
    LogGapError,
    LogMissingError,
    NewerLogError,
    OtherLogError,
)

# Their texts end with the next step.
_COMPLETE: Final = (
    ArchiveDamagedError,
    ArchiveMissingError,
    ArchiveOfOtherLogError,
    BadPartitionError,
    BeyondLogError,
    CertificateError,
    InstanceTakenError,
    KeyFault,
    ListenError,
    LogDamagedError,
    LogGapError,
    LiveProjectionError,
    LogMissingError,
    LogStartGoneError,
    LogUnusable,
    NewerLogError,
    NewerSchemaError,
    NothingToRollBackError,
    OlderSchemaError,
    OtherLogError,
    ProjectionMissingError,
    PromotionRefusedError,
    ReadersInTheWayError,
    ReaderRoleError,
    RulesError,
    StateVersionError,
    UndecodableInRebuildError,
)
_OF_DATABASE: Final = (DatabaseAwayError, DatabaseDamagedError)
KNOWN: Final = (*_COMPLETE, *_OF_DATABASE, LogAwayError, LogFault, StaleOwnerError)


def known_failure(error: BaseException) -> Failure | None:
    """What to tell about an error, or None for one that nobody foresaw."""
    if isinstance(error, LogFault):
        what, next_step = fault_of_text(error.reason)
        return Failure(f"log {error.path}: {what}", next_step)
    if isinstance(error, LogAwayError):
        if is_kafka_url(error.log):
            return Failure(str(error), CHECK_BROKERS)
        what, next_step = fault_of_text(error.reason)
        return Failure(f"log {error.log}: {what}", next_step)
    if isinstance(error, _OF_DATABASE):
        return _of_database(error)
    if isinstance(error, StaleOwnerError):
        return Failure(
            f"another process goes on with partition {error.partition} of this projection",
            "Let it end: what this one has written stays, and is part of the other's rows.",
        )
    if isinstance(error, _COMPLETE):
        return _split(str(error))
    return None


def _of_database(error: DatabaseAwayError | DatabaseDamagedError) -> Failure:
    if not error.database.startswith(POSTGRES):
        what, next_step = fault_of_text(error.reason)
        return Failure(f"database {error.database}: {what}", next_step)
    if isinstance(error, DatabaseDamagedError):
        return _split(str(error))
    return Failure(f"database {error.database}: {error.reason}", next_step_on_server(error.reason))


def _split(line: str) -> Failure:
    what, _, next_step = line.rpartition("; ")
    if not what:
        return Failure(line, "Run `bookended check` for more.")
    return Failure(what, f"{next_step[:1].upper()}{next_step[1:]}.")
