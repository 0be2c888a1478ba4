"""Dead letters: the mark of a replay that was begun (docs/operations.md "Dead letters").

Only adds a column that may be null.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """There is no way down: a database is rebuilt from the log."""
    op.add_column("dead_letters", sa.Column("replay_from", sa.BigInteger(), nullable=True))
    comment = (
        "Log records that break the contract, with the bytes as they were read; replay_from: "
        "where the log ended before a replay that was begun."
    )
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps no comments
        op.create_table_comment("dead_letters", comment)
