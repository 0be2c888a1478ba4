"""What analysts would query, read through the public views only (docs/sql.md).

After the record's way: `demo` shows what this reads. Never writes. Imports `processor.database`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, text

from processor.database import open_database, reading

Row = dict[str, Any]
ROWS_MAX: Final = 10_000

SESSIONS: Final = """\
SELECT session_id, content_name, status, close_reason, content_ms, ad_ms, unbookended_ad_ms,
       pause_ms, buffer_ms, stall_ms, ad_gap_ms, media_ms, ad_count, unbookended_ad_count,
       ad_break_count, void_ad_break_count, chapter_count, exit_stage, event_count,
       duplicate_event_count, late_event_count, events_after_close_count
FROM sessions"""
FINDINGS: Final = "SELECT session_id, code, count, detail FROM findings ORDER BY session_id, code"
ADS: Final = """\
SELECT session_id, ad_number, ad_id, playing_ms, completed, tracked, untracked_reason
FROM ads ORDER BY session_id, ad_number"""
ARRIVED: Final = """\
SELECT session_id, event_count + duplicate_event_count + events_after_close_count AS events
FROM sessions"""


def rows(connection: Connection, query: str) -> Sequence[Row]:
    """The first rows of a query, by column name."""
    result = connection.execute(text(query))
    return [dict(row._mapping) for row in result.fetchmany(ROWS_MAX)]  # noqa: SLF001 - its API


def arrived(database: Path | str) -> dict[str, int]:
    """How many events of each session are in its row."""
    with viewing(database) as connection:
        return {row["session_id"]: row["events"] for row in rows(connection, ARRIVED)}


@contextmanager
def viewing(database: Path | str) -> Iterator[Connection]:
    """A connection for analysts: it cannot write and never waits for the processor.

    `database`: a SQLite file, or an address.
    """
    url = database if isinstance(database, str) else f"sqlite:///{database}"
    engine = open_database(url, read_only=True)
    try:
        with reading(engine) as connection:
            yield connection
    finally:
        engine.dispose()
