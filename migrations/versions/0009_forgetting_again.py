"""The key of a run that forgets viewers, kept until it is done.

Not on the record's way. The schema as it is at this revision, whatever `models.tables` says by now.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a column."""
    op.add_column("forgotten_sessions", sa.Column("secret", sa.LargeBinary()))
