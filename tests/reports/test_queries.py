"""The questions of deploy/queries, on both databases; docs/queries.md holds what they give."""

import re

import pytest
from sqlalchemy import Engine

from tests.reports.march import write_march
from tests.reports.queries_page import FOLDER, ORDER, PAGE, page, split
from tests.reports.rows import Rows


def test_the_page_says_what_the_queries_give(engine: Engine, rows: Rows) -> None:
    write_march(rows)
    assert PAGE.read_text(encoding="utf-8") == page(engine), (
        "`python -m tests.reports.queries_page` writes it anew; then look at what has changed"
    )


def test_every_query_is_on_the_page() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*")) == sorted(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_a_query_says_what_it_answers(name: str) -> None:
    comment, query = split(name)
    question, _, columns = comment.partition("\n\n")
    assert question.endswith("?")
    assert columns, "what the columns mean"
    assert query.count(";") == 0, "one statement"
    told = query.rpartition("\nSELECT ")[2].split("\nFROM ")[0]
    figures = set(re.findall(r"\bAS (\w+)(?=,|\n|$)", told)) - {"sessions"}
    assert {name for name in figures if name not in columns} == set()


@pytest.mark.parametrize("name", ORDER)
def test_a_query_of_an_empty_database_gives_nothing(engine: Engine, name: str) -> None:
    with engine.connect() as connection:
        assert connection.exec_driver_sql(split(name)[1]).all() == []
