"""The list of sessions whose viewers are forgotten.

Not on the record's way. The schema as it is at this revision, whatever `models.tables` says by now.
"""

import sqlalchemy as sa
from alembic import op

from models.tables_types import Instant

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a table."""
    op.create_table(
        "forgotten_sessions",
        sa.Column("session_id", sa.Text(), primary_key=True),
        sa.Column("forgotten_at", Instant(), nullable=False),
        comment="Sessions whose viewers are forgotten: their rows never name anybody again.",
    )
