"""From events to rows without a log or a database: for batch jobs, notebooks and other systems.

Part of the pure core: no clock, no I/O. The rows are those that the processor writes for the same
records, rules and tick (docs/batch.md): the same `step` makes them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final

from models.policy import DEFAULT_POLICY, Policy
from models.records import AcceptedGap
from models.rows import ChildRow, StartRow, Summary
from processor.state import SessionState
from processor.step import PlacedRecord, due_at, fold_records, note_gap, tick
from processor.summarize import summarize

Gaps = Mapping[int, Sequence[AcceptedGap]]
"""Gaps of the log that were accepted, by partition, in order."""
NO_GAPS: Final[Gaps] = MappingProxyType({})


def fold_grouped(
    records: Iterable[PlacedRecord],
    policy: Policy = DEFAULT_POLICY,
    until: int | None = None,
    gaps: Gaps = NO_GAPS,
) -> Iterator[Summary]:
    """All rows of each session, from records that lie together by session, in log order within it.

    `until`: the tick that closes what nothing has been heard of since (arrival time, ms since the
    epoch); None leaves such sessions live. `gaps`: sessions that were live at one get the finding
    `log_gap` (docs/rules.md). Never raises for what a client sent. Memory: the records of one
    session.
    """
    for session_id, group in groupby(records, key=_session_id):
        states: dict[str, SessionState] = {}
        rest = list(group)
        partition = rest[0].partition
        for gap in gaps.get(partition, ()):
            count = sum(placed.offset < gap.first_offset for placed in rest)
            fold_records(states, rest[:count], policy)
            rest = rest[count:]
            if session_id in states:
                _cross(states[session_id], partition, gap, policy)
        fold_records(states, rest, policy)
        if until is not None:
            tick(states, (session_id,), until, policy)
        yield summarize(states[session_id], policy)


def _cross(state: SessionState, partition: int, gap: AcceptedGap, policy: Policy) -> None:
    """As a rebuild does: a tick over what is due, then whatever is not closed has the finding."""
    if gap.read_until is not None:
        due = due_at(state, policy, is_closed=summarize(state, policy).closed)
        if due <= gap.read_until:
            tick({state.session_id: state}, (state.session_id,), gap.read_until, policy)
    if not state.is_closed():
        note_gap((state,), partition, gap.first_offset, gap.last_offset)


def session_row(summary: Summary) -> dict[str, Any]:
    """The session as one row: the columns of the view `sessions` but for its place in the log.

    Durations and instants are whole ms. Columns that only `sessionStart` gives are None when none
    came.
    """
    start = summary.start or _NO_START
    return {"session_id": summary.session_id, **start._asdict(), **summary.figures._asdict()}


def child_rows(summary: Summary, table: str) -> Iterator[dict[str, Any]]:
    """The session's rows of `ads`, `ad_breaks`, `chapters`, `player_states`, `errors`, `findings`
    or `spans` (without the open one), by number."""
    for (name, _), row in sorted(summary.rows.items(), key=_place):
        if name == table:
            yield {"session_id": summary.session_id, **row._asdict()}


def _session_id(placed: PlacedRecord) -> str:
    return placed.record.session_id


def _place(item: tuple[Any, ChildRow]) -> tuple[str, Any]:
    key: tuple[str, Any] = item[0]
    return key


_NO_START = StartRow(*[None] * len(StartRow._fields))
