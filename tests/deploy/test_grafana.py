"""deploy/grafana: every query of every dashboard runs as the readers' role on a filled database, or
asks for metrics that are there; and the files fit together."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg
import pytest
import yaml

from tests.deploy.files import DEPLOY, compose
from tests.deploy.roles import READER, Filled
from tests.deploy.scraped import OF_OTHERS, names_in
from tests.deploy.test_prometheus import promtool

FOLDER: Final = DEPLOY / "grafana"
BOARDS: Final[dict[str, dict[str, Any]]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((FOLDER / "dashboards").glob("*.json"))
}
SERVICE: Final[dict[str, Any]] = compose()["services"]["grafana"]
POSTGRES, PROMETHEUS = "grafana-postgresql-datasource", "prometheus"
COLUMNS: Final = 24


class Query(NamedTuple):
    """One query of one panel."""

    board: str
    panel: str
    kind: str
    target: dict[str, Any]

    @property
    def text(self) -> str:
        return str(self.target["rawSql" if self.kind == POSTGRES else "expr"])


def queries(kind: str) -> Iterator[Query]:
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            for target in panel["targets"]:
                if target["datasource"]["type"] == kind:
                    yield Query(name, panel["title"], kind, target)


def variables(board: str) -> dict[str, dict[str, Any]]:
    """The variables of a dashboard by name."""
    return {v["name"]: v for v in BOARDS[board]["templating"]["list"]}


class Range(NamedTuple):
    """The time that a dashboard shows, as Grafana writes it."""

    start: str
    end: str

    def expanded(self, text: str) -> str:
        """With Grafana's macros replaced by what its documentation says they stand for."""
        text = re.sub(
            r"\$__timeFilter\(([\w.]+)\)", rf"\1 BETWEEN '{self.start}' AND '{self.end}'", text
        )
        return text.replace("$__timeFrom()", f"'{self.start}'").replace(
            "$__timeTo()", f"'{self.end}'"
        )


@pytest.fixture(scope="module")
def reader(roles: Filled) -> Iterator[psycopg.Connection]:
    with roles.connected(READER) as connection:
        yield connection


@pytest.fixture(scope="module")
def shown(reader: psycopg.Connection) -> Range:
    """From the first session to the last."""
    row = reader.execute("SELECT min(started_at), max(started_at) FROM sessions").fetchone()
    assert row is not None
    return Range(*(at.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for at in row))


def completed(query: Query, reader: psycopg.Connection, shown: Range, *, each: bool) -> str:
    """The statement that the database gets when All is chosen, or each value that there is."""
    text = shown.expanded(query.text)
    for name, variable in variables(query.board).items():
        rows = reader.execute(shown.expanded(variable["query"]).encode()).fetchall()
        assert rows, (query.board, name)
        literals = ", ".join("'" + row[0].replace("'", "''") + "'" for row in rows)
        text = text.replace(f"${{{name}:sqlstring}}", literals if each else variable["allValue"])
    assert "$" not in text
    return text


@pytest.mark.parametrize("query", [*queries(POSTGRES)], ids=lambda q: f"{q.board}: {q.panel}")
def test_every_statement_gives_rows(query: Query, reader: psycopg.Connection, shown: Range) -> None:
    cursor = reader.execute(completed(query, reader, shown, each=True).encode())
    names = [column.name for column in cursor.description or ()]
    rows = cursor.fetchall()
    assert rows
    every = reader.execute(completed(query, reader, shown, each=False).encode()).fetchall()
    assert sorted(map(str, every)) == sorted(map(str, rows))
    assert len(names) == len(set(names))
    if query.target["format"] == "time_series":
        assert names[0] == "time"
        for first, *others in rows:
            assert isinstance(first, datetime)
            figures = others[1:] if names[1] == "metric" else others
            assert all(isinstance(value, int | float | Decimal | None) for value in figures)
    else:
        assert any(value is not None for row in rows for value in row)


