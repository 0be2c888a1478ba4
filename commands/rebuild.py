"""`bookended rebuild`: the log once more, under today's rules or others, into a candidate.

Beside the record's way: plans the partitions, has workers fold them, shows how far they are.
Readers see nothing of it until `bookended promote`. Part of the composition root.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import Field
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from sqlalchemy import Engine

from commands.database import known_database
from commands.embedded import now_ms
from commands.errors import Failure, SettingsError
from commands.log_parts import open_reader
from commands.logs import configure
from commands.options import Origin, current_flags, origin, settings_of, takes
from commands.rebuild_workers import Job, Moved, workers
from commands.settings import Ruling, Stored
from commands.tables import program, stderr, stdout
from commands.values import Instant, epoch_ms
from models.limits import TICK_DELAY_MS
from models.policy import Policy
from models.records import AcceptedGap
from processor.archive import ArchiveOfOtherLogError, PartitionArchive, read_archive
from processor.database import reading
from processor.log_gaps import (
    Range,
    UnacceptedGapError,
    accepted_gaps,
    archived_gaps,
    gaps_to_cross,
    readable,
)
from processor.projection import Projection, find_live_projection
from processor.projections import Place, create_candidate, places, read_policy, read_scope
from processor.rebuild import LogStartGoneError, Part, Target
from processor.session_places import Wanted, find_sessions
from processor.source import Source

CAUGHT_UP: Final = 1_000
"""Records behind the live projection at which a rebuild ends: the processor does the rest."""
PASSES_MAX: Final = 20
_POLICY_NAMES: Final = {
    "valid_play": "valid_play_ms",
    "inactive_after": "inactive_ms",
    "idle_after": "idle_ms",
    "expire_after": "expired_ms",
}
"""The settings of rules that a policy calls otherwise."""


class Rebuilding(Stored, Ruling):
    """Where a rebuild reads, what it makes."""

    archive: Path | None = Field(
        None, description="Read this archive first, then the log from where the archive ends."
    )
    archive_only: bool = Field(False, description="Read the archive alone, not the log.")
    into: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Go on with this candidate. Default: a new one."
    )
    jobs: Annotated[int, Field(ge=1, le=64)] | None = Field(
        None, description="Processes at a time; partitions are shared. Default: one a core."
    )
    sessions: str | None = Field(
        None, description="Rebuild only these session ids, with commas between; for diff alone."
    )
    rebuild_from: Instant | None = Field(
        None,
        description="Only sessions that the live projection has from this instant on: a day or an "
        "instant, in UTC unless it names a zone.",
        validation_alias="BOOKENDED_FROM",
    )
    rebuild_to: Instant | None = Field(
        None,
        description="Only sessions that the live projection has before this instant.",
        validation_alias="BOOKENDED_TO",
    )


class Plan(NamedTuple):
    """What there is to read: `log` is its name and id; with `first_offset` it began. `ends`: where
    each partition begins and ends now, of the log, or of the archive alone."""

    log: tuple[str, str]
    topic: str
    first_offset: int
    ends: dict[int, Range]
    archives: dict[int, PartitionArchive]
    reads_log: bool = True

    def log_range(self, partition: int) -> Range | None:
        return self.ends[partition] if self.reads_log else None


@takes(Rebuilding)
def command(settings: Rebuilding) -> None:
    """Folds the log once more into a candidate beside the live projection.

    Rules that are not given are the live projection's. The processor goes on meanwhile; readers see
    nothing until `bookended promote`. Killed, it goes on with --into.
    """
    configure(settings.log_level, settings.log_format)
    plan = _plan(settings)
    with known_database(settings) as engine:
        live = find_live_projection(engine)
        wanted = _wanted(settings, engine, live)
        candidate = _candidate(settings, engine, live, wanted)
        _say(f"Rebuilding into projection {candidate} with {_jobs(settings)} processes")
        for _ in range(PASSES_MAX):
            parts = _parts(engine, live, candidate, plan, wanted)
            engine.dispose()  # no connection is for two processes
            _run(settings, candidate, parts)
            if wanted is not None or _behind(engine, live, candidate, plan) <= CAUGHT_UP:
                break
        _tell(engine, candidate, wanted)


def _say(line: str) -> None:
    stderr().print(line, highlight=False, soft_wrap=True)


def _jobs(settings: Rebuilding) -> int:
    return settings.jobs or os.cpu_count() or 1


def _plan(settings: Rebuilding) -> Plan:
    """Errors: `Failure`, those of archive and source."""
    archives = read_archive(settings.archive) if settings.archive is not None else []
    if settings.archive_only:
        if not archives:
            raise SettingsError(("--archive-only: needs an archive; give it by --archive DIR",))
        return Plan(
            (f"archive {settings.archive}", archives[0].log_id),
            archives[0].topic,
            1,  # the first offset of an embedded log; Kafka's is 0
            {it.partition: Range(it.start_offset, it.next_offset or 0) for it in archives},
            {it.partition: it for it in archives},
            reads_log=False,
        )
    with ExitStack() as stack:
        source = open_reader(settings, stack)
        for archive in archives:
            if archive.log_id != source.log_id():
                raise ArchiveOfOtherLogError(archive.path, archive.log_id, source.log_id())
        return Plan(
            (source.name(), source.log_id()),
            source.topic(),
            0 if settings.kafka is not None else 1,
            {number: _ends(source, number) for number in source.partitions()},
            {it.partition: it for it in archives},
        )


def _ends(source: Source, partition: int) -> Range:
    return Range(source.start_offset(partition), source.end_offset(partition))


# --- the candidate ------------------------------------------------------------------------------


def _candidate(
    settings: Rebuilding, engine: Engine, live: int, wanted: dict[int, Wanted] | None
) -> int:
    """The candidate's number, a new one unless it is given. Errors: `Failure`."""
    if settings.into is None:
        scope = None if wanted is None else {"sessions": _count(wanted)}
        return create_candidate(engine, _policy(settings, engine, live), scope, now_ms())
    if settings.into == live:
        raise Failure(
            f"projection {live} is the live one", "The processor fills that; leave --into away."
        )
    if wanted is not None:
        raise Failure("a part is always rebuilt from its start", "Leave --into away.")
    with reading(engine) as connection:
        if read_scope(connection, settings.into) is not None:
            raise Failure(
                f"projection {settings.into} is of a part, or being dropped", "Leave --into away."
            )
    rules = Projection(engine, settings.into).rules()
    if _overridden(settings) and _changed(settings, rules.policy) != rules.policy:
        raise Failure(
            f"projection {settings.into} keeps the rules it was made with ({rules.policy})",
            "Leave the rules away, or leave --into away to make a new one.",
        )
    return settings.into


