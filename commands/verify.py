"""`bookended verify`: whether every session's totals are the sums of its rows.

Beside the record's way; changes nothing and never waits for a processor that writes. Imports the
composition root.
"""

import json
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
from pydantic import Field

from commands.common import ENV_PREFIX
from commands.database import snapshot_of
from commands.errors import EXIT_FAILED
from commands.logs import configure
from commands.options import takes
from commands.settings import Stored
from commands.tables import facts, stdout
from commands.verify_archive import verify_archive
from commands.verifying import Counted, Difference, count, differences

SHOWN_MAX: Final = 1_000
"""Differences that are shown; all are counted."""


class Verifying(Stored):
    """What to look at."""

    archive: Path | None = Field(
        None, description="Check this archive's files instead of the database."
    )

    json_output: bool = Field(
        False,
        description="Print one JSON object instead of tables.",
        validation_alias=f"{ENV_PREFIX}JSON",
    )


@takes(Verifying)
def command(settings: Verifying) -> None:
    """Compares every session's totals with the sums of its rows: spans, ads, breaks, chapters.

    Looks at one snapshot of all sessions that readers see, live ones too; processors may write
    meanwhile. With --archive it checks an archive instead: every byte of every file. Changes
    nothing. Exits 1 when something is wrong.
    """
    configure(settings.log_level, settings.log_format)
    if settings.archive is not None:
        verify_archive(settings.archive, json_output=settings.json_output)
        return
    with snapshot_of(settings) as connection:
        counted = count(connection)
        found = differences(connection)
        shown = [*islice(found, SHOWN_MAX)]
        total = len(shown) + sum(1 for _ in found)
    if settings.json_output:
        print(json.dumps(_as_json(counted, shown, total)))
    else:
        _show(counted, shown, total)
    if total:
        raise click.exceptions.Exit(EXIT_FAILED)


def _as_json(counted: Counted, shown: list[Difference], total: int) -> dict[str, Any]:
    return {
        "checked": counted._asdict(),
        "difference_count": total,
        "differences": [difference._asdict() for difference in shown],
    }


def _show(counted: Counted, shown: list[Difference], total: int) -> None:
    console = stdout()
    console.print(
        facts(
            {
                "sessions": f"{counted.sessions:,}, {counted.live_sessions:,} of them live",
                "spans": f"{counted.spans:,}",
                "ads": f"{counted.ads:,} in {counted.ad_breaks:,} breaks and outside",
                "chapters": f"{counted.chapters:,}",
            }
        )
    )
    if counted.too_many:
        console.print(
            f"{counted.too_many:,} sessions have more rows than are kept (finding too_many_rows): "
            "their totals may be more than the sums of their rows, and were only looked at for less"
        )
    if not total:
        console.print("every total is the sum of its rows")
        return
    for session_id, row, column, value, rows_give in shown:
        click.echo(f"{session_id}  {row}: {column} is {value}, its rows give {rows_give}")
    if total > len(shown):
        click.echo(f"and {total - len(shown):,} more")
    click.echo(f'{total:,} figures differ; what to do: docs/operations.md "Verify"')
