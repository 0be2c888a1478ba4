"""`bookended whatif`: how totals would move under other rules, from an archive, without SQL.

Beside the record's way. Each partition is folded twice by a process of its own. Part of the
composition root. Imports the archive and the core.
"""

import json
import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import Field
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from commands.common import ENV_PREFIX
from commands.errors import SettingsError
from commands.logs import configure
from commands.options import takes
from commands.settings import Ruling
from commands.tables import clock, facts, stderr, stdout, table
from models.policy import DEFAULT_POLICY, Policy
from models.rows import SUMMED
from processor.archive import PartitionArchive, read_archive, read_partition
from processor.archive_reader import read_archived
from processor.step import PlacedRecord
from processor.whatif import compare_policies

INACTIVE_AND_WINDOW_MS: Final = 24 * 3_600_000
"""So long after an archive's last record everything in it is closed."""


class Wondering(Ruling):
    """The archive, and the rules to try."""

    archive: Path = Field(Path("bookended-archive"), description="The archive to read.")
    jobs: Annotated[int, Field(ge=1, le=64)] | None = Field(
        None, description="Processes at a time; partitions are shared. Default: one a core."
    )
    json_output: bool = Field(
        False,
        description="Print one JSON object instead of tables.",
        validation_alias=f"{ENV_PREFIX}JSON",
    )


class Sums(NamedTuple):
    """Totals under the documented rules and under the others."""

    sessions: int
    documented: dict[str, int]
    other: dict[str, int]


@takes(Wondering)
def command(settings: Wondering) -> None:
    """Prints how totals would move under other rules than the documented ones.

    Reads an archive and nothing else: no log, no database. `bookended rebuild` and `diff` show it
    session by session.
    """
    configure(settings.log_level, settings.log_format)
    if settings.policy == DEFAULT_POLICY:
        raise SettingsError(
            ("these are the documented rules; give another one, such as --unclosed-break ad",)
        )
    sums = _work(settings, read_archive(settings.archive))
    if settings.json_output:
        print(json.dumps(_as_json(sums)))
    else:
        _show(sums, settings.policy)


def _work(settings: Wondering, archives: list[PartitionArchive]) -> Sums:
    until = 1 + INACTIVE_AND_WINDOW_MS + max(_last_arrival(archive) for archive in archives)
    total = Sums(0, dict.fromkeys(SUMMED, 0), dict.fromkeys(SUMMED, 0))
    jobs = min(settings.jobs or os.cpu_count() or 1, len(archives))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        futures = [pool.submit(fold, it.path, settings.policy, until) for it in archives]
        for done in _watched(futures):
            total = _added(total, done.result())
    return total


def _last_arrival(archive: PartitionArchive) -> int:
    return max((entry.last_received_at for entry in archive.entries), default=0)


def _watched(futures: list[Future[Sums]]) -> Iterator[Future[Sums]]:
    columns = (TextColumn("partitions"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=stderr(), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=len(futures))
        for future in as_completed(futures):
            bar.advance(task)
            yield future


def fold(path: Path, policy: Policy, until: int) -> Sums:
    """One partition under the documented rules and under `policy`; run by a worker process.

    Errors: `ArchiveDamagedError`, `OSError`.
    """
    first, second = compare_policies(_records(path), (DEFAULT_POLICY, policy), until)
    return Sums(first.sessions, first.sums, second.sums)


def _records(path: Path) -> Iterator[list[PlacedRecord]]:
    archive = read_partition(path)
    for batch in read_archived(archive, archive.start_offset):
        yield batch.records


def _added(one: Sums, other: Sums) -> Sums:
    return Sums(
        one.sessions + other.sessions,
        {name: one.documented[name] + other.documented[name] for name in SUMMED},
        {name: one.other[name] + other.other[name] for name in SUMMED},
    )


def _as_json(sums: Sums) -> dict[str, Any]:
    return {
        "sessions": sums.sessions,
        "totals": {
            name: {"documented": sums.documented[name], "other": sums.other[name]}
            for name in SUMMED
        },
    }


def _show(sums: Sums, policy: Policy) -> None:
    out = stdout()
    changed = {
        name.replace("_", "-"): str(getattr(policy, name))
        for name in Policy.__dataclass_fields__
        if getattr(policy, name) != getattr(DEFAULT_POLICY, name)
    }
    out.print(facts({"sessions": f"{sums.sessions:,}", **changed}))
    moved = [name for name in SUMMED if sums.documented[name] != sums.other[name]]
    if not moved:
        out.print("No total would move.")
        return
    shown = table("total", "documented rules", "these rules", "difference")
    for name in moved:
        before, after = sums.documented[name], sums.other[name]
        texts = [clock(n) if name.endswith("_ms") else f"{n:,}" for n in (before, after)]
        shown.add_row(name, *texts, f"{after - before:+,}")
    out.print(shown)
