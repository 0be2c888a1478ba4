"""`bookended export`: what is in the files is what is in SQL, on both databases."""

import csv
import importlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from psycopg import sql
from sqlalchemy import make_url, select

import commands.export
from bookended import main
from commands.errors import Failure
from commands.exporting import exportable
from migrations.postgres import READER
from models.policy import DEFAULT_POLICY
from models.views import view_queries
from processor.database import reading
from tests.golden.loading import golden_names, load_golden
from tests.postgres import admin
from tests.processor_shell.postgres_world import PostgresWorld
from tests.processor_shell.world import World
from tests.reference.arrivals import Arrival
from tests.servers import PostgresServer

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Exports:
    """A database with the worked sessions in it, and the command over it."""

    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.url = url
        self.out = world.folder / "out"

    def fill(self) -> None:
        for number, name in enumerate(golden_names(), start=1):
            golden = load_golden(name, f"{number:064x}")
            if golden.policy == DEFAULT_POLICY:
                self.world.append(*(s.record for s in golden.steps if isinstance(s, Arrival)))
        self.world.append_bytes("key", b"\x00 no record", 1_760_000_000_000)
        self.world.process()

    def __call__(self, *args: str) -> Result:
        where = {"BOOKENDED_DATABASE": self.url, "BOOKENDED_OUTPUT": str(self.out)}
        return CliRunner().invoke(main, ["export", *args], env=where)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """What a Parquet file says, with instants in ms and JSON as it is in SQL."""
        path = self.out / f"{name}.parquet"
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return [{column: _plain(value) for column, value in row.items()} for row in rows]

    def in_sql(self, name: str) -> list[dict[str, Any]]:
        """What the view says, with JSON as text."""
        exported = exportable()[name]
        with reading(self.world.engine) as connection:
            rows = connection.execute(select(exported.source))
            return [{n: _in_sql(value) for n, value in row._mapping.items()} for row in rows]


def _in_sql(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value


def _plain(value: Any) -> Any:
    return (value - EPOCH) // timedelta(milliseconds=1) if isinstance(value, datetime) else value


def ask(query: str, path: Path) -> list[Any]:
    with duckdb.connect() as connection:
        return connection.execute(query, [str(path)]).fetchall()


def read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(encoding="utf-8", newline="") as file:
        columns, *rows = csv.reader(file)
    return columns, rows


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(sorted(row.items())))


@pytest.fixture(params=["sqlite", "postgres"])
def exports(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Exports]:
    if request.param == "sqlite":
        world = World(tmp_path)
        made = Exports(world, f"sqlite:///{world.database_path}")
    else:
        url = request.getfixturevalue("postgres_url")
        world = PostgresWorld(tmp_path, url=url)
        made = Exports(world, url)
    made.fill()
    yield made
    world.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Exports]:
    world = World(tmp_path)
    made = Exports(world, f"sqlite:///{world.database_path}")
    made.fill()
    yield made
    world.close()


def test_every_view_comes_back_as_it_is_in_sql(exports: Exports) -> None:
    exports.out.mkdir()
    done = exports(*exportable())
    assert done.exit_code == 0, done.output
    assert {path.stem for path in exports.out.iterdir()} == set(exportable())
    for name in view_queries():
        assert in_order(exports.rows(name)) == in_order(exports.in_sql(name)), name
    assert {name for name in view_queries() if not exports.rows(name)} <= {"log_gaps"}
    (letter,) = exports.rows("dead_letters")
    assert letter["value"] == b"\x00 no record"


