"""A second, plain and slow reading of the session rules, kept apart from the fold's code.

`read` answers what the rows of one session are after a log of arrivals and ticks. It decides the
order first (`ordering`), tells the story then (`telling`), and sums up last (`sums`), all of it
from scratch for each question. Only for tests; imports no `processor`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from models import limits
from models.policy import DEFAULT_POLICY, Policy
from models.rows import (
    AdRow,
    BreakRow,
    ChapterRow,
    ErrorRow,
    FindingRow,
    PlayerStateRow,
    SessionFigures,
    StartRow,
)
from tests.reference import columns, rows
from tests.reference.arrivals import Step
from tests.reference.figures import figures_of
from tests.reference.ordering import Desk, take, with_waiting_applied
from tests.reference.periods import player_state_rows
from tests.reference.spans import Span, spans_of, too_many
from tests.reference.story import Story, elapsed_ms
from tests.reference.sums import of_activity, total
from tests.reference.telling import tell


class Reading(NamedTuple):
    """What a summary says now. `final`: closed, and no later event can take the close back.

    `ended_ms`: what *ended* swallowed; with the buckets it adds up to `elapsed_ms` (§3).
    `traits`: which corners of the rules the session touched; not compared with anything.
    """

    figures: SessionFigures
    start: StartRow | None
    breaks: tuple[BreakRow, ...]
    ads: tuple[AdRow, ...]
    chapters: tuple[ChapterRow, ...]
    player_states: tuple[PlayerStateRow, ...]
    errors: tuple[ErrorRow, ...]
    findings: tuple[FindingRow, ...]
    spans: tuple[Span, ...]
    closed: bool
    final: bool
    ended_ms: int
    elapsed_ms: int
    traits: frozenset[str]


def read(steps: Sequence[Step], policy: Policy = DEFAULT_POLICY) -> Reading:
    """The rows after the whole log."""
    desk = Desk(policy)
    for step in steps:
        take(desk, step)
    return reading_of(desk, policy)


def read_prefixes(steps: Sequence[Step], policy: Policy = DEFAULT_POLICY) -> Iterator[Reading]:
    """The rows after each step of the log; nothing while no event has arrived."""
    desk = Desk(policy)
    for step in steps:
        take(desk, step)
        if desk.applied or desk.waiting:
            yield reading_of(desk, policy)


def reading_of(desk: Desk, policy: Policy) -> Reading:
    """The rows as of now: what waits is applied, as if nothing else came (§2)."""
    now = with_waiting_applied(desk)
    story = tell(now, policy)
    findings = findings_of(now, story)
    return Reading(
        figures=figures_of(now, story, len(findings)),
        start=None if now.start is None else columns.start_row(now.start, columns.silent),
        breaks=tuple(rows.break_rows(story)),
        ads=tuple(rows.ad_rows(story)),
        chapters=tuple(rows.chapter_rows(story)),
        player_states=player_state_rows(story),
        errors=tuple(story.errors[: limits.CHILD_ROWS_MAX]),
        findings=findings,
        spans=spans_of(story),
        closed=now.close is not None,
        final=desk.close is not None,
        ended_ms=total(of_activity(story, "ended")),
        elapsed_ms=elapsed_ms(story),
        traits=frozenset(now.traits | story.traits | {s.activity for s in story.stretches if s.dt}),
    )


def findings_of(desk: Desk, story: Story) -> tuple[FindingRow, ...]:
    """Codes with their count and the `ts` of the first (§10), ordered by code; no detail here."""
    told = [*desk.told, *story.told, *too_many(story)]
    first = {t.code: t.ts for t in reversed(told)}
    counts = Counter(t.code for t in told)
    return tuple(FindingRow(code, counts[code], first[code], "") for code in sorted(counts))
