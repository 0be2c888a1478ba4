"""The embedded log's own file (`log.db`): records, closes, and which log it is.

On the record's way: the collector's publisher appends to `log_records`, the processor's source
reads them; the other way round go `closes`. Not under Alembic: the file belongs to the log, not to
a database, and is created whole. Imports nothing of the project; no I/O.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

LOG_SCHEMA_VERSION: Final = 1
"""What `log_meta.schema_version` says; a file with a larger one is of a newer release."""

log_metadata: Final = MetaData()

log_records: Final = Table(
    "log_records",
    log_metadata,
    # AUTOINCREMENT: offsets must never restart, also when retention has emptied the table.
    Column("offset", Integer, primary_key=True),
    Column("received_at", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
    comment="One row a log record; received_at is the writer's clock in ms, never running back.",
)

log_meta: Final = Table(
    "log_meta",
    log_metadata,
    Column("id", Integer, primary_key=True),
    Column("log_id", Text, nullable=False),
    Column("schema_version", Integer, nullable=False),
    CheckConstraint("id = 1", name="log_meta_one_row"),
    comment="Which log this is: offsets of one log mean nothing in another.",
)

closes: Final = Table(
    "closes",
    log_metadata,
    Column("position", Integer, primary_key=True),
    Column("session_id", Text, nullable=False),
    Column("closed_at", BigInteger),
    Column("published_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
    comment="Closed sessions in the order they were told; closed_at null: the close is taken back.",
)
