"""`check` and `migrate`: what is effective, where it came from, and what state the files are in."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from migrations import head
from tests.commands.processes import Cli

KEY = "00112233445566778899aabbccddeeff"


def words(text: str) -> str:
    return " ".join(text.split())


def checked(cli: Cli, *args: str, **settings: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(cli("check", "--json", *args, **settings).stdout)
    report["checks"] = {check["thing"]: check for check in report["checks"]}
    return report


def test_migrate_says_from_and_to(cli: Cli, tmp_path: Path) -> None:
    first = cli("migrate", "--data", "d")
    assert (first.returncode, first.stdout) == (
        0,
        f"log d/log.db: made with schema 1\ndatabase d/analytics.db: from nothing to {head()}\n",
    )
    second = cli("migrate", "--data", "d")
    assert (second.returncode, second.stdout) == (
        0,
        f"log d/log.db: already at schema 1\ndatabase d/analytics.db: already at {head()}\n",
    )
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o700


def test_log_and_database_may_lie_apart(cli: Cli, tmp_path: Path) -> None:
    urls = {
        "BOOKENDED_LOG": "sqlite:///a/l.db",
        "BOOKENDED_DATABASE": f"sqlite:///{tmp_path}/b/d.db",
    }
    assert cli("migrate", **urls).returncode == 0
    assert (tmp_path / "a" / "l.db").exists()
    assert (tmp_path / "b" / "d.db").exists()
    assert not (tmp_path / "bookended-data").exists()
    assert not checked(cli, **urls)["checks"]["database"]["is_wrong"]


def test_all_that_is_missing_is_told_at_once_and_nothing_is_made(cli: Cli, tmp_path: Path) -> None:
    done = cli("check")
    assert done.returncode == 1
    shown = words(done.stdout)
    assert "bookended-data/log.db: there is no such file. Run `bookended migrate`" in shown
    assert "bookended-data/analytics.db: there is no such file" in shown
    assert list(tmp_path.iterdir()) == []


def test_what_is_good_is_told_too(cli: Cli) -> None:
    cli("migrate")
    done = cli("check")
    assert done.returncode == 0
    shown = words(done.stdout)
    assert "log good bookended-data/log.db: 0 records, schema 1, writable" in shown
    assert f"database good bookended-data/analytics.db: schema {head()}, projection 1" in shown
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_each_value_with_its_origin_and_secrets_hidden(cli: Cli) -> None:
    report = checked(
        cli, "--listen", "127.0.0.1:1", BOOKENDED_PROFILE="strict", BOOKENDED_SID_KEYS=KEY
    )
    settings = report["settings"]
    assert settings["listen"] == {"value": "127.0.0.1:1", "from": "flag"}
    assert settings["profile"] == {"value": "strict", "from": "variable"}
    assert settings["requests-max"] == {"value": "1000", "from": "default"}
    assert settings["sid-keys"] == {"value": "********", "from": "variable"}
    assert settings["log"] == {"value": "sqlite:///bookended-data/log.db", "from": "default"}
    done = cli("check", BOOKENDED_SID_KEYS=KEY)
    assert KEY not in done.stdout + done.stderr
    assert "BOOKENDED_SID_KEYS ******** variable" in words(done.stdout)


def test_a_misspelt_variable_is_remarked(cli: Cli) -> None:
    report = checked(cli, BOOKENDED_LISTN="127.0.0.1:1")
    assert report["remarks"] == ["BOOKENDED_LISTN is no setting; is BOOKENDED_LISTEN meant?"]


def test_a_key_file_that_others_can_read(cli: Cli, tmp_path: Path) -> None:
    cli("migrate")
    key = tmp_path / "bookended-data" / "sid.key"
    key.write_text(KEY)
    key.chmod(0o644)
    check = checked(cli)["checks"]["session id keys"]
    assert check["is_wrong"]
    assert "Run: chmod 600" in check["detail"]


def test_a_new_database_is_made_by_the_given_rules_and_keeps_them(cli: Cli, tmp_path: Path) -> None:
    cli("migrate", "--unclosed-break", "ad", BOOKENDED_VALID_PLAY="1m")
    path = tmp_path / "bookended-data" / "analytics.db"
    with closing(sqlite3.connect(path)) as connection:
        (text,) = connection.execute("SELECT policy FROM projections").fetchone()
    policy = json.loads(text)
    assert (policy["unclosed_break"], policy["valid_play_ms"]) == ("ad", 60_000)
    detail = checked(cli)["checks"]["database"]["detail"]
    assert "it keeps the rules it was made with" in detail
    same = checked(cli, "--unclosed-break", "ad", "--valid-play", "60s")["checks"]["database"]
    assert "it keeps" not in same["detail"]
