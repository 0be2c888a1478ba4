"""The sessions that the browser looks at: a simulated crowd, and a few that are odd.

Only for tests.
"""

from typing import Any, Final

from sqlalchemy import Connection, Engine, select, text

from models.views import view_table
from tests.explore.served import NOW
from tests.reports.crowd import write_crowd
from tests.reports.rows import Rows

HOSTILE: Final = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
NO_TIME: Final = "no-time"
_COUNT: Final = 70
_SPREAD_MS: Final = 30 * 3_600_000


def fill(engine: Engine) -> None:
    """Sessions of the 30 hours before `NOW`, of which some are live then; the same every time."""
    write_crowd(engine, 7, _COUNT, NOW - _SPREAD_MS, _SPREAD_MS)
    rows = Rows(engine)
    names: dict[str, Any] = {"content_name": HOSTILE, "content_id": HOSTILE, "channel": HOSTILE}
    names |= {"player_name": HOSTILE, "app_version": HOSTILE}
    counts: dict[str, Any] = {"unbookended_ad_count": 1, "finding_count": 1, "event_count": 4}
    figures: dict[str, Any] = dict.fromkeys(("content_ms", "unbookended_ad_ms"), 60000)
    rows.session(HOSTILE, "09:00", **names, **counts, **figures, watched_ms=60_000)
    rows.span(HOSTILE, 1, "09:00", "09:01", activity="ad", ad_number=1)
    rows.ad(HOSTILE, 1, "09:00", name=HOSTILE)
    rows.finding(HOSTILE, "ad_without_break")
    rows.session(NO_TIME, "09:30", live=True)
    _let_states_begin(engine, rows)


def _let_states_begin(engine: Engine, rows: Rows) -> None:
    """Two player states in the session that most is wrong with."""
    session_id, sessions = spoiled(engine), view_table("sessions").c
    query = select(sessions.started_at, sessions.last_event_at)
    with engine.connect() as connection:
        begin, end = connection.execute(query.where(sessions.session_id == session_id)).one()
    third = (end - begin) // 3
    quiet = [[begin + third // 2, begin + third], [begin + 2 * third, end]]
    for number, name, periods in ((1, "fullscreen", [[begin, begin + third]]), (2, "mute", quiet)):
        total = sum(until - since for since, until in periods)
        more: dict[str, Any] = {"count": len(periods), "total_ms": total, "periods": periods}
        rows.player_state(session_id, number, name, **more)


def ask(engine: Engine, query: str, **values: Any) -> list[Any]:
    """The rows of a query of the public views."""
    with engine.connect() as connection:
        return _rows(connection, query, values)


def ask_one(engine: Engine, query: str, **values: Any) -> Any:
    """The one row of it."""
    (row,) = ask(engine, query, **values)
    return row


def _rows(connection: Connection, query: str, values: dict[str, Any]) -> list[Any]:
    return list(connection.execute(text(query), values).all())


def spoiled(engine: Engine) -> str:
    """A session that lost a bookend, has pauses or stalls, and findings."""
    query = """SELECT session_id FROM sessions
        WHERE unbookended_ad_ms > 0 AND finding_count > 1 AND ad_count > 0
        ORDER BY content_ms DESC, session_id LIMIT 1"""
    return str(ask_one(engine, query)[0])