@pytest.mark.parametrize(
    ("board", "panel", "figure"),
    [
        ("audience", "Sessions", "count(*)"),
        ("audience", "Content time", "sum(content_ms)"),
        ("audience", "Ad time", "sum(ad_ms)"),
        ("ads", "Ads", "sum(ad_count)"),
        ("ads", "Unbookended ads", "sum(unbookended_ad_count)"),
    ],
)
def test_totals_are_those_of_the_sessions(
    board: str, panel: str, figure: str, reader: psycopg.Connection, shown: Range
) -> None:
    (query,) = (q for q in queries(POSTGRES) if (q.board, q.panel) == (board, panel))
    (total,) = reader.execute(completed(query, reader, shown, each=False).encode()).fetchone() or ()
    text = f"SELECT {figure} FROM sessions WHERE started_at IS NOT NULL"  # noqa: S608 - ours
    assert (total,) == reader.execute(text.encode()).fetchone()


@pytest.mark.parametrize("query", [*queries(PROMETHEUS)], ids=lambda q: f"{q.board}: {q.panel}")
def test_every_metric_is_one(query: Query, scraped: frozenset[str]) -> None:
    names = names_in(query.text)
    assert names
    assert names <= scraped | OF_OTHERS


def test_every_expression_is_valid(tmp_path: Path) -> None:
    rules = [
        {"record": f"a:{number}", "expr": query.text.replace("$__rate_interval", "1m")}
        for number, query in enumerate(queries(PROMETHEUS))
    ]
    assert len(rules) > 20
    text = yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]})
    (tmp_path / "rules.yml").write_text(text, encoding="utf-8")
    done = promtool(tmp_path, "check", "rules", "--lint=none", "rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr


# --- how the files fit together -----------------------------------------------------------------


def provisioned(name: str) -> dict[str, Any]:
    path = FOLDER / "provisioning" / name / "bookended.yml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_there_is_one_for_each_question() -> None:
    assert list(BOARDS) == ["ads", "audience", "findings", "pipeline", "quality"]
    for field in ("uid", "title"):
        assert len({board[field] for board in BOARDS.values()}) == len(BOARDS)


@pytest.mark.parametrize("name", BOARDS)
def test_panels_have_a_place_of_their_own(name: str) -> None:
    panels = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels})
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_source_is_provisioned() -> None:
    known = {(s["type"], s["uid"]): s for s in provisioned("datasources")["datasources"]}
    asked = {
        (source["type"], source["uid"])
        for board in BOARDS.values()
        for holder in (*board["panels"], *board["templating"]["list"])
        for source in (holder["datasource"], *(t["datasource"] for t in holder.get("targets", ())))
    }
    assert asked == set(known)
    source = known[POSTGRES, "bookended-postgres"]
    assert source["user"] == READER
    services = compose()["services"]
    for found in known.values():
        host = found["url"].removeprefix("http://").partition(":")[0]
        assert host in services


def test_the_password_is_read_from_a_file_that_is_mounted() -> None:
    (source,) = (s for s in provisioned("datasources")["datasources"] if s["type"] == POSTGRES)
    assert source["secureJsonData"] == {"password": "$__file{/run/secrets/bookended/reader}"}
    assert "secrets-grafana:/run/secrets/bookended:ro" in SERVICE["volumes"]


def test_what_is_mounted_is_where_it_is_looked_for() -> None:
    mounts = dict(text.removesuffix(":ro").split(":") for text in SERVICE["volumes"])
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    dashboards = mounts["./grafana/dashboards"]
    (provider,) = provisioned("dashboards")["providers"]
    assert provider["options"]["path"] == dashboards
    home = Path(SERVICE["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert home.parent.as_posix() == dashboards
    assert home.stem in BOARDS


def test_variables_are_used() -> None:
    for name, board in BOARDS.items():
        texts = json.dumps(board["panels"])
        assert set(re.findall(r"\$\{(\w+)[:}]", texts)) == variables(name).keys()
