"""Spans: the stretches of a session's time line, and the one that goes on beside a live session.

The schema as it was at this revision, whatever `models.tables` says by now.
"""

import sqlalchemy as sa
from alembic import op

from models.tables_types import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Sessions that a release without spans folded have none: their projection is of older rules,
    and this release does not go on with it."""
    _make_span_rows()
    for column in _open_span_columns():
        op.add_column("sessions_live", column)
    if op.get_context().dialect.name == "postgresql":
        op.create_table_comment(
            "sessions_live",
            "Sessions that can still change: figures, the fold's state, when a tick is due (ms),"
            " the stretch of time that goes on.",
        )
        _make_partitions()


def _make_span_rows() -> None:
    op.create_table(
        "span_rows",
        sa.Column("projection", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("span_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("ended_at", Instant, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("activity", sa.Text, nullable=False),
        sa.Column("playhead_from_s", sa.Double, nullable=False),
        sa.Column("playhead_to_s", sa.Double, nullable=False),
        sa.Column("break_number", sa.BigInteger),
        sa.Column("ad_number", sa.BigInteger),
        sa.Column("chapter_number", sa.BigInteger),
        sqlite_with_rowid=False,
        postgresql_partition_by="LIST (projection)",
        comment="Stretches of time that ended; the view adds the open one.",
    )


def _open_span_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("span_number", sa.BigInteger),
        sa.Column("span_started_at", Instant),
        sa.Column("span_duration_ms", sa.BigInteger),
        sa.Column("span_activity", sa.Text),
        sa.Column("span_playhead_from_s", sa.Double),
        sa.Column("span_playhead_to_s", sa.Double),
        sa.Column("span_break_number", sa.BigInteger),
        sa.Column("span_ad_number", sa.BigInteger),
        sa.Column("span_chapter_number", sa.BigInteger),
    ]


def _make_partitions() -> None:
    """A projection that is there already gets its partition, as a new one does."""
    connection = op.get_bind()
    for (projection,) in connection.execute(sa.text("SELECT projection FROM projections")).all():
        connection.exec_driver_sql(
            f"CREATE TABLE span_rows_{projection:d} PARTITION OF span_rows"
            f" FOR VALUES IN ({projection:d})"
        )
