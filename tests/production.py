"""The production fold, seen through the words of the tests: the only place that knows its API.

`fold_arrivals` folds a log in one go; `Live` goes through it as the processor does, with
checkpoints on the way. Both give a `Reading`, the result type of the second reading, so that the
two can be compared. Only for tests.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from models.policy import DEFAULT_POLICY, Policy
from models.rows import (
    Activity,
    AdRow,
    BreakRow,
    ChapterRow,
    ChildRow,
    ErrorRow,
    FindingRow,
    OpenSpan,
    PlayerStateRow,
    RowKey,
    SessionFigures,
    SpanRow,
    StartRow,
    Summary,
)
from processor.session import apply_waiting
from processor.snapshot import dump, load
from processor.state import SessionState
from processor.step import PlacedRecord, after_close, closed_marker, due_at, fold_records, tick
from processor.summarize import settle, summarize
from tests.reference.arrivals import Step, Tick
from tests.reference.reading import Reading
from tests.reference.spans import CountedAs, Span

PARTITION = 0
AFTER_CLOSE = "event_after_close"
Row = TypeVar("Row", bound=ChildRow)


@dataclass
class Live:
    """One session as a processor holds it, and the rows that its checkpoints wrote.

    `lazy_ticks`: a tick before `due_at` does not visit the session, as in the processor.
    `reload`: each checkpoint puts the state through its bytes.
    `retire`: a session closed for good leaves memory; only a marker counts what still comes.
    """

    policy: Policy = DEFAULT_POLICY
    lazy_ticks: bool = False
    reload: bool = False
    retire: bool = False
    session_id: str = ""
    states: dict[str, SessionState] = field(default_factory=dict)
    offset: int = 0
    figures: SessionFigures | None = None
    open_span: OpenSpan | None = None
    start: StartRow | None = None
    rows: dict[RowKey, ChildRow] = field(default_factory=dict)
    closed: bool = False
    final: bool = False
    retired: bool = False
    ended_ms: int = 0
    elapsed_ms: int = 0

    def take(self, step: Step) -> None:
        """Folds one step of the log."""
        if isinstance(step, Tick):
            self.take_tick(step.at)
        else:
            self.session_id = step.record.session_id
            placed = PlacedRecord(PARTITION, self.offset, step.record)
            self.offset += 1
            fold_records(self.states, [placed], self.policy)

    def take_tick(self, at: int) -> None:
        state = self.states.get(self.session_id)
        if state is None:
            return
        if self.lazy_ticks:
            summary = summarize(state, self.policy)
            if at < due_at(state, DEFAULT_POLICY, is_closed=summary.closed and not summary.final):
                return
        tick(self.states, [self.session_id], at, self.policy)

    def checkpoint(self) -> None:
        """Writes what a summary says now, as the processor does."""
        state = self.states.get(self.session_id)
        if state is None:
            return
        if self.retired:
            self.write_after_close(state)
            return
        summary = summarize(state, self.policy)
        self.write(summary, state)
        settle(state, summary)
        if self.reload:
            self.states[self.session_id] = load(self.session_id, dump(state))
        if self.retire and summary.closed and summary.final:
            self.states[self.session_id] = self.marker(summary)
            self.retired = True

    def write(self, summary: Summary, state: SessionState) -> None:
        self.figures, self.open_span = summary.figures, summary.open_span
        self.start = summary.start if summary.start is not None else self.start
        for key in summary.gone:
            self.rows.pop(key, None)
        self.rows.update(summary.rows)
        self.closed, self.final = summary.closed, summary.closed and summary.final
        now = state.copy()
        apply_waiting(now, self.policy)
        self.ended_ms, self.elapsed_ms = now.ended_ms, now.elapsed_ms

    def marker(self, summary: Summary) -> SessionState:
        written = [r for r in of_type(self.rows, FindingRow) if r.code == AFTER_CLOSE]
        first_ts, detail = (written[0].first_ts, written[0].detail) if written else (0, "")
        count = summary.figures.events_after_close_count
        return closed_marker(self.session_id, PARTITION, count, first_ts, detail)

    def write_after_close(self, state: SessionState) -> None:
        """The row of a closed session takes only its after-close figures."""
        assert self.figures is not None
        told = after_close(state)
        count = told.events_after_close_count
        if count == self.figures.events_after_close_count:
            return
        row = FindingRow(AFTER_CLOSE, count, told.first_ts, told.detail)
        self.rows = {k: r for k, r in self.rows.items() if not is_after_close(r)}
        self.rows[("after close", AFTER_CLOSE)] = row
        self.figures = self.figures._replace(
            events_after_close_count=count, finding_count=len(of_type(self.rows, FindingRow))
        )

    def reading(self) -> Reading:
        """What the written rows say."""
        assert self.figures is not None, "a checkpoint comes first"
        return Reading(
            figures=self.figures,
            start=self.start,
            breaks=of_type(self.rows, BreakRow),
            ads=of_type(self.rows, AdRow),
            chapters=of_type(self.rows, ChapterRow),
            player_states=of_type(self.rows, PlayerStateRow),
            errors=of_type(self.rows, ErrorRow),
            findings=tuple(r._replace(detail="") for r in of_type(self.rows, FindingRow)),
            spans=self.spans(),
            closed=self.closed,
            final=self.final,
            ended_ms=self.ended_ms,
            elapsed_ms=self.elapsed_ms,
            traits=frozenset(),
        )

    def spans(self) -> tuple[Span, ...]:
        """What the view `spans` makes of the rows."""
        assert self.figures is not None
        assert self.open_span is not None
        rows = time_line(self.rows, self.open_span, self.figures)
        breaks_of_ads = {ad.ad_number: ad.break_number for ad in of_type(self.rows, AdRow)}
        tracked = {b.break_number: b.tracked for b in of_type(self.rows, BreakRow)}
        spans = []
        for row in rows:
            number = row.break_number
            if number is None and row.ad_number is not None:
                number = breaks_of_ads[row.ad_number]
            counted = counted_as(row.activity, number in tracked and tracked[number], self.policy)
            spans.append(Span(*row[:5], counted, *row[5:7], number, *row[8:]))
        return tuple(spans)


def time_line(
    rows: dict[RowKey, ChildRow], goes_on: OpenSpan, figures: SessionFigures
) -> list[SpanRow]:
    """The spans that ended, and the one that goes on."""
    line = [*of_type(rows, SpanRow)]
    if goes_on.span_number is not None:
        assert goes_on.span_number not in {row.span_number for row in line}
        line.append(SpanRow._make((*goes_on[:2], figures.last_event_at, *goes_on[2:])))
    return line


def counted_as(activity: Activity, is_tracked: bool, policy: Policy) -> CountedAs:
    if activity == "ad":
        return "ad" if is_tracked else "content"
    is_content = activity == "content" or (activity == "break" and policy.break_gap == "content")
    return "content" if is_content else "none"


def is_after_close(row: ChildRow) -> bool:
    return isinstance(row, FindingRow) and row.code == AFTER_CLOSE


def of_type(rows: dict[RowKey, ChildRow], kind: type[Row]) -> tuple[Row, ...]:
    """The rows of one table, by their number or code."""
    return tuple(sorted((r for r in rows.values() if isinstance(r, kind)), key=lambda r: r[0]))


def fold_arrivals(steps: Sequence[Step], policy: Policy = DEFAULT_POLICY) -> Reading:
    """The rows after the whole log, summed up once at its end."""
    live = Live(policy)
    for step in steps:
        live.take(step)
    live.checkpoint()
    return live.reading()


def fold_prefixes(steps: Sequence[Step], live: Live) -> Iterator[Reading]:
    """The rows after each step of the log, with a checkpoint each time."""
    for step in steps:
        live.take(step)
        live.checkpoint()
        if live.figures is not None:
            yield live.reading()


def fold_with_cuts(steps: Sequence[Step], cuts: Sequence[int], live: Live) -> Reading:
    """The rows after the whole log, with checkpoints only after the steps that `cuts` names."""
    for i, step in enumerate(steps):
        live.take(step)
        if i in cuts:
            live.checkpoint()
    live.checkpoint()
    return live.reading()


__all__ = ["Live", "fold_arrivals", "fold_prefixes", "fold_with_cuts"]
