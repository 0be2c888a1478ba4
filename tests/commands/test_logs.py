"""Log lines: JSON unless on a terminal, one form for what libraries log too."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from commands.logs import configure


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_lines_are_json_with_time_level_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "auto")
    structlog.get_logger("a").info("ready", url="http://x")
    logging.getLogger("library").warning("odd: %s", 3)
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first.pop("at").endswith("Z")
    assert first == {"event": "ready", "level": "info", "url": "http://x"}
    assert (second["event"], second["level"]) == ("odd: 3", "warning")


def test_an_exception_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    try:
        raise ValueError("no")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: no" in json.loads(line)["exception"]


def test_text_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "text")
    structlog.get_logger().info("ready", url="http://x")
    assert "ready" in (line := capsys.readouterr().err)
    assert "url=http://x" in line
    assert "{" not in line


def test_lines_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning", "json")
    structlog.get_logger().info("quiet")
    logging.getLogger("alembic.runtime").info("quiet")
    assert capsys.readouterr().err == ""
