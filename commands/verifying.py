"""Whether the figures of a database hang together: totals against the rows they are sums of.

Beside the record's way; reads the public views, so what it says of them holds for what analysts
see (docs/sql.md). The database does the sums and gives the rows that differ alone: memory does not
grow with the sessions. Imports nothing of the project.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, text


class Difference(NamedTuple):
    """A figure that is not what its rows give. `row`: the view, and the number in the session."""

    session_id: str
    row: str
    column: str
    value: Any
    rows_give: Any


class Sums(NamedTuple):
    """Columns of a view that are sums over the rows of another one, by session and `key`.

    `columns`: the SQL of each sum.
    """

    view: str
    key: str | None
    source: str
    columns: Mapping[str, str]


def _ms(condition: str) -> str:
    return f"CAST(coalesce(sum(duration_ms) FILTER (WHERE {condition}), 0) AS bigint)"


def _count(condition: str) -> str:
    return f"count(*) FILTER (WHERE {condition})"


SUMS: Final = (
    Sums(
        "sessions",
        None,
        "spans",
        {
            "content_ms": _ms("counted_as = 'content'"),
            "ad_ms": _ms("counted_as = 'ad'"),
            "media_ms": _ms("counted_as IN ('content', 'ad')"),
            "unbookended_ad_ms": _ms("activity = 'ad' AND counted_as = 'content'"),
            "ad_gap_ms": _ms("activity = 'break' AND counted_as = 'none'"),
            **{
                f"{activity}_ms": _ms(f"activity = '{activity}'")
                for activity in ("pause", "buffer", "stall", "startup", "untracked")
            },
            "watched_ms": _ms("activity NOT IN ('pause', 'untracked', 'ended')"),
            "stall_count": _count("activity = 'stall'"),
        },
    ),
    Sums(
        "sessions",
        None,
        "ads",
        {
            "ad_count": _count("tracked"),
            "ad_complete_count": _count("tracked AND completed"),
            "ad_skip_count": _count("tracked AND ended_by = 'adSkip'"),
            "unbookended_ad_count": _count("NOT tracked"),
        },
    ),
    Sums(
        "sessions",
        None,
        "ad_breaks",
        {"ad_break_count": _count("tracked"), "void_ad_break_count": _count("NOT tracked")},
    ),
    Sums(
        "sessions",
        None,
        "chapters",
        {"chapter_count": "count(*)", "chapter_complete_count": _count("completed")},
    ),
    Sums("sessions", None, "errors", {"error_count": "count(*)"}),
    Sums("sessions", None, "findings", {"finding_count": "count(*)"}),
    Sums(
        "ads",
        "ad_number",
        "spans",
        {
            "playing_ms": _ms("activity = 'ad'"),
            "pause_ms": _ms("activity = 'pause'"),
            "buffer_ms": _ms("activity = 'buffer'"),
        },
    ),
    Sums(
        "ad_breaks",
        "break_number",
        "spans",
        {
            "ad_ms": _ms("activity = 'ad'"),
            "gap_ms": _ms("activity = 'break' AND counted_as = 'none'"),
        },
    ),
    Sums("ad_breaks", "break_number", "ads", {"ad_count": "count(*)"}),
    Sums("chapters", "chapter_number", "spans", {"content_ms": _ms("activity = 'content'")}),
)

_LINE: Final = """\
WITH line AS (
  SELECT session_id, span_number, started_at, ended_at,
         lag(ended_at) OVER (PARTITION BY session_id ORDER BY span_number) AS before
  FROM spans
)
SELECT session_id, span_number, 'started_at', started_at, before
FROM line
WHERE session_id NOT IN (SELECT session_id FROM findings WHERE code = 'too_many_rows')
  AND (started_at > before
       OR started_at < before AND session_id NOT IN (
         SELECT session_id FROM findings WHERE code = 'clock_set_back'))"""
"""Each span begins where the one before it ended; after a clock set back before that."""

_ENDS: Final = """\
WITH line AS (
  SELECT session_id, min(started_at) AS started_at, max(ended_at) AS ended_at
  FROM spans
  GROUP BY session_id
)
SELECT s.session_id, NULL, s.started_at, line.started_at, s.last_event_at, line.ended_at
FROM sessions AS s
JOIN line ON line.session_id = s.session_id
WHERE s.session_id NOT IN (
    SELECT session_id FROM findings WHERE code IN ('too_many_rows', 'clock_set_back'))
  AND (s.started_at <> line.started_at OR s.last_event_at <> line.ended_at)"""
"""The line goes from the first event to the last."""


def differences(connection: Connection) -> Iterator[Difference]:
    """Every figure that is not what its rows give. All of one snapshot if the transaction is."""
    for sums in SUMS:
        yield from differences_of(connection, sums)
    for session_id, number, column, value, before in _rows(connection, _LINE):
        yield Difference(session_id, f"spans {number}", column, str(value), str(before))
    for session_id, _, *ends in _rows(connection, _ENDS):
        names = ("started_at", "last_event_at")
        yield from _unequal(session_id, "sessions", names, [str(end) for end in ends])


def differences_of(connection: Connection, sums: Sums) -> Iterator[Difference]:
    """The rows of `sums.view` that are not the sums they should be, in one statement."""
    for session_id, number, *pairs in _rows(connection, _statement(sums)):
        row = sums.view if number is None else f"{sums.view} {number}"
        yield from _unequal(session_id, row, sums.columns, pairs)


def _unequal(
    session_id: str, row: str, names: Iterable[str], pairs: list[Any]
) -> Iterator[Difference]:
    for place, name in enumerate(names):
        value, rows_give = pairs[2 * place : 2 * place + 2]
        if value != rows_give:
            yield Difference(session_id, row, name, value, rows_give)


def _rows(connection: Connection, statement: str) -> Iterator[Any]:
    yield from connection.execute(text(statement), execution_options={"yield_per": 1_000})


def _statement(sums: Sums) -> str:
    """Only rows that differ. In a session with more rows than are kept, totals may be more than
    their sums, never less."""
    keys = ["session_id", *([sums.key] if sums.key else [])]
    given = {name: f"coalesce(g.{name}, 0)" for name in sums.columns}
    pairs = ", ".join(f"r.{name}, {given[name]}" for name in sums.columns)
    unequal = " OR ".join(f"r.{name} <> {given[name]}" for name in sums.columns)
    less = " OR ".join(f"r.{name} < {given[name]}" for name in sums.columns)
    return f"""\
