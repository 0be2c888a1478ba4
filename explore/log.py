"""One session's events out of the log, as the session's page asks for them.

The explorer never reads a log itself: whoever puts it together gives something of this interface
(`commands.session_log`), or nothing. Imports `models`.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple, Protocol

from sqlalchemy import Connection, select

from explore.reading import rows_of, view
from models.judged import ReceivedEvent
from models.policy import FOLD_VERSION, Policy
from models.records import AcceptedGap
from models.tables import forgotten_sessions, live_projection, progress, projections
from models.time_line import Row, SessionRows


class Place(NamedTuple):
    """Where a session lies in the log, and what its rows were made by: the log's id, the tick (ms),
    the policy of the live projection, and the gaps that it crossed."""

    session_id: str
    partition: int
    first_offset: int
    last_offset: int
    log_id: str
    tick: int | None
    policy: Policy
    gaps: tuple[AcceptedGap, ...]


class Received(NamedTuple):
    """Events in the order of the log. All below `next_offset` was read; records below
    `start_offset` are gone from the log."""

    events: Sequence[ReceivedEvent]
    start_offset: int
    next_offset: int


class LogTroubleError(Exception):
    """The log cannot be read, or not far enough. `what`, and the `step` to take next."""

    def __init__(
        self, what: str, step: str, status: HTTPStatus = HTTPStatus.SERVICE_UNAVAILABLE
    ) -> None:
        super().__init__(what, step)
        self.what = what
        self.step = step
        self.status = status


class SessionLog(Protocol):
    """A log. Both methods are bounded in time and events. Errors: `LogTroubleError`."""

    def events(self, place: Place, from_offset: int) -> Received:
        """The session's events from an offset on. Only from the session's first one on it is known
        what each of them did."""
        ...

    def replays(self, place: Place, policies: Sequence[Policy]) -> list[SessionRows]:
        """The session's rows as they would be under each policy."""
        ...


def place_of(connection: Connection, session: Row) -> Place:
    """Reads what a replay must know. Errors: `LogTroubleError`, those of the driver: a user that
    may read the views alone may not read this."""
    live = select(live_projection.c.projection).scalar_subquery()
    columns = progress.c
    query = (
        select(columns.log_id, columns.tick, projections.c.policy, projections.c.fold_version)
        .select_from(progress.join(projections, projections.c.projection == columns.projection))
        .where(columns.projection == live, columns.log_partition == session["log_partition"])
    )
    row = next(iter(rows_of(connection, query)), None)
    if row is None or row["fold_version"] != FOLD_VERSION:
        raise LogTroubleError(
            "The session's rows were made by another release's rules",
            "Rebuild with this release (docs/reprocessing.md), then look again.",
        )
    return Place(
        session["session_id"],
        session["log_partition"],
        session["first_offset"],
        session["last_offset"],
        row["log_id"],
        row["tick"],
        Policy(**row["policy"]),
        _gaps(connection, session["log_partition"]),
    )


def _gaps(connection: Connection, partition: int) -> tuple[AcceptedGap, ...]:
    columns = view("log_gaps").c
    query = select(*(columns[name] for name in AcceptedGap._fields))
    mine = query.where(columns.log_partition == partition).order_by(columns.first_offset)
    return tuple(AcceptedGap(**row) for row in rows_of(connection, mine))


def is_forgotten(connection: Connection, session_id: str) -> bool:
    """Whether its viewer was forgotten (docs/reprocessing.md "Forgetting")."""
    columns = forgotten_sessions.c
    query = select(columns.session_id).where(columns.session_id == session_id)
    return bool(rows_of(connection, query))
