"""`bookended dead-letters` and `bookended schema`, as operators and producers meet them."""

import json
from pathlib import Path

import pytest

from models.avro import SCHEMA_VERSIONS, decode, encode, schema_text
from models.records import Event, LogRecord
from tests.commands.processes import Cli
from tests.processor_shell.world import World

NOT_AVRO = "not Avro single-object encoding: it does not start with C3 01"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory with four dead letters that nobody can read, of one kind and of another."""
    folder = tmp_path / "data"
    folder.mkdir()
    world = World(folder)
    for number in range(3):
        world.append_bytes(f"key-{number}", b"nonsense", 1_760_000_000_000 + 60_000 * number)
    value = encode("b" * 64, [Event("play", 1_760_000_000_000, 0)])
    world.append_bytes("a" * 64, value, 1_760_000_200_000)
    world.process()
    world.close()
    return folder


def test_the_list_shows_them_the_latest_first(cli: Cli, data: Path) -> None:
    shown = cli("dead-letters", "list", "--data", str(data))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert max(map(len, shown.stdout.splitlines())) <= 80
    words = " ".join(shown.stdout.split())
    assert words.index("aaaaaaaaaaaa…") < words.index("key-2") < words.index("key-0")
    assert words.endswith("4 dead letters")
    report = json.loads(cli("dead-letters", "list", "--data", str(data), "--json").stdout)
    assert report["total"] == 4
    first, last = report["dead_letters"][0], report["dead_letters"][-1]
    assert first["reason"] == "the record's key is not its session_id"
    assert last == {
        "topic": "log.db",
        "log_partition": 0,
        "offset": 1,
        "received_at": "2025-10-09T08:53:20.000Z",
        "reason": NOT_AVRO,
        "key": "key-0",
        "value_bytes": 8,
        "readable": False,
        "replay_begun": False,
    }


@pytest.mark.parametrize(
    ("filters", "offsets"),
    [
        (("--limit", "2"), [4, 3]),
        (("--reason", "c3 01"), [3, 2, 1]),
        (("--from", "2025-10-09T08:55:20Z"), [4, 3]),
        (("--to", "2025-10-09T10:54:20+02:00"), [1]),
        (("--from", "2025-10-09", "--to", "2025-10-10"), [4, 3, 2, 1]),
        (("--from", "2025-10-10"), []),
        (("--log-partition", "1"), []),
    ],
)
def test_filters_choose(cli: Cli, data: Path, filters: list[str], offsets: list[int]) -> None:
    done = cli("dead-letters", "list", "--data", str(data), "--json", *filters)
    report = json.loads(done.stdout)
    assert [letter["offset"] for letter in report["dead_letters"]] == offsets


def test_a_replay_says_what_it_did(cli: Cli, data: Path) -> None:
    done = cli("dead-letters", "replay", "--data", str(data))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "0 published to the log again",
        "4 cannot be read by this release either, and stay",
        "4 left",
    ]
    report = json.loads(cli("dead-letters", "replay", "--data", str(data), "--json").stdout)
    assert report == {"published": 0, "found": 0, "unreadable": 4, "left": 4}


def test_a_drop_must_say_which(cli: Cli, data: Path) -> None:
    done = cli("dead-letters", "drop", "--data", str(data))
    assert done.returncode == 2
    assert done.stderr == (
        "bookended: say which dead letters are meant: "
        "--log-partition, --reason, --from, --to or --all\n"
    )
    done = cli("dead-letters", "drop", "--data", str(data), "--reason", "C3 01")
    assert (done.returncode, done.stdout) == (0, "3 dropped\n")
    done = cli("dead-letters", "drop", "--data", str(data), "--all", "--json")
    assert json.loads(done.stdout) == {"dropped": 1}
    assert cli("dead-letters", "list", "--data", str(data)).stdout == "0 dead letters\n"


def test_a_database_that_is_not_there_is_told_and_not_made(cli: Cli, tmp_path: Path) -> None:
    for name in ("list", "replay", "drop"):
        done = cli("dead-letters", name, "--data", "nowhere", *(["--all"] * (name == "drop")))
        assert done.returncode == 1
        assert done.stderr == (
            "bookended: database nowhere/analytics.db: there is no such file. "
            "Give the right --data or --database.\n"
        )
    assert not (tmp_path / "nowhere").exists()


def test_the_schema_can_be_piped(cli: Cli) -> None:
    done = cli("schema")
    assert done.stdout == schema_text()
    assert json.loads(done.stdout)["name"] == "SessionRecord"
    value = encode("a" * 64, [Event("play", 1, 0)])
    assert decode(LogRecord(0, 0, 0, b"a" * 64, value)).session_id == "a" * 64
    assert f"fingerprint {value[2:10].hex()}" in done.stderr
    assert f"version {SCHEMA_VERSIONS[-1]} of {len(SCHEMA_VERSIONS)}" in done.stderr
    assert cli("schema", "--schema-version", "1").stdout == schema_text(1)


def test_the_versions_of_the_schema_are_listed(cli: Cli) -> None:
    report = json.loads(cli("schema", "--json").stdout)
    assert [version["version"] for version in report["versions"]] == [*SCHEMA_VERSIONS]
    shown = cli("schema", "--versions").stdout
    assert all(version["fingerprint"] in shown for version in report["versions"])
    done = cli("schema", "--schema-version", "99")
    assert done.returncode == 2
    assert done.stderr.startswith("bookended: --schema-version 99: there are versions 1 to ")
