"""Reports by day: an index on the start of an ad; the views themselves are made anew anyway."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """On PostgreSQL nothing is written to the ads while the index is built."""
    op.create_index("ad_rows_started_at", "ad_rows", ["projection", "started_at"])
