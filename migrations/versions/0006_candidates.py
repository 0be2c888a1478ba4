"""Candidates beside the live projection: what part they are made of, and which one was live before.

Not on the record's way. The schema as it is at this revision, whatever `models.tables` says by now.
"""

import sqlalchemy as sa
from alembic import op

from models.tables_types import Json

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds two columns, null in the rows that are there, and a table."""
    op.add_column("projections", sa.Column("scope", Json(), nullable=True))
    op.add_column("live_projection", sa.Column("previous", sa.Integer(), nullable=True))
    op.create_table(
        "settled_letters",
        *(
            sa.Column(name, sa.BigInteger(), primary_key=True, autoincrement=False)
            for name in ("log_partition", "offset")
        ),
        comment="Places of dead letters that were replayed or dropped: rebuilds pass over them.",
    )
