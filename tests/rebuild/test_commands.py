"""archive, rebuild, diff, promote, rollback and projections, as a user runs them."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.commands.processes import Cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's data."""
    made = tmp_path_factory.mktemp("reprocessing")
    done = run(made, "demo", "--data", "bookended-data")
    assert done.returncode == 0, done.stderr
    return made


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return Cli(folder)(*arguments, COLUMNS="100")


def test_from_archive_to_promotion_and_back(folder: Path) -> None:
    archived = run(folder, "archive", "--to", "archive")
    assert "Archived 298 records" in archived.stdout, archived.stderr
    rebuilt = run(folder, "rebuild", "--archive", "archive", "--unclosed-break", "ad")
    assert "Projection 2 holds all sessions." in rebuilt.stdout, rebuilt.stderr
    differs = run(folder, "diff", "2", "--json", "--csv", "moved.csv")
    assert differs.returncode == 3, differs.stderr
    found = json.loads(differs.stdout)
    assert found["totals"]["ad_ms"]["candidate"] > found["totals"]["ad_ms"]["live"]
    moved = (folder / "moved.csv").read_text().splitlines()
    assert any(",unbookended_ad_ms," in line for line in moved)
    assert "Projection 2 is live" in run(folder, "promote", "2").stdout
    listed = json.loads(run(folder, "projections", "list", "--json").stdout)
    assert [one["is_live"] for one in listed] == [False, True]
    assert "Projection 1 is live again" in run(folder, "rollback").stdout
    assert "Projection 2 is gone" in run(folder, "projections", "drop", "2").stdout


def test_the_same_rules_give_no_difference(folder: Path) -> None:
    rebuilt = run(folder, "rebuild", "--jobs", "1")
    number = rebuilt.stdout.split()[1]
    same = run(folder, "diff", number)
    assert same.returncode == 0, same.stdout
    assert "No difference." in same.stdout
    again = run(folder, "rebuild", "--into", number)
    assert again.returncode == 0, again.stderr


def test_what_if(folder: Path) -> None:
    run(folder, "archive", "--to", "archive")
    done = run(folder, "whatif", "--archive", "archive", "--unclosed-break", "ad", "--json")
    totals = json.loads(done.stdout)["totals"]
    assert totals["ad_ms"]["other"] - totals["ad_ms"]["documented"] == 57_000


def test_an_archive_is_verified(folder: Path) -> None:
    run(folder, "archive", "--to", "whole")
    done = run(folder, "verify", "--archive", "whole")
    assert (done.returncode, "the archive is whole" in done.stdout) == (0, True)
    (file,) = (folder / "whole").glob("*/*/*/*.avro")
    file.write_bytes(file.read_bytes()[:-1])
    damaged = run(folder, "verify", "--archive", "whole")
    assert damaged.returncode == 1
    assert "offsets 1 to 298: the file is cut short" in damaged.stdout


def test_a_visitor_is_forgotten(folder: Path) -> None:
    run(folder, "archive", "--to", "archive")
    done = run(folder, "forget", "--session", "0" * 64, "--archive", "archive")
    assert "sessions forgotten  1" in done.stdout, done.stderr
    unknown = run(folder, "forget", "--visitor", "nobody")
    assert (unknown.returncode, "nothing is known" in unknown.stderr) == (1, True)


def test_a_part(folder: Path) -> None:
    rows = run(folder, "rebuild", "--from", "2020-01-01", "--to", "2100-01-01")
    assert "holds 10 sessions" in rows.stdout, rows.stderr
    number = rows.stdout.split()[1]
    for command, text in (
        (("promote", number), "a part of the sessions"),
        (("rebuild", "--into", number), f"projection {number} is of a part"),
    ):
        refused = run(folder, *command)
        assert refused.returncode == 1
        assert text in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("promote",), 2, "PROJECTION: is missing"),
        (("promote", "x"), 2, "PROJECTION x: is not a whole number"),
        (("promote", "99"), 1, "no projection 99. `bookended projections list` shows"),
        (("diff", "99"), 1, "no projection 99"),
        (("projections", "drop", "1"), 1, "projection 1 is the live one"),
        (("rebuild", "--into", "1"), 1, "projection 1 is the live one"),
        (("rebuild", "--archive", "nowhere"), 1, "archive nowhere: there is no such directory"),
        (("rebuild", "--archive-only"), 2, "--archive-only: needs an archive"),
        (("rebuild", "--from", "soon"), 2, "--from soon: is no instant"),
        (("rebuild", "--sessions", "nobody"), 1, "has no such sessions"),
        (("whatif", "--archive", "nowhere", "--break-gap", "content"), 1, "no such directory"),
        (("whatif",), 2, "these are the documented rules"),
        (("forget",), 2, "say whom to forget"),
        (("leave",), 2, "its one processor is in no group"),
        (("verify", "--archive", "nowhere"), 1, "no such directory"),
        (("archive", "--log", "sqlite:///none.db"), 1, "there is no such file"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    folder: Path, arguments: tuple[str, ...], code: int, text: str
) -> None:
    done = run(folder, *arguments)
    assert done.returncode == code, done.stdout
    assert text in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.strip()]) == 1