def test_types_are_kept(exports: Exports) -> None:
    exports.out.mkdir()
    assert exports("sessions", "content_daily", "ads").exit_code == 0
    schema = pq.read_schema(exports.out / "sessions.parquet")
    assert schema.field("started_at").type == pa.timestamp("ms", tz="UTC")
    assert schema.field("content_ms").type == pa.int64()
    assert schema.field("content_started").type == pa.bool_()
    assert schema.field("max_playhead_s").type == pa.float64()
    assert schema.field("custom_metadata").type == pa.string()
    frame = pd.read_parquet(exports.out / "sessions.parquet")
    assert str(frame["started_at"].dtype) == "datetime64[ms, UTC]"
    assert str(frame["content_ms"].dtype) == "int64"
    assert frame["content_ms"].sum() == sum(row["content_ms"] for row in exports.in_sql("sessions"))
    types = ask(
        "SELECT typeof(started_at), typeof(content_ms) FROM read_parquet(?) LIMIT 1",
        exports.out / "sessions.parquet",
    )
    assert types == [("TIMESTAMP WITH TIME ZONE", "BIGINT")]
    (day,) = {type(row["day"]) for row in exports.rows("content_daily")}
    assert day is date


def test_csv_says_the_same(exports: Exports) -> None:
    exports.out.mkdir()
    names = ("sessions", "ads", "findings", "content_daily", "dead_letters")
    for form in ("csv", "parquet"):
        assert exports(*names, "--format", form).exit_code == 0
    for name in names:
        columns, rows = read_csv(exports.out / f"{name}.csv")
        assert columns == [*exportable()[name].kinds]
        assert len(rows) == len(exports.rows(name))
    text = (exports.out / "sessions.csv").read_text(encoding="utf-8")
    (sums,) = ask(
        "SELECT sum(content_ms), min(started_at), count(*) FILTER (completed) FROM read_csv(?)",
        exports.out / "sessions.csv",
    )
    sessions = exports.in_sql("sessions")
    assert sums[0] == sum(row["content_ms"] for row in sessions)
    assert sums[2] == sum(row["completed"] for row in sessions)
    instant = EPOCH + timedelta(milliseconds=min(row["started_at"] for row in sessions))
    assert instant.isoformat(timespec="milliseconds").replace("+00:00", "Z") in text
    assert b"\x00 no record".hex() in (exports.out / "dead_letters.csv").read_text()


def test_a_period_takes_sessions_and_what_belongs_to_them(exports: Exports) -> None:
    exports.out.mkdir()
    sessions = exports.in_sql("sessions")
    starts = sorted({row["started_at"] for row in sessions})
    first, last = starts[1], starts[-1]
    period = ("--from", iso(first), "--to", iso(last))
    names = [name for name in view_queries() if "session_id" in exportable()[name].kinds]
    assert exports(*names, *period).exit_code == 0
    wanted = {row["session_id"] for row in sessions if first <= row["started_at"] < last}
    assert 0 < len(wanted) < len(sessions)
    for name in names:
        of_them = [row for row in exports.in_sql(name) if row["session_id"] in wanted]
        assert in_order(exports.rows(name)) == in_order(of_them), name


def test_a_period_takes_the_days_of_a_report(exports: Exports) -> None:
    exports.out.mkdir()
    days = sorted({row["day"] for row in exports.in_sql("content_daily")})
    noon = f"{days[0]}T12:00:00"
    for since, kept in ((str(days[0]), days), (noon, days[1:])):
        assert exports("content_daily", "--from", since, "--force").exit_code == 0
        assert sorted({row["day"] for row in exports.rows("content_daily")}) == kept
    assert exports("content_daily", "--to", noon, "--force").exit_code == 0
    assert {row["day"] for row in exports.rows("content_daily")} == {days[0]}


def iso(ms: int) -> str:
    return (EPOCH + timedelta(milliseconds=ms)).isoformat()


