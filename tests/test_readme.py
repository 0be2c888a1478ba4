"""README's commands and queries, and those of docs/http.md, do what is said of them.

All are run in one shell, in the order in which they stand (tests/readme_commands.py
says what stands in for the newcomer's machine). `make test` is the one command that is not run: it
would run this test.
"""

import json
import re
from pathlib import Path
from typing import Final

import pytest

from tests import readme_parts
from tests.documents import ROOT, read
from tests.readme_commands import Done, all_blocks, contains, http_blocks, query, recipe, run, words

SENT_BY_HAND = "SELECT * FROM sessions WHERE content_id = 'film-1' AND player_name = 'curl'"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("newcomer")


@pytest.fixture(scope="module")
def done(folder: Path) -> Done:
    return run(folder)


@pytest.fixture(scope="module")
def database(folder: Path, done: Done) -> Path:
    assert done.returncode == 0, done.stderr
    return folder / "bookended-data/analytics.db"


def output_of(done: Done, command: str) -> str:
    """What the one block printed that has this command in it."""
    numbers = [number for number, block in enumerate(all_blocks()) if command in block.commands]
    assert len(numbers) == 1, command
    return done.outputs[numbers[0]]


def test_all_commands_succeed(done: Done) -> None:
    assert done.returncode == 0, done.stderr
    assert len(done.outputs) == len(all_blocks()) >= 10
    assert "Traceback" not in done.stderr


def test_commands_print_what_the_readme_shows(done: Done) -> None:
    shown = [
        (output, block.prints)
        for output, block in zip(done.outputs, all_blocks(), strict=True)
        if block.prints is not None
    ]
    assert len(shown) == 2
    for output, prints in shown:
        assert contains(output, prints), output


def test_the_location_is_a_session(done: Done) -> None:
    printed = output_of(done, 'echo "$session"').strip()
    assert printed.startswith("/api/v1/sessions/")
    assert len(printed.rpartition("/")[2]) == 64


def test_accepted_events_print_nothing(done: Done) -> None:
    assert output_of(done, "send sessionEnd") == ""


def test_the_answers_are_those_of_the_http_document(done: Done) -> None:
    count = len(http_blocks())
    answers = [re.match(r"HTTP/1.1 (\d+)", output) for output in done.outputs[-1 - count : -1]]
    assert [answer and answer[1] for answer in answers] == ["201", "204", "201"]


def test_the_session_sent_by_hand_is_the_worked_one(database: Path) -> None:
    columns, rows = query(database, SENT_BY_HAND)
    assert len(rows) == 1
    row = dict(zip(columns, rows[0], strict=True))
    golden = json.loads((ROOT / "tests/golden/bookends-both.json").read_text(encoding="utf-8"))
    figures = {name: row[name] for name in golden["expected"] if name in row}
    assert len(figures) > 25
    assert figures == {name: golden["expected"][name] for name in figures}


@pytest.mark.parametrize("number", range(3))
def test_queries_answer(database: Path, number: int) -> None:
    sql = read("README.md").code_blocks("sql")[number]
    _, rows = query(database, sql)
    assert rows


def test_there_are_as_many_queries() -> None:
    assert len(read("README.md").code_blocks("sql")) == 3


# The rights of the explorer's role are given on PostgreSQL: tests/explore/test_command.py does.
OPERATORS_QUERIES: Final = [
    sql for sql in read("docs/operations.md").code_blocks("sql") if not sql.startswith("GRANT ")
]


@pytest.mark.parametrize("sql", OPERATORS_QUERIES)
def test_queries_for_operators_answer(database: Path, sql: str) -> None:
    assert query(database, sql)[0]


def test_the_picture_shows_what_the_demo_prints(done: Done) -> None:
    svg = readme_parts.PICTURE.read_text(encoding="utf-8")
    shown = readme_parts.lines_in_picture(svg)
    printed = [line.strip() for line in output_of(done, "make run").splitlines()]
    assert len(shown) > 20
    assert [words(line) for line in shown] == [words(line) for line in printed if line][
        : len(shown)
    ]


def test_the_makefile_does_what_the_readme_says() -> None:
    assert recipe("run") == "bookended demo"
    assert recipe("serve") == "bookended run"
