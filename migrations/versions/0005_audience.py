"""Reports from the time line: an index on the start of a span."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """On PostgreSQL no span is written while the index is built."""
    op.create_index("span_rows_started_at", "span_rows", ["projection", "started_at"])
