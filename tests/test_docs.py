"""The documents say what is: every name in them exists, and everything that users meet is in them.

Compares README.md and docs/ with the code: links, references in docstrings, rules and their tests,
findings, settings, commands, routes, metrics. What docs/sql.md says is tested in tests/migrations.
"""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Final, get_args

import pytest
from click.testing import CliRunner

import bookended
from commands.advice import ADVICE
from commands.takers import TAKEN_BY
from ingest.metrics import METRICS
from ingest.routes import ROUTES, Route
from models.limits import (
    EVENTS_MAX,
    INTERVALS_MAX,
    PERIODS_MAX,
    PLAYER_STATES_MAX,
    REMEMBERED_HASHES,
    WAITING_MAX,
)
from processor.findings import FINDING_CODES, LOG_GAP
from processor.processor_metrics import PROCESSOR_METRICS
from processor.runner import RunnerState
from tests import readme_parts
from tests.documents import ROOT, Document, documents, read, table_rows

CODE_FOLDERS: Final = (
    "models", "ingest", "processor", "migrations", "explore", "commands", "deploy", "tests",
)  # fmt: skip
WRITE_ANEW: Final = "`python -m tests.readme_parts` writes it anew"
SAMPLES_OF_BAD_TEXT: Final = frozenset(("test_tidy.py", "test_docs.py"))
PARTS_OF_COMMANDS: Final = [name for name in TAKEN_BY if " " in name]
_REFERENCE: Final = re.compile(
    r'docs/(\w+)\.md`?(?: ((?:"[^"]{1,60}"(?:, | and |, and )?)+))?', re.DOTALL
)
RULE: Final = re.compile(
    r'^- <a id="([^"]+)"></a>(.*?)(?=^- |^#|\Z|\n\n)', re.MULTILINE | re.DOTALL
)


def code_references() -> Iterator[tuple[str, str, list[str]]]:
    """(file, document, headings) of every mention of a document in the code."""
    paths = [ROOT / "bookended.py"]
    for folder in CODE_FOLDERS:
        paths += sorted((ROOT / folder).rglob("*.py"))
    for path in paths:
        if path.name in SAMPLES_OF_BAD_TEXT:
            continue
        # A reference may go over the end of a line, in a docstring or in a comment.
        text = re.sub(r"\n\s*(?:#:? ?)?", " ", path.read_text(encoding="utf-8"))
        for match in _REFERENCE.finditer(text):
            yield (
                path.relative_to(ROOT).as_posix(),
                match[1],
                re.findall('"([^"]+)"', match[2] or ""),
            )


def test_what_the_code_refers_to_is_there() -> None:
    found = list(code_references())
    assert len(found) > 40
    missing = []
    for path, name, headings in found:
        known = read(f"docs/{name}.md").headings
        missing += [f"{path}: docs/{name}.md {h!r}" for h in headings if h not in known]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("document", documents(), ids=lambda document: document.path)
def test_every_link_leads_somewhere(document: Document) -> None:
    missing = document.references - document.definitions.keys()
    assert not missing, "references without a definition"
    for link in document.links:
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / document.path).parent / path if path else ROOT / document.path
        assert target.exists(), link
        if anchor:
            place = target.resolve().relative_to(ROOT).as_posix()
            assert anchor in read(place).anchors, link


@pytest.mark.parametrize("document", documents(), ids=lambda document: document.path)
def test_anchors_are_unique_and_definitions_are_used(document: Document) -> None:
    assert len(document.anchors) == len(set(document.anchors))
    assert document.definitions.keys() <= document.references


# --- rules --------------------------------------------------------------------------------------


@cache
def rules() -> Document:
    return read("docs/rules.md")


def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_rule_is_held_by_a_test() -> None:
    found = RULE.findall(rules().text)
    assert len(found) > 90
    labels = rules().definitions.keys()
    for anchor, text in found:
        _, _, by = " ".join(text.split()).partition("Held by ")
        named = set(re.findall(r"\[([\w-]+)\]", by))
        assert named, f"rule {anchor} names no test"
        assert named <= labels, anchor


def test_every_test_that_a_rule_names_exists() -> None:
    for label, target in rules().definitions.items():
        path = target.removeprefix("../")
        if path.endswith(".json"):
            assert path == f"tests/golden/{label}.json"
        else:
            assert label in functions_of(path), f"{path} has no {label}"


def test_every_worked_session_holds_a_rule() -> None:
    golden = {path.stem for path in (ROOT / "tests/golden").glob("*.json")}
    assert golden - rules().definitions.keys() == set()


def test_every_small_session_holds_a_rule() -> None:
    tests = {
        name
        for path in (ROOT / "tests/processor").glob("test_rules_*.py")
        for name in functions_of(path.relative_to(ROOT).as_posix())
        if name.startswith("test_")
    }
    assert tests - rules().definitions.keys() == {"test_every_finding_is_shown"}