def test_all_files_are_of_one_moment(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that comes while the first file is written is in neither."""
    exports.out.mkdir()
    before = {name: in_order(exports.in_sql(name)) for name in ("findings", "sessions")}
    export = commands.export._export

    def export_then_write(*args: Any) -> int:
        rows = export(*args)
        golden = load_golden("bookends-none", f"{9_999:064x}")
        records = [step.record for step in golden.steps if isinstance(step, Arrival)]
        exports.world.append(*records)
        exports.world.process()
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(commands.export, "_export", export_then_write)
        assert exports("findings", "sessions").exit_code == 0
    assert len(exports.in_sql("sessions")) == len(before["sessions"]) + 1
    for name, rows in before.items():
        assert in_order(exports.rows(name)) == rows


def test_nothing_is_replaced_unasked(small: Exports, tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    path.write_text("mine", encoding="utf-8")
    done = small("sessions", "--output", str(path))
    assert (done.exit_code, done.output) == (
        1,
        f"bookended: {path} exists. Give another --output, or --force to replace it.\n",
    )
    assert path.read_text(encoding="utf-8") == "mine"
    assert small("sessions", "--output", str(path), "--force").exit_code == 0
    assert pq.read_metadata(path).num_rows == len(small.in_sql("sessions"))


def test_a_file_is_whole_or_not_there(small: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    small.out.mkdir()
    assert small("sessions").exit_code == 0
    before = (small.out / "sessions.parquet").read_bytes()

    def broken(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    module = importlib.import_module("commands.parquet")
    monkeypatch.setattr(module.ParquetWriter, "write", broken)
    for name in ("sessions", "ads"):
        done = small(name, "--force")
        assert done.exit_code == 1
        assert f"file {small.out}/{name}.parquet: the disk is full" in done.output
    assert [path.name for path in small.out.iterdir()] == ["sessions.parquet"]
    assert (small.out / "sessions.parquet").read_bytes() == before


def test_json_says_what_was_written(small: Exports) -> None:
    report = json.loads(
        small("findings", "--json", "--output", str(small.out / "f.parquet")).stdout
    )
    (file,) = report["files"]
    assert file["rows"] == len(small.in_sql("findings"))
    assert file["bytes"] == (small.out / "f.parquet").stat().st_size


WRONG = [
    (("sesions",), 2, "VIEWS sesions: there is no view or table 'sesions'; is sessions meant?"),
    (("xyz",), 2, "there is no view or table 'xyz'; views: sessions, ads, spans"),
    (("sessions", "--from", "soon"), 2, "--from soon: is no instant"),
    (("projections", "--from", "2026-01-01"), 1, "projections has no time to choose by"),
    (("sessions", "--database", "sqlite:///none.db"), 1, "database none.db: there is no such file"),
]


@pytest.mark.parametrize(("args", "code", "line"), WRONG)
def test_what_is_wrong_is_one_line(small: Exports, args: list[str], code: int, line: str) -> None:
    done = small(*args)
    assert done.exit_code == code
    assert done.output.startswith("bookended: ")
    assert line in done.output
    assert done.output.count("\n") == 1


def test_a_file_without_views_is_told(small: Exports, tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    done = small("sessions", "--database", f"sqlite:///{empty}")
    assert done.output == (
        f"bookended: database {empty} has no sessions. "
        "Give the right --data or --database, or run `bookended migrate`.\n"
    )


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "commands.parquet", raising=False)
    with pytest.raises(Failure, match=r"needs the package pyarrow\. Install it: pip install"):
        importlib.import_module("commands.parquet")


def test_analysts_may_export_the_views(
    tmp_path: Path, postgres: PostgresServer, postgres_url: str
) -> None:
    """Logged in as the role that reads the views and nothing else."""
    with admin(postgres) as connection:
        command = sql.SQL("ALTER ROLE {} PASSWORD 'read-only'").format(sql.Identifier(READER))
        connection.execute(command)
    world = PostgresWorld(tmp_path, url=postgres_url)
    owned = Exports(world, postgres_url)
    owned.fill()
    url = make_url(postgres_url).set(username=READER, password="read-only")
    exports = Exports(world, url.render_as_string(hide_password=False))
    exports.out.mkdir()
    done = exports(*view_queries(), "--from", "2000-01-01")
    views = [name for name in view_queries() if name != "log_gaps"]
    assert (done.exit_code, "has no time to choose by" in done.output) == (1, True)
    assert [*exports.out.iterdir()] == []
    assert exports(*views, "--from", "2000-01-01").exit_code == 0
    assert in_order(exports.rows("sessions")) == in_order(owned.in_sql("sessions"))
    done = exports("dead_letters")
    assert done.exit_code == 1
    assert "permission denied for table dead_letters" in done.output
    world.close()
