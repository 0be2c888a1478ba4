"""Closes from the outbox to the log, where collectors learn them.

Beside the record's way, behind the checkpoint that wrote them: read from the outbox, publish, then
delete. A crash between the last two publishes them again, which changes nothing for a reader.
Imports `models`, `source` and `database`; never `ingest`.
"""

from typing import Final

from sqlalchemy import Engine, bindparam, delete, select

from models.tables import closes_outbox
from processor.database import reading, writing
from processor.source import Close, ClosesSink

CLOSES_MAX: Final = 1_000
"""Closes in one go."""
DELIVERED_WITHIN_MS: Final = 5_000
ANSWERED_WITHIN_MS: Final = 3_000
"""How long a client may take for them, and the brokers for an answer."""


class ClosesRelay:
    """Empties the outbox of a projection's partitions. Used by one thread."""

    def __init__(self, engine: Engine, sink: ClosesSink) -> None:
        self._engine = engine
        self._sink = sink

    def relay(self, projection: int, partition: int) -> int:
        """Publishes up to `CLOSES_MAX` closes of a partition, oldest first; says how many.

        Only what is committed is seen. Errors: `LogAwayError`: they stay in the outbox.
        `DatabaseAwayError`.
        """
        mine = (
            closes_outbox.c.projection == projection,
            closes_outbox.c.log_partition == partition,
        )
        waiting = (
            select(closes_outbox.c.position, closes_outbox.c.session_id, closes_outbox.c.closed_at)
            .where(*mine)
            .order_by(closes_outbox.c.position)
            .limit(CLOSES_MAX)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(waiting).all()
        if not rows:
            return 0
        self._sink.publish([Close(row.session_id, row.closed_at) for row in rows])
        published = delete(closes_outbox).where(
            *mine, closes_outbox.c.position <= bindparam("last")
        )
        with writing(self._engine) as connection:
            connection.execute(published, {"last": rows[-1].position})
        return len(rows)


def value_of(close: Close) -> bytes | None:
    """A close as Kafka's records have it. None takes an earlier one back."""
    return None if close.closed_at is None else b"%d" % close.closed_at
