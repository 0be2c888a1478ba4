"""The index on the start of a span has its end, too: what ended long ago is not fetched."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """On PostgreSQL no span is written while the index is built."""
    op.create_index("span_rows_times", "span_rows", ["projection", "started_at", "ended_at"])
    op.drop_index("span_rows_started_at", "span_rows")
