"""When each player state was on, as a column of its row.

The schema as it was at this revision, whatever `models.tables` says by now.
"""

import sqlalchemy as sa
from alembic import op

from models.tables_types import Json

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Null in rows that are there: the rules that made them knew no periods. This release does not
    go on with their projection."""
    op.add_column("player_state_rows", sa.Column("periods", Json))