def _policy(settings: Rebuilding, engine: Engine, live: int) -> Policy:
    """The live projection's, but for what the settings say."""
    with reading(engine) as connection:
        return _changed(settings, read_policy(connection, live))


def _overridden(settings: Rebuilding) -> list[str]:
    flags = current_flags()
    return [
        setting.field
        for setting in settings_of(Ruling)
        if setting.field in Ruling.__annotations__ and origin(setting, flags) is not Origin.DEFAULT
    ]


def _changed(settings: Rebuilding, policy: Policy) -> Policy:
    asked = settings.policy
    changes: dict[str, Any] = {}
    for field in _overridden(settings):
        name = _POLICY_NAMES.get(field, field)
        changes[name] = getattr(asked, name)
    return replace(policy, **changes)


# --- partitions ---------------------------------------------------------------------------------


def _wanted(settings: Rebuilding, engine: Engine, live: int) -> dict[int, Wanted] | None:
    """Ids by partition, when a part is asked for. Errors: `Failure` when there is none such."""
    ids = [i.strip() for i in (settings.sessions or "").split(",") if i.strip()]
    since, until = settings.rebuild_from, settings.rebuild_to
    if not ids and since is None and until is None:
        return None
    found = find_sessions(engine, live, ids, epoch_ms(since), epoch_ms(until))
    if not found:
        raise Failure(
            "the live projection has no such sessions",
            "Check --sessions, --from and --to; `SELECT session_id FROM sessions` shows them.",
        )
    return found


def _count(wanted: dict[int, Wanted]) -> int:
    return sum(len(part.ids) for part in wanted.values())


def _parts(
    engine: Engine, live: int, candidate: int, plan: Plan, wanted: dict[int, Wanted] | None
) -> list[Part]:
    """Errors: `LogStartGoneError`."""
    with reading(engine) as connection:
        live_places, known = places(connection, live), places(connection, candidate)
        accepted = accepted_gaps(connection, live)
    parts = []
    for number, ends in sorted(plan.ends.items()):
        target = _target(live_places.get(number), ends, plan.archives.get(number))
        if wanted is None:
            start = _start(plan, number, known.get(number))
            part = Part(number, plan.log, plan.topic, start, target)
        elif number in wanted:
            ids, first_offset, next_offset = wanted[number]
            target = Target(min(target.next_offset, next_offset), target.tick)
            part = Part(number, plan.log, plan.topic, first_offset, target, ids)
        else:
            continue
        gaps = _gaps(plan, part, accepted.get(number, []))
        parts.append(part._replace(gaps=gaps, begun_at=now_ms()))
    return parts


