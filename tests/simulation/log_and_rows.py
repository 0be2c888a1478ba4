"""What is in an embedded log, what the public views say, and what one clean fold of the log gives.

Only for tests. The fold here shares nothing with the processor's shell: no checkpoint, no state in
SQL, no look-up, no claim; and nothing with the code that writes rows.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sqlalchemy import column, select, text

from models.avro import decode
from models.policy import DEFAULT_POLICY
from models.records import Event, LogRecord
from models.rows import AdRow, BreakRow, StartRow, Summary
from models.tables import CHILD_TABLES, progress
from models.views import view_queries
from processor.database import open_database, reading
from processor.quiet import offset_of
from processor.state import SessionState
from processor.step import decode_records, fold_records, tick
from processor.summarize import summarize

TOLD_VIEWS: Final = ("sessions", *(name for name in CHILD_TABLES if name != "spans"))
"""The views whose rows a summary tells by itself. `spans` and the reports are worked out of these
by SQL, and of the tables, which `verdict` compares."""

Row = tuple[tuple[str, Any], ...]
Views = dict[str, Counter[Row]]
Identity = tuple[str, str, int, int, str]
"""What tells events apart: session, type, ts, playhead, and what they carry."""


def log_records(path: Path) -> list[LogRecord]:
    """All records of an embedded log, in order."""
    query = 'SELECT "offset", received_at, CAST(key AS BLOB), value FROM log_records ORDER BY 1'
    with closing(sqlite3.connect(path)) as connection:
        return [LogRecord(0, *row) for row in connection.execute(query)]


def logged_events(records: list[LogRecord]) -> Counter[Identity]:
    """How often each event is in the log."""
    return Counter(
        identity(record.session_id, event)
        for record in map(decode, records)
        for event in record.events
    )


def identity(session_id: str, event: Event) -> Identity:
    carried = [sorted((part or {}).items(), key=str) for part in event[3:6]]
    return session_id, event.type, event.ts, event.playhead_ms, str(carried)


def last_tick(database: str) -> int | None:
    """The processor's last tick, ms."""
    engine = open_database(database, read_only=True)
    with reading(engine) as connection:
        tick_at: int | None = connection.execute(select(progress.c.tick)).scalar_one()
    engine.dispose()
    return tick_at


def views(database: str) -> Views:
    """All rows of all public views."""
    engine = open_database(database, read_only=True)
    found: Views = {}
    with reading(engine) as connection:
        for name, query in view_queries().items():
            typed = [column(c.name, c.type) for c in query.selected_columns]
            result = connection.execute(text(f"SELECT * FROM {name}").columns(*typed))  # noqa: S608
            found[name] = Counter(_row(row._asdict()) for row in result)
    engine.dispose()
    return found


def clean_fold(records: list[LogRecord], tick_at: int | None) -> Views:
    """The rows that `TOLD_VIEWS` should have: one fold of the log from its start, one tick."""
    states: dict[str, SessionState] = {}
    decoded = decode_records(records)
    assert not decoded.dead_letters
    fold_records(states, decoded.records, DEFAULT_POLICY)
    if tick_at is not None:
        tick(states, list(states), tick_at, DEFAULT_POLICY)
    expected: Views = {name: Counter() for name in TOLD_VIEWS}
    for state in states.values():
        for name, row in _rows_of(state, summarize(state, DEFAULT_POLICY)):
            if name in expected:
                expected[name][_row(row)] += 1
    return expected


def _rows_of(state: SessionState, summary: Summary) -> Iterator[tuple[str, dict[str, Any]]]:
    place = {
        "session_id": state.session_id,
        "log_partition": state.partition,
        "first_offset": state.first_offset,
        "last_offset": offset_of(state),
    }
    start = summary.start._asdict() if summary.start else dict.fromkeys(StartRow._fields)
    yield "sessions", place | start | summary.figures._asdict()
    tracked = {
        row.break_number: row.tracked for row in summary.rows.values() if isinstance(row, BreakRow)
    }
    for (name, _), row in summary.rows.items():
        columns = {"session_id": state.session_id} | row._asdict()
        if isinstance(row, AdRow):
            columns |= _tracked(row, tracked)
        yield name, columns


def _tracked(ad: AdRow, tracked: Mapping[int, bool]) -> dict[str, Any]:
    if ad.break_number is None:
        return {"tracked": False, "untracked_reason": "ad_without_break"}
    if tracked[ad.break_number]:
        return {"tracked": True, "untracked_reason": None}
    return {"tracked": False, "untracked_reason": "break_not_completed"}


def _row(columns: Mapping[str, Any]) -> Row:
    """Comparable and hashable: by column name, containers as text, tuples as JSON has them."""
    return tuple(
        (name, json.dumps(value) if isinstance(value, (list, tuple)) else _plain(value))
        for name, value in sorted(columns.items())
    )


def _plain(value: Any) -> Any:
    return str(sorted(value.items())) if isinstance(value, dict) else value
