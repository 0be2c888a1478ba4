"""Rows written by hand into the tables behind the views, for reports small enough to check by eye.

Only for tests. What a row does not say is 0, false or null; times are `hh:mm[:ss[.mmm]]` of
1 March 2026, or whole `YYYY-MM-DD hh:mm` in UTC.
"""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, insert

from models.policy import DEFAULT_POLICY
from models.tables import (
    ad_break_rows,
    ad_rows,
    chapter_rows,
    finding_rows,
    player_state_rows,
    session_starts,
    sessions_closed,
    sessions_live,
    span_rows,
)
from models.tables_types import Instant, Json
from processor.projection import ensure_live_projection

DAY: Final = "2026-03-01"
_STARTS: Final = {column.name for column in session_starts.c}
_NOTHING: Final[dict[str, Any]] = {"TEXT": "", "BOOLEAN": False, "JSON": [], "BLOB": b""}


def at(text: str) -> int:
    """The instant in ms since the epoch."""
    when = text if len(text.split()) > 1 else f"{DAY} {text}"
    return round(datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp() * 1000)


class Rows:
    """Writes rows of one projection, the live one."""

    def __init__(self, engine: Engine, projection: int | None = None) -> None:
        live = ensure_live_projection(engine, DEFAULT_POLICY, at("00:00"))
        self._engine = engine
        self._projection = live if projection is None else projection

    def session(self, session_id: str, start: str, *, live: bool = False, **more: Any) -> None:
        """A closed session, or a `live` one."""
        figures: dict[str, Any] = {
            "started_at": at(start),
            "last_event_at": at(start),
            "status": "live" if live else "closed",
            "exit_stage": "content",
        }
        figures |= {name: value for name, value in more.items() if name not in _STARTS}
        said = {name: value for name, value in more.items() if name in _STARTS}
        with self._engine.begin() as connection:
            table = sessions_live if live else sessions_closed
            self._insert(connection, table, session_id, figures)
            self._insert(connection, session_starts, session_id, said)

    def ad_break(self, session_id: str, number: int, start: str, **more: Any) -> None:
        row = {"break_number": number, "started_at": at(start), "position": "mid", **more}
        self._write(ad_break_rows, session_id, row)

    def ad(self, session_id: str, number: int, start: str, **more: Any) -> None:
        self._write(ad_rows, session_id, {"ad_number": number, "started_at": at(start), **more})

    def chapter(self, session_id: str, number: int, start: str, **more: Any) -> None:
        row = {"chapter_number": number, "started_at": at(start), **more}
        self._write(chapter_rows, session_id, row)

    def span(self, session_id: str, number: int, begin: str, end: str, **more: Any) -> None:
        """A span that ended: content unless `activity` says otherwise."""
        row = {"span_number": number, "started_at": at(begin), "ended_at": at(end), **more}
        self._write(span_rows, session_id, {"activity": "content", **row})

    def finding(self, session_id: str, code: str, count: int = 1) -> None:
        row = {"code": code, "count": count, "first_ts": at("00:00"), "detail": code}
        self._write(finding_rows, session_id, row)

    def player_state(self, session_id: str, number: int, name: str, **more: Any) -> None:
        row = {"state_number": number, "name": name, **more}
        self._write(player_state_rows, session_id, row)

    def _write(self, table: Table, session_id: str, row: dict[str, Any]) -> None:
        with self._engine.begin() as connection:
            self._insert(connection, table, session_id, row)

    def _insert(
        self, connection: Connection, table: Table, session_id: str, row: dict[str, Any]
    ) -> None:
        keys = {"projection": self._projection, "session_id": session_id}
        blank = {column.name: _blank(column) for column in table.c if not column.nullable}
        connection.execute(insert(table).values({**blank, **keys, **row}))


def _blank(column: Any) -> Any:
    if isinstance(column.type, Instant):
        return at("00:00")
    if isinstance(column.type, Json):
        return []
    return _NOTHING.get(str(column.type), 0)
