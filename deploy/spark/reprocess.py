"""`spark-submit deploy/spark/reprocess.py ARCHIVE OUT`: an archive's sessions, as Parquet.

The pure core on a cluster: Spark reads the files side by side and brings each session's records
together; `processor.batch` folds them by the rules that `bookended rebuild` goes by. bookended has
to be installed on all workers, and the archive mounted on them at the same path. docs/batch.md.
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from commands.exporting import Kind, exportable
from models.avro import decode, encode
from models.policy import Policy
from models.records import AcceptedGap, LogRecord
from processor.archive import PartitionArchive, read_archive, read_partition
from processor.archive_reader import read_archived
from processor.batch import Gaps, fold_grouped, session_row
from processor.database import json_text
from processor.log_gaps import Range, archived_gaps, gaps_to_cross, readable
from processor.step import PlacedRecord

RECORDS: Final = pa.schema(
    [
        ("session_id", pa.string()),
        ("log_partition", pa.int64()),
        ("offset", pa.int64()),
        ("received_at", pa.int64()),
        ("value", pa.binary()),
    ]
)
RECORDS_DDL: Final = (
    "session_id string, log_partition bigint, offset bigint, received_at bigint, value binary"
)
TYPES: Final[dict[Kind, tuple[str, Any]]] = {
    "text": ("string", pa.string()),
    "integer": ("bigint", pa.int64()),
    "number": ("double", pa.float64()),
    "boolean": ("boolean", pa.bool_()),
    "instant": ("timestamp", pa.timestamp("us", tz="UTC")),
    "day": ("date", pa.date32()),
    "bytes": ("binary", pa.binary()),
}
_PLACE: Final = ("log_partition", "first_offset", "last_offset")
KINDS: Final[dict[str, Kind]] = {
    name: kind for name, kind in exportable()["sessions"].kinds.items() if name not in _PLACE
}


def main() -> None:
    """Reads the command line, and runs to the end."""
    parser = argparse.ArgumentParser(description="Folds an archive into session rows, as Parquet.")
    parser.add_argument("archive", type=Path, help="the directory that `bookended archive` wrote")
    parser.add_argument("out", help="where to write Parquet files; it must not exist")
    parser.add_argument(
        "--until",
        type=_instant,
        help="close what was silent at this instant, e.g. 2026-03-01T00:00Z; else it stays live",
    )
    parser.add_argument(
        "--policy", type=_policy, default={}, help="""rules, e.g. '{"unclosed_break": "ad"}'"""
    )
    parser.add_argument(
        "--log-gaps",
        type=_log_gaps,
        default={},
        help="gaps that the processor crossed: `bookended export log_gaps --format parquet`",
    )
    given = parser.parse_args()
    spark = SparkSession.builder.appName("bookended reprocess").getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    archives = read_archive(given.archive)
    gaps = {it.partition: _gaps(it, given.log_gaps.get(it.partition, [])) for it in archives}
    sessions(spark, archives, given.policy, given.until, gaps).write.parquet(given.out)
    spark.stop()


def sessions(
    spark: SparkSession,
    archives: list[PartitionArchive],
    policy: dict[str, Any],
    until: int | None,
    gaps: Gaps,
) -> DataFrame:
    """One row a session: the columns of the view `sessions` but for its place in the log. `until`:
    ms since the epoch.

    Records that cannot be decoded are left out, as the processor does. Errors: those of the
    archive; a damaged file ends the job.
    """
    files = [
        (str(partition.path), number)
        for partition in archives
        for number, entry in enumerate(partition.entries)
        if entry.file is not None
    ]
    named = spark.createDataFrame(files, "path string, number int")

    def fold(group: pa.Table) -> pa.Table:
        return _folded(group, Policy(**policy), until, gaps)

    ddl = ", ".join(f"`{name}` {TYPES[kind][0]}" for name, kind in KINDS.items())
    records = named.repartition(max(1, len(files))).mapInArrow(_records, RECORDS_DDL)
    return records.groupBy("session_id").applyInArrow(fold, ddl)


def _gaps(archive: PartitionArchive, crossed: list[AcceptedGap]) -> list[AcceptedGap]:
    """Of the archive, as a rebuild crosses them: one that the processor crossed has its tick."""
    whole = Range(archive.start_offset, archive.next_offset or 0)
    return gaps_to_cross(whole, readable(archive, None), (crossed, archived_gaps(archive)))


def _records(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The records of the files that are named, a block at a time; each file is checked first."""
    for batch in batches:
        for named in batch.to_pylist():
            archive = read_partition(Path(named["path"]))
            entry = archive.entries[named["number"]]
            only = PartitionArchive(archive.path, archive.log_id, [entry])
            for decoded in read_archived(only, entry.from_offset):
                rows = [_row(placed) for placed in decoded.records]
                yield pa.RecordBatch.from_pylist(rows, RECORDS)


def _row(placed: PlacedRecord) -> dict[str, Any]:
    session_id, offline, events = placed.record
    return {
        "session_id": session_id,
        "log_partition": placed.partition,
        "offset": placed.offset,
        "received_at": events[0].received_at,
        "value": encode(session_id, events, offline=offline),
    }


def _folded(group: pa.Table, policy: Policy, until: int | None, gaps: Gaps) -> pa.Table:
    """One session's records, in any order, to its row."""
    in_order = group.sort_by([("log_partition", "ascending"), ("offset", "ascending")])
    records = (
        PlacedRecord(
            row["log_partition"],
            row["offset"],
            decode(
                LogRecord(
                    row["log_partition"],
                    row["offset"],
                    row["received_at"],
                    row["session_id"].encode(),
                    row["value"],
                )
            ),
        )
        for row in in_order.to_pylist()
    )
    rows = [session_row(summary) for summary in fold_grouped(records, policy, until, gaps)]
    columns = [
        pa.array([_value(kind, row[name]) for row in rows], TYPES[kind][1])
        for name, kind in KINDS.items()
    ]
    return pa.table(columns, names=list(KINDS))


def _value(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind == "instant":
        return value * 1_000  # µs
    if kind == "text" and not isinstance(value, str):
        return json_text(value)
    return value


def _instant(text: str) -> int:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError("give it with its zone, e.g. 2026-03-01T00:00Z")
    return round(at.timestamp() * 1_000)


def _policy(text: str) -> dict[str, Any]:
    """Checked here, not on a worker."""
    try:
        fields = json.loads(text)
        Policy(**fields)
    except (TypeError, ValueError) as error:
        names = ", ".join(Policy.__dataclass_fields__)
        raise argparse.ArgumentTypeError(f"give a JSON object of these: {names}") from error
    return dict(fields)


def _log_gaps(text: str) -> dict[int, list[AcceptedGap]]:
    """By partition, in order."""
    columns = ["log_partition", "first_offset", "last_offset", "read_until"]
    try:
        rows = pq.read_table(text, columns=columns).to_pylist()
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"it is no Parquet file of log_gaps: {error}") from error
    found: dict[int, list[AcceptedGap]] = {}
    for row in sorted(rows, key=lambda row: (row["log_partition"], row["first_offset"])):
        until = None if row["read_until"] is None else round(row["read_until"].timestamp() * 1_000)
        gap = AcceptedGap(row["first_offset"], row["last_offset"], until, None)
        found.setdefault(row["log_partition"], []).append(gap)
    return found


if __name__ == "__main__":
    main()
