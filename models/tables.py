"""The SQL tables, every one keyed first by its projection.

At the end of the record's way: `processor.projection` writes them, analysts read them through
`models.views`. Figures and rows take their columns from `models.rows`; a test compares all of it
with what the migrations make. The embedded log's tables stand in `models.tables_log`.
Imports nothing of the project outside this package; no I/O.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

from models.rows import (
    AdRow,
    BreakRow,
    ChapterRow,
    ErrorRow,
    FindingRow,
    OpenSpan,
    PlayerStateRow,
    SessionFigures,
    SpanRow,
    StartRow,
)
from models.tables_log import LOG_SCHEMA_VERSION, closes, log_meta, log_metadata, log_records
from models.tables_types import Instant, Json, counting, row_columns

__all__ = [
    "CHILD_TABLES",
    "LOG_SCHEMA_VERSION",
    "closes",
    "log_meta",
    "log_metadata",
    "log_records",
    "metadata",
]

metadata: Final = MetaData()

_BY_PROJECTION: Final = "LIST (projection)"
"""On PostgreSQL the tables of a projection's rows are partitioned (`models.partitions`)."""


def _projection() -> Column[Any]:
    return Column("projection", Integer, primary_key=True, nullable=False)


def _session() -> Column[Any]:
    return Column("session_id", Text, primary_key=True, nullable=False)


def _place() -> list[Column[Any]]:
    return [
        Column(name, BigInteger, nullable=False)
        for name in ("log_partition", "first_offset", "last_offset")
    ]


def _child_table(name: str, row_type: type[Any], key: str, comment: str) -> Table:
    return Table(
        name,
        metadata,
        _projection(),
        _session(),
        *row_columns(row_type, key=(key,)),
        sqlite_with_rowid=False,  # small rows, always reached by their key: one B-tree, not two
        postgresql_partition_by=_BY_PROJECTION,
        comment=comment,
    )


projections: Final = Table(
    "projections",
    metadata,
    Column("projection", Integer, primary_key=True, autoincrement=False),
    Column("policy", Json, nullable=False),
    Column("fold_version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    # Which part of the log's sessions it is made of; null for all of them.
    Column("scope", Json),
    comment="One row a projection: the rules its rows were made by. Processors obey it.",
)

live_projection: Final = Table(
    "live_projection",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("projection", Integer, nullable=False),
    Column("previous", Integer),  # the one whose place it took
    CheckConstraint("id = 1", name="live_projection_one_row"),
    comment="The projection that the public views show.",
)

progress: Final = Table(
    "progress",
    metadata,
    _projection(),
    Column("log_partition", BigInteger, primary_key=True, autoincrement=False),
    Column("owner", Text),
    Column("version", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("tick", BigInteger),
    Column("log_id", Text, nullable=False),
    comment="How far a projection has read each partition, and who may write it (owner, version).",
)

sessions_live: Final = Table(
    "sessions_live",
    metadata,
    _projection(),
    _session(),
    *_place(),
    *row_columns(SessionFigures),
    Column("due_at", BigInteger, nullable=False),
    Column("state", LargeBinary, nullable=False),
    *row_columns(OpenSpan),
    # No other index: each one on a column that a ping moves doubles the cost of a checkpoint.
    Index("sessions_live_partition", "projection", "log_partition"),
    postgresql_partition_by=_BY_PROJECTION,
    comment="Sessions that can still change: figures, the fold's state, when a tick is due (ms),"
    " the stretch of time that goes on.",
)

sessions_closed: Final = Table(
    "sessions_closed",
    metadata,
    _projection(),
    _session(),
    *_place(),
    *row_columns(SessionFigures),
    Index("sessions_closed_started_at", "projection", "started_at"),
    postgresql_partition_by=_BY_PROJECTION,
    comment="Sessions that are closed for good; only what comes after close still touches a row.",
)

session_starts: Final = Table(
    "session_starts",
    metadata,
    _projection(),
    _session(),
    *row_columns(StartRow),
    Index("session_starts_content_id", "projection", "content_id").ddl_if("sqlite"),
    # A B-tree there takes no value over 2.7 kB, and a content_id may be longer.
    Index("session_starts_content_id", "content_id", postgresql_using="hash").ddl_if("postgresql"),
    postgresql_partition_by=_BY_PROJECTION,
    comment="What the client said in sessionStart, written once.",
)

ad_break_rows: Final = _child_table(
    "ad_break_rows", BreakRow, "break_number", "Ad breaks; `tracked` says that both bookends came."
)
ad_rows: Final = _child_table(
    "ad_rows", AdRow, "ad_number", "Ads; whether one is tracked follows from its break's row."
)
Index("ad_rows_started_at", ad_rows.c.projection, ad_rows.c.started_at)  # for ads by day
chapter_rows: Final = _child_table("chapter_rows", ChapterRow, "chapter_number", "Chapters.")
player_state_rows: Final = _child_table(
    "player_state_rows", PlayerStateRow, "state_number", "Player states, one row a name."
)
error_rows: Final = _child_table("error_rows", ErrorRow, "error_number", "Error events.")
finding_rows: Final = _child_table(
    "finding_rows", FindingRow, "code", "What the client did wrong, one row a code."
)
span_rows: Final = _child_table(
    "span_rows", SpanRow, "span_number", "Stretches of time that ended; the view adds the open one."
)
# For the audience of a day: what began the day before and ended before this one is not fetched.
Index("span_rows_times", span_rows.c.projection, span_rows.c.started_at, span_rows.c.ended_at)
Index("finding_rows_code", finding_rows.c.projection, finding_rows.c.code)

dead_letters: Final = Table(
    "dead_letters",
    metadata,
    _projection(),
    Column("log_partition", BigInteger, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", Text, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("replay_from", BigInteger),
    postgresql_partition_by=_BY_PROJECTION,
    comment="Log records that break the contract, with the bytes as they were read; replay_from: "
    "where the log ended before a replay that was begun.",
)

forgotten_sessions: Final = Table(
    "forgotten_sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("forgotten_at", Instant, nullable=False),
    Column("secret", LargeBinary),
    comment="Sessions whose viewers are forgotten: their rows never name anybody again.",
)

settled_letters: Final = Table(
    "settled_letters",
    metadata,
    Column("log_partition", BigInteger, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    comment="Places of dead letters that were replayed or dropped: rebuilds pass over them.",
)

log_gap_rows: Final = Table(
    "log_gap_rows",
    metadata,
    _projection(),
    Column("log_partition", BigInteger, primary_key=True, autoincrement=False),
    Column("first_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("last_offset", BigInteger, nullable=False),
    Column("session_count", BigInteger, nullable=False),
    Column("read_until", Instant),
    Column("accepted_at", Instant, nullable=False),
    comment="Log records that were gone before they were read, and that someone accepted so.",
)

closes_outbox: Final = Table(
    "closes_outbox",
    metadata,
    Column("position", counting(), primary_key=True),
    Column("projection", Integer, nullable=False),
    Column("log_partition", BigInteger, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("closed_at", BigInteger),
    sqlite_autoincrement=True,
    comment="Closes on their way to the log, in order; closed_at (ms) null: taken back.",
)

CHILD_TABLES: Final[dict[str, Table]] = {
    "ad_breaks": ad_break_rows,
    "ads": ad_rows,
    "chapters": chapter_rows,
    "player_states": player_state_rows,
    "errors": error_rows,
    "findings": finding_rows,
    "spans": span_rows,
}
"""The tables of child rows by the name of their public view."""
