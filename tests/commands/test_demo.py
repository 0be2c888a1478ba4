"""The demo: real HTTP, log, processor and SQL, with exact figures, for people and for machines."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from commands.results import viewing
from tests.commands.processes import PATIENCE_S, Cli, arguments, environment

FIGURES = {
    # sample: content, ads, unbookended, pause, buffer, stall (ms), status
    "late, doubled, swapped": (60_000, 0, 0, 0, 0, 0, "closed"),
    "plain video on demand": (120_000, 0, 0, 0, 0, 0, "completed"),
    "pre-roll and mid-roll": (120_000, 45_000, 0, 0, 0, 0, "completed"),
    "same, closing missing": (165_000, 0, 45_000, 0, 0, 0, "completed"),
    "same, no bookends": (165_000, 0, 45_000, 0, 0, 0, "completed"),
    "chapters, full screen": (150_000, 0, 0, 0, 0, 0, "closed"),
    "pause, buffer, stall": (77_000, 0, 0, 25_000, 3_000, 8_000, "closed"),
    "live, with a break": (90_000, 10_000, 0, 0, 0, 0, "closed"),
    "watched offline": (90_000, 0, 0, 0, 0, 0, "completed"),
    "left in the pre-roll": (12_000, 0, 12_000, 0, 0, 0, "live"),
}
FINDINGS = {
    ("late, doubled, swapped", "duplicate_event", 1),
    ("late, doubled, swapped", "late_event", 1),
    ("same, closing missing", "break_not_completed", 2),
    ("same, closing missing", "playhead_moved_in_ad", 12),
    ("same, no bookends", "ad_without_break", 3),
}

# What a user may have set for his own server is none of the demo's business.
OF_A_SERVER = {
    "BOOKENDED_LOG": "sqlite:///elsewhere.db",
    "BOOKENDED_LISTEN": "127.0.0.1:1",
    "BOOKENDED_UNCLOSED_BREAK": "ad",
    "BOOKENDED_SID_KEYS": "no key at all",
}


class Shown:
    """What the demo printed for machines and for people; both at once, it takes seconds."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        told = [self._start("--json", "--data", "data"), self._start()]
        (self.json, self.json_errors), (self.text, self.errors) = (
            process.communicate(timeout=PATIENCE_S) for process in told
        )
        self.codes = [process.returncode for process in told]

    def _start(self, *args: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            arguments("demo", *args),
            cwd=self.directory,
            env=environment(TMPDIR=str(self.directory), **OF_A_SERVER),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    """In a directory with a short name: where the data lies is told in a table 80 columns wide."""
    with TemporaryDirectory(prefix="demo-") as directory:
        yield Shown(Path(directory))


def assert_exact(report: dict[str, Any]) -> None:
    figures = ("content_ms", "ad_ms", "unbookended_ad_ms", "pause_ms", "buffer_ms", "stall_ms")
    assert {
        row["sample"]: (*(row[name] for name in figures), row["status"])
        for row in report["sessions"]
    } == FIGURES
    sample_of = {row["session_id"]: row["sample"] for row in report["sessions"]}
    assert {
        (sample_of[row["session_id"]], row["code"], row["count"]) for row in report["findings"]
    } == FINDINGS
    tracked = [row["tracked"] for row in report["ads"]]
    assert (tracked.count(True), tracked.count(False)) == (4, 7)


def test_it_exits_0_and_has_nothing_to_complain_about(shown: Shown) -> None:
    assert (shown.codes, shown.json_errors, shown.errors) == ([0, 0], "", "")


def test_exact_figures_for_machines(shown: Shown) -> None:
    report: dict[str, Any] = json.loads(shown.json)
    assert_exact(report)
    assert all(row["advice"] for row in report["findings"])


def test_tables_for_people_fit_80_columns(shown: Shown) -> None:
    assert max(len(line.rstrip()) for line in shown.text.splitlines()) <= 100
    tables = shown.text.split("What next")[0].splitlines()
    assert max(len(line.rstrip()) for line in tables) <= 80
    for sample in FIGURES:
        assert sample in shown.text, "titles are not broken at 80 columns"
    row = next(line for line in tables if "pre-roll and mid-roll" in line)
    assert row.split()[3:] == ["2:00", "0:45", "-", "-", "-", "completed"]
    assert re.search(r"content time +2:00 +2:45 +2:45", shown.text)
    assert re.search(r"of it unbookended ads +- +0:45 +0:45", shown.text)
    assert "\x1b" not in shown.text


def test_the_data_is_kept_where_it_says(shown: Shown) -> None:
    report: dict[str, Any] = json.loads(shown.json)
    assert report["data"] == "data"
    with viewing(shown.directory / "data" / "analytics.db") as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM sessions").scalar_one()
    assert count == len(FIGURES)
    found = re.search(r"SQL +(\S+analytics.db)", shown.text)
    assert found is not None
    assert Path(found[1]).is_relative_to(shown.directory)
    assert Path(found[1]).exists()


def test_it_leaves_a_directory_with_something_in_it_alone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("dear")
    done = cli("demo", "--data", "mine")
    assert done.returncode == 1
    assert done.stderr == "bookended: mine is not empty. Give the demo a directory of its own.\n"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter"]
