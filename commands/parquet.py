"""Parquet files, by pyarrow: the extra `export`.

Beside `exporting`: imported only when such a file is wanted.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from commands.errors import Failure
from commands.exporting import Kind, Row
from processor.database import json_text

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise Failure(
        f"bookended export --format parquet needs the package {error.name}",
        "Install it: pip install 'bookended[export]', or give --format csv.",
    ) from error

GROUP_ROWS_MAX: Final = 100_000
GROUP_BYTES_MAX: Final = 16 * 1024**2
"""Of a row group, before compression: what is held in memory. Readers skip whole groups."""

TYPES: Final[dict[Kind, Any]] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "instant": pa.timestamp("ms", tz="UTC"),
    "day": pa.date32(),
    "bytes": pa.binary(),
}


class ParquetWriter:
    """Rows to row groups, compressed by zstd."""

    def __init__(self, path: Path, kinds: dict[str, Kind]) -> None:
        self._kinds = kinds
        self._schema = pa.schema([(name, TYPES[kind]) for name, kind in kinds.items()])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._group: list[Any] = []
        self._rows = 0
        self._bytes = 0

    def write(self, rows: Sequence[Row]) -> None:
        columns = zip(*rows, strict=True)
        arrays = [
            pa.array([_value(kind, cell) for cell in cells], TYPES[kind])
            for kind, cells in zip(self._kinds.values(), columns, strict=True)
        ]
        batch = pa.record_batch(arrays, schema=self._schema)
        self._group.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= GROUP_ROWS_MAX or self._bytes >= GROUP_BYTES_MAX:
            self._flush()

    def _flush(self) -> None:
        if self._group:
            self._writer.write_table(pa.Table.from_batches(self._group, self._schema))
        self._group, self._rows, self._bytes = [], 0, 0

    def close(self) -> None:
        self._flush()
        self._writer.close()


def _value(kind: Kind, value: Any) -> Any:
    """PostgreSQL's sums are decimals, JSON comes parsed."""
    if value is None:
        return None
    if kind == "integer":
        return int(value)
    if kind == "number":
        return float(value)
    if kind == "text" and not isinstance(value, str):
        return json_text(value)
    return value