def test_the_bounds_in_the_rules_are_those_of_the_code() -> None:
    text = rules().text
    for words in (
        f"**At most {WAITING_MAX:,} wait**",
        f"the last {REMEMBERED_HASHES} applied for good",
        f"**At most {INTERVALS_MAX} stretches**",
        f"at most {PLAYER_STATES_MAX};",
        f"At most {PERIODS_MAX} of a state",
        f"| {EVENTS_MAX:,} events |",
    ):
        assert words in text


def test_every_finding_is_described_and_has_advice() -> None:
    rows = [row for row in table_rows(rules().section("Findings")) if row[0] != "code"]
    assert [row[0].strip("`") for row in rows] == list(FINDING_CODES)
    assert all(all(cell for cell in row) and len(row) == 3 for row in rows)
    assert list(ADVICE) == [*FINDING_CODES, LOG_GAP]


# --- examples -----------------------------------------------------------------------------------


def golden_rows() -> Iterator[tuple[str, dict[str, str]]]:
    """Every table of figures in the documents: the worked session, and the figures said of it."""
    names = {"breaks": "ad_break_count", "void": "void_ad_break_count"}
    names |= {"ads": "ad_count", "unbookended": "unbookended_ad_count"}
    for document in documents():
        header: list[str] = []
        for row in table_rows(document.text):
            if row[0] == "worked session":
                header = [names.get(cell.strip("`"), cell.strip("`")) for cell in row]
            elif header and re.fullmatch(r"\[[\w-]+\].*", row[0]):
                name = re.match(r"\[([\w-]+)\]", row[0])
                assert name
                yield name[1], dict(zip(header[1:], row[1:], strict=True))
            else:
                header = []


def test_the_figures_of_examples_are_those_of_worked_sessions() -> None:
    rows = list(golden_rows())
    assert len(rows) >= 8, "in README.md and docs/rules.md"
    for name, figures in rows:
        golden = json.loads((ROOT / f"tests/golden/{name}.json").read_text(encoding="utf-8"))
        for column, figure in figures.items():
            assert int(figure.replace(",", "")) == golden["expected"][column], (name, column)


# --- what users meet ----------------------------------------------------------------------------


def test_every_setting_is_in_the_readme() -> None:
    table = readme_parts.configuration_table()
    assert table in read("README.md").section("Configuration"), f"{WRITE_ANEW}:\n{table}"


def test_every_other_option_is_on_the_page_of_commands() -> None:
    assert read("docs/commands.md").text.endswith(readme_parts.command_sections()), WRITE_ANEW


def test_every_command_is_in_the_readme() -> None:
    table = readme_parts.command_table()
    assert table in read("README.md").section("Commands"), f"{WRITE_ANEW}:\n{table}"


@pytest.mark.parametrize("name", [*bookended.COMMANDS, *PARTS_OF_COMMANDS])
def test_every_option_of_a_command_is_a_documented_setting(name: str) -> None:
    result = CliRunner().invoke(bookended.main, [*name.split(), "--help"])
    assert result.exit_code == 0
    options = set(re.findall(r"^  (--[\w-]+)", result.output, re.MULTILINE))
    takers = readme_parts.settings_and_takers()
    names = {row[0].strip("`") for row in takers if name == "check" or name in takers[row]}
    flags = {flag for flag in names if flag.startswith("--")}  # others are told by their place
    assert options - {"--help"} <= flags
    assert name == "check" or options == {*flags, "--help"}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_is_described(route: Route) -> None:
    assert f"`{route.method} {route.path}`" in read("docs/http.md").text


@pytest.mark.parametrize("name", [m.name for m in (*METRICS, *PROCESSOR_METRICS)])
def test_every_metric_is_described(name: str) -> None:
    rows = {
        row[0]
        for document in documents()
        for row in table_rows(document.text)
        if document.path.startswith("docs/")
    }
    assert f"`{name}`" in rows


def log_events() -> set[str]:
    """The names of all log lines that the program writes by itself."""
    found = set()
    for folder in ("ingest", "processor", "explore", "commands"):
        for path in (ROOT / folder).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(
                        func=ast.Attribute(value=ast.Name(id="_log" | "logger")),
                        args=[ast.Constant(value=str(name)), *_],
                    ):
                        found.add(name)
    return found | {f"processor_{state}" for state in get_args(RunnerState)}


def test_every_log_line_is_described() -> None:
    rows = [*table_rows(read("docs/operations.md").section("Logs"))]
    known = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    levels = {level for row in rows[1:] for level in row[1].split(", ")}
    assert levels == {"info", "warning", "error"}
    assert len(log_events()) > 15
    assert log_events() - known == set()
    assert known - log_events() == {"event"}


def test_the_layout_names_every_folder() -> None:
    section = read("README.md").section("Layout")
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    named = set(re.findall(r"^(\w+)/", section, re.MULTILINE))
    assert packages <= named
    assert all((ROOT / name).is_dir() for name in named)