WITH g AS (
  SELECT {", ".join(keys)}, {", ".join(f"{sql} AS {name}" for name, sql in sums.columns.items())}
  FROM {sums.source}
  GROUP BY {", ".join(keys)}
)
SELECT r.session_id, {f"r.{sums.key}" if sums.key else "NULL"}, {pairs}
FROM {sums.view} AS r
LEFT JOIN g ON {" AND ".join(f"g.{key} = r.{key}" for key in keys)}
WHERE ({unequal})
  AND ({less} OR r.session_id NOT IN (
    SELECT session_id FROM findings WHERE code = 'too_many_rows'))"""  # noqa: S608 - names of ours


class Counted(NamedTuple):
    """How many rows were looked at; `too_many`: sessions with more rows than are kept."""

    sessions: int
    live_sessions: int
    too_many: int
    spans: int
    ads: int
    ad_breaks: int
    chapters: int


def count(connection: Connection) -> Counted:
    """What there is to compare."""
    return Counted(*connection.execute(text(_COUNTS)).one())


_COUNTS: Final = """\
SELECT (SELECT count(*) FROM sessions),
       (SELECT count(*) FROM sessions WHERE status = 'live'),
       (SELECT count(*) FROM findings WHERE code = 'too_many_rows'),
       (SELECT count(*) FROM spans),
       (SELECT count(*) FROM ads),
       (SELECT count(*) FROM ad_breaks),
       (SELECT count(*) FROM chapters)"""
