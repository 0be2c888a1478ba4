"""`bookended export`: views and tables as Parquet or CSV files, for notebooks and data frames.

After the record's way. Imports the composition root, `exporting`, and `parquet` on demand.
"""

import difflib
import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import Select

from commands.common import ENV_PREFIX
from commands.database import database, must_exist
from commands.exporting import (
    CsvWriter,
    Exported,
    Format,
    Period,
    Snapshot,
    Writer,
    exportable,
    must_be_free,
    query_of,
    whole_file,
)
from commands.logs import configure
from commands.options import takes
from commands.settings import POSITIONAL_SEVERAL, Stored
from commands.storage import touching
from commands.tables import stderr
from commands.values import Instant, epoch_ms
from processor.database import snapshot

_MIB: Final = 1024**2


def _are_known(text: str) -> str:
    known = exportable()
    for name in text.split(","):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"; is {near[0]} meant?" if near else f"; views: {', '.join(_views())}"
            raise ValueError(f"there is no view or table {name!r}{meant}")
    return text


def _views() -> list[str]:
    return [name for name, exported in exportable().items() if not exported.is_table]


class Exporting(Stored):
    """The export."""

    views: Annotated[str, AfterValidator(_are_known)] = Field(
        description="Views or tables to export, all as of one moment.",
        json_schema_extra=POSITIONAL_SEVERAL,
    )
    since: Instant | None = Field(
        None,
        description="Only sessions that started at this time or later, and what belongs to them; "
        "of reports the days from then on. A day or an instant, in UTC unless it names a zone.",
        validation_alias=f"{ENV_PREFIX}FROM",
    )
    until: Instant | None = Field(
        None,
        description="Only sessions that started before this time, and what belongs to them.",
        validation_alias=f"{ENV_PREFIX}TO",
    )
    format: Literal["parquet", "csv"] = Field(
        "parquet", description="Format of the files; parquet needs the extra export."
    )
    output: Path = Field(
        Path(),
        description="File to write; or a directory, where each is named after its view.",
    )
    force: bool = Field(False, description="Replace files that exist.")
    json_output: bool = Field(
        False,
        description="Print one JSON object about what was written.",
        validation_alias=f"{ENV_PREFIX}JSON",
    )


@takes(Exporting)
def command(settings: Exporting) -> None:
    """Writes views or tables to Parquet or CSV files, for notebooks, pandas and DuckDB.

    All VIEWS are read as of one moment, whatever is written meanwhile; nobody waits for it. A file
    appears when it is whole. The views are described in docs/sql.md, an example is in
    docs/analysis.md.
    """
    configure(settings.log_level, settings.log_format)
    known = exportable()
    wanted = [known[name] for name in dict.fromkeys(settings.views.split(","))]
    paths = _paths(settings, wanted)
    period = Period(epoch_ms(settings.since), epoch_ms(settings.until))
    queries = [query_of(exported, period) for exported in wanted]
    must_exist(settings)
    files: list[tuple[Path, int]] = []
    with (
        _progress() as progress,
        database(settings, read_only=True) as engine,
        snapshot(engine) as connection,
    ):
        source = Snapshot(connection, settings.database_name)
        for exported in wanted:
            source.must_have(exported)
        for exported, query, path in zip(wanted, queries, paths, strict=True):
            with touching("file", path):
                rows = _export(settings, source, (exported, query), path, progress)
                files.append((path, rows))
    if settings.json_output:
        print(json.dumps({"files": [_as_json(path, rows) for path, rows in files]}))
        return
    for path, rows in files:
        print(f"{path}: {rows:,} rows, {path.stat().st_size / _MIB:.1f} MiB")


def _as_json(path: Path, rows: int) -> dict[str, str | int]:
    return {"file": str(path), "rows": rows, "bytes": path.stat().st_size}


def _paths(settings: Exporting, wanted: Sequence[Exported]) -> list[Path]:
    """One a view. Errors: `Failure`: told before anything is read."""
    output = settings.output
    is_directory = output.is_dir() or len(wanted) > 1
    directory = output if is_directory else output.parent
    with touching("directory", directory):
        directory.mkdir(parents=True, exist_ok=True)
    if is_directory:
        paths = [output / f"{exported.name}.{settings.format}" for exported in wanted]
    else:
        paths = [output]
    for path in paths:
        must_be_free(path, may_replace=settings.force)
    return paths


def _export(
    settings: Exporting,
    source: Snapshot,
    what: tuple[Exported, Select[Any]],
    path: Path,
    progress: Progress,
) -> int:
    exported, query = what
    total = None if progress.disable else source.count(query)
    bar = progress.add_task(exported.name, total=total)
    rows = 0
    with whole_file(path, may_replace=settings.force) as growing:
        writer = _writer(settings.format, growing, exported)
        try:
            for batch in source.batches(query):
                writer.write(batch)
                rows += len(batch)
                progress.update(bar, completed=rows)
        finally:
            writer.close()
    return rows


def _writer(form: Format, path: Path, exported: Exported) -> Writer:
    if form == "csv":
        return CsvWriter(path, exported.kinds)
    made: Any = importlib.import_module("commands.parquet").ParquetWriter(path, exported.kinds)
    writer: Writer = made
    return writer


def _progress() -> Progress:
    console = stderr()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