def _start(plan: Plan, number: int, known: Place | None) -> int:
    """Where the candidate is, or where the log began."""
    if known is not None:
        return known.next_offset
    present = readable(plan.archives.get(number), plan.log_range(number))
    return min([plan.first_offset, *(there.start for there in present)])


def _gaps(plan: Plan, part: Part, accepted: list[AcceptedGap]) -> tuple[AcceptedGap, ...]:
    """Errors: `LogStartGoneError`."""
    archive = plan.archives.get(part.partition)
    archived = [] if archive is None else archived_gaps(archive)
    whole = Range(part.start_offset, part.target.next_offset)
    present = readable(archive, plan.log_range(part.partition))
    try:
        gaps = gaps_to_cross(whole, present, (accepted, archived))
    except UnacceptedGapError as error:
        archived_to = None if archive is None else archive.next_offset
        first, last = error.gap.start, error.gap.end - 1
        raise LogStartGoneError(part.partition, first, last, archived_to) from error
    for gap in gaps:
        _say(
            f"Records {gap.first_offset} to {gap.last_offset} of partition {part.partition} are "
            "gone, which was accepted: sessions that were live then get the finding log_gap"
        )
    return tuple(gaps)


def _target(live: Place | None, ends: Range, archive: PartitionArchive | None) -> Target:
    """Where the live projection is, but never beyond what there is to read."""
    archived_to = (archive.next_offset or 0) if archive is not None else 0
    end = max(ends.end, archived_to)
    if live is None and archive is not None and archived_to == end:
        # Nobody has read so far: all that is known of the time is in the archive.
        last = max((entry.last_received_at for entry in archive.entries), default=0)
        return Target(end, last - TICK_DELAY_MS)
    if live is None:
        return Target(end, None)
    if live.next_offset > end:
        return Target(end, None)
    return Target(live.next_offset, live.tick)


def _behind(engine: Engine, live: int, candidate: int, plan: Plan) -> int:
    """Records that the live projection has and the candidate could have by now."""
    with reading(engine) as connection:
        ahead, mine = places(connection, live), places(connection, candidate)
    return sum(
        max(0, ahead[number].next_offset - mine[number].next_offset)
        for number in plan.ends
        if number in ahead and number in mine
    )


# --- work ---------------------------------------------------------------------------------------


def _run(settings: Rebuilding, candidate: int, parts: list[Part]) -> None:
    """Has the workers fold the parts. Errors: `Failure`."""
    count = min(_jobs(settings), len(parts))
    shares = [tuple(parts[number::count]) for number in range(count)]
    jobs = [
        Job(settings, candidate, settings.archive, not settings.archive_only, share)
        for share in shares
    ]
    starts = {part.partition: part.start_offset for part in parts}
    read = dict.fromkeys(starts, 0)
    events = 0
    # In this order: the bar has a thread.
    with workers(jobs) as work, _bar(sum(map(_length, parts))) as (bar, task):

        def moved(told: Moved) -> None:
            nonlocal events
            read[told.partition] = told.next_offset - starts[told.partition]
            events += told.events
            bar.update(task, completed=sum(read.values()), events=events)

        work(moved)


def _length(part: Part) -> int:
    return max(0, part.target.next_offset - part.start_offset)


@contextmanager
def _bar(total: int) -> Iterator[tuple[Progress, TaskID]]:
    with Progress(
        TextColumn("records"),
        BarColumn(),
        TextColumn("{task.completed:,}/{task.total:,}, {task.fields[events]:,} events"),
        _EventRate(),
        TimeRemainingColumn(),
        console=stderr(),
        disable=not sys.stderr.isatty(),
    ) as bar:
        yield bar, bar.add_task("", total=total, events=0)


class _EventRate(ProgressColumn):
    """Events a second since the start."""

    def render(self, task: Task) -> Text:
        elapsed_s = task.elapsed or 0.0
        rate = task.fields["events"] / elapsed_s if elapsed_s else 0.0
        return Text(f"{rate:,.0f}/s")


def _tell(engine: Engine, candidate: int, wanted: dict[int, Wanted] | None) -> None:
    out = stdout()
    what = "all sessions" if wanted is None else f"{_count(wanted):,} sessions"
    out.print(f"Projection {candidate} holds {what}.", highlight=False, soft_wrap=True)
    out.print(f"Compare: {program()} diff {candidate}", highlight=False, soft_wrap=True)
    if wanted is None:
        out.print(
            f"Make it the live one: {program()} promote {candidate}",
            highlight=False,
            soft_wrap=True,
        )
