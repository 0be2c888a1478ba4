"""`bookended verify --archive`: whether an archive is as its manifests say.

Beside the record's way; changes nothing. Imports the archive's check.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from commands.errors import EXIT_FAILED
from commands.storage import touching
from commands.tables import facts, stderr, stdout
from processor.archive import read_archive
from processor.archive_check import ArchiveFault, Checked, check_archive


def verify_archive(root: Path, *, json_output: bool) -> None:
    """Shows what is missing, doubled, cut short or altered, by offsets; ends the command with 1 if
    anything is. Errors: `ArchiveMissingError`, `ArchiveDamagedError`, `Failure`."""
    with touching("archive", root):
        total = sum(entry.bytes for archive in read_archive(root) for entry in archive.entries)
        columns = (TextColumn("archive"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=stderr(), disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("", total=total)
            checked, faults = check_archive(root, lambda size: bar.advance(task, size))
    if json_output:
        print(json.dumps(_as_json(checked, faults)))
    else:
        _show(checked, faults)
    if faults:
        raise click.exceptions.Exit(EXIT_FAILED)


def _as_json(checked: Checked, faults: list[ArchiveFault]) -> dict[str, Any]:
    return {
        "checked": checked._asdict(),
        "faults": [{**fault._asdict(), "path": str(fault.path)} for fault in faults],
    }


def _show(checked: Checked, faults: list[ArchiveFault]) -> None:
    stdout().print(
        facts(
            {
                "partitions": f"{checked.partitions:,}",
                "files": f"{checked.files:,}, {checked.bytes:,} bytes",
                "records": f"{checked.records:,}",
                "gaps accepted": f"{checked.gaps:,}",
            }
        )
    )
    if not faults:
        stdout().print("the archive is whole")
        return
    for fault in faults:
        click.echo(f"partition {fault.partition}, {_offsets(fault)}: {fault.what} ({fault.path})")
    click.echo(
        f'{len(faults):,} faults; what to do: docs/reprocessing.md "When verify finds something"'
    )


def _offsets(fault: ArchiveFault) -> str:
    if fault.from_offset is None or fault.next_offset is None:
        return "unknown offsets"
    return f"offsets {fault.from_offset} to {fault.next_offset - 1}"
