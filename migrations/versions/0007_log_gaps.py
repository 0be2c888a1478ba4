"""Gaps of the log that were accepted.

The schema as it was at this revision, whatever `models.tables` says by now. Only the column types
come from the models.
"""

import sqlalchemy as sa
from alembic import op

from models.tables_types import Instant

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One small table for all projections: a gap is rare."""
    op.create_table(
        "log_gap_rows",
        sa.Column("projection", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("log_partition", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first_offset", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last_offset", sa.BigInteger, nullable=False),
        sa.Column("session_count", sa.BigInteger, nullable=False),
        sa.Column("read_until", Instant, nullable=True),
        sa.Column("accepted_at", Instant, nullable=False),
        comment="Log records that were gone before they were read, and that someone accepted so.",
    )
