"""`bookended explain` as it is used: which session, which form, what goes wrong."""

import json
import os
import pty
import re
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from commands.explain_text import bar
from migrations.postgres import READER
from models.time_line import Reason, Stretch
from tests.commands.processes import Cli, arguments, environment
from tests.explain.conftest import Explain, MakeWorld
from tests.explain.hostile import HARMLESS, HOSTILE, hostile_events
from tests.explain.worked import address, id_of, world_of
from tests.postgres import admin
from tests.processor_shell.world import World, event, session_id
from tests.servers import PostgresServer

NAME = "bookends-no-closing"


def test_a_session_is_named_by_as_much_of_its_id_as_no_other_has(
    make_world: MakeWorld, explain: Explain, cli: Cli
) -> None:
    world = make_world(NAME)
    for number in (0xA1, 0xA2):
        world.append_events(number, event("play", 0), event("sessionEnd", 9))
    world.process()
    assert f"session     {id_of(NAME)}\n" in explain(world, "b")
    assert f"session     {id_of(NAME)}\n" in explain(world, id_of(NAME))
    assert f"session     {session_id(0xA2)}\n" in explain(world, session_id(0xA2))
    done = cli("explain", "00", BOOKENDED_DATABASE=address(world))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"bookended: session 00: the ids {session_id(0xA1)}, {session_id(0xA2)} begin with it. "
        "Give more of the one.\n"
    )


def test_many_that_fit_are_not_all_named(tmp_path: Path, cli: Cli) -> None:
    world = World(tmp_path)
    for number in range(1, 9):
        world.append_events(number, event("play", 0))
    world.process()
    world.close()
    done = cli("explain", "0", BOOKENDED_DATABASE=address(world))
    assert done.stderr.count("0" * 60) == 5
    assert f"{session_id(5)} and more begin with it" in done.stderr


def test_a_session_that_is_not_there(make_world: MakeWorld, cli: Cli) -> None:
    world = make_world(NAME)
    for given in ("x", id_of("another"), id_of(NAME).upper()):
        done = cli("explain", given, BOOKENDED_DATABASE=address(world))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"bookended: session {given}: there is none whose id is that or begins with it. "
            "Take one from the view sessions. A session is there about a second after its first "
            "event.\n"
        )


@pytest.mark.parametrize("given", ["%", "0_", "a" * 65, "", "é", "1'--"])
def test_what_is_no_id_is_refused_before_a_database_is_opened(cli: Cli, given: str) -> None:
    done = cli("explain", given, BOOKENDED_DATABASE="postgresql+psycopg://a@127.0.0.1:1/none")
    assert done.returncode == 2
    assert "SESSION" in done.stderr
    assert "is no session id, nor the beginning of one" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_database_that_is_not_there_is_told_in_one_line(cli: Cli) -> None:
    done = cli("explain", "a")
    assert done.returncode == 1
    assert done.stderr.endswith("there is no such file. Give the right --data or --database.\n")


def test_the_role_for_readers_is_enough(
    postgres: PostgresServer, postgres_url: str, tmp_path: Path, cli: Cli
) -> None:
    world = world_of(tmp_path, NAME, postgres_url)
    world.close()
    with admin(postgres) as connection:
        connection.execute(f"ALTER ROLE {READER} PASSWORD 'read-only'".encode())
    reader = make_url(postgres_url).set(username=READER, password="read-only")
    done = cli("explain", "b", BOOKENDED_DATABASE=reader.render_as_string(hide_password=False))
    assert (done.returncode, done.stderr) == (0, "")
    assert "break 1 is void, its 15 s are content" in done.stdout


def test_a_database_of_another_schema_is_told_in_one_line(make_world: MakeWorld, cli: Cli) -> None:
    world = make_world(NAME)
    columns = (
        "chapter_index, chapter_number, completed, content_ms, custom_metadata, ended_at, "
        "length_s, name, offset_s, started_at"
    )
    for statement, missing in (
        ("DROP VIEW chapters", "chapters"),
        (
            "CREATE VIEW chapters AS SELECT session_id FROM chapter_rows",
            f"the columns {columns} in chapters",
        ),
    ):
        run(world, statement)
        done = cli("explain", "b", BOOKENDED_DATABASE=address(world))
        assert (done.returncode, done.stdout) == (1, "")
        assert f" has not {missing}. Run `bookended migrate`, or give the right" in done.stderr
        assert len(done.stderr.splitlines()) == 1


# --- live sessions and rows that are missing -----------------------------------------------------


def test_a_live_session_says_so(make_world: MakeWorld, explain: Explain) -> None:
    world = make_world(NAME)
    begun = [e for e in hostile_events() if e.type != "sessionEnd"]
    world.append_events(7, *begun)
    world.now_ms = begun[-1].received_at
    world.process()
    shown = explain(world, session_id(7))
    assert "status      live\n" in shown
    assert "\nThis session is live: the figures are what they would be if it closed now.\n" in shown
    assert "adBreakComplete has not come yet: break 1 is open, its 11 s are" in " ".join(
        shown.split()
    )
    told = json.loads(explain(world, session_id(7), "--json"))
    assert told["live"] is True
    assert told["session"]["closed_at"] is None


def test_a_session_in_which_no_time_passed(make_world: MakeWorld, explain: Explain) -> None:
    world = make_world(NAME)
    world.append_events(7, event("sessionStart", 0))
    world.process()
    shown = explain(world, session_id(7))
    assert "No time has passed in it, from its first event to its last.\n" in shown
    assert "on screen" not in shown
    assert "  all together                  0:00.000\n" in shown


def test_totals_that_are_not_the_sums_are_told(make_world: MakeWorld, explain: Explain) -> None:
    world = make_world(NAME)
    run(world, "DELETE FROM span_rows WHERE activity = 'ad'")
    shown = " ".join(explain(world, id_of(NAME)).split())
    for name, value, ms in (
        ("content_ms", "0:55.000", "0:40.000"),
        ("unbookended_ad_ms", "0:15.000", "0:00.000"),
    ):
        line = f"{name} of the session is {value}, its stretches give {ms}; run `bookended verify`"
        assert line in shown
    told = json.loads(explain(world, id_of(NAME), "--json"))
    assert told["unequal"]["content_ms"] == {"session": 55_000, "stretches": 40_000}
    run(world, "UPDATE finding_rows SET code = 'too_many_rows' WHERE code = 'playhead_moved_in_ad'")
    shown = " ".join(explain(world, id_of(NAME)).split())
    assert "some stretches are missing here, and its totals may be more than the sums." in shown
    assert "bookended verify" not in shown


def test_a_finding_of_a_newer_release_is_told_too(make_world: MakeWorld, explain: Explain) -> None:
    world = make_world(NAME)
    run(world, "UPDATE finding_rows SET code = 'of_tomorrow' WHERE code = 'playhead_moved_in_ad'")
    shown = explain(world, id_of(NAME))
    assert "  of_tomorrow, " in shown
    assert "    → See docs/rules.md.\n" in shown


def run(world: World, statement: str) -> None:
    with world.engine.begin() as connection:
        connection.execute(text(statement))


# --- forms ---------------------------------------------------------------------------------------


def test_json_has_all_of_it(make_world: MakeWorld, explain: Explain) -> None:
    told = json.loads(explain(make_world(NAME), id_of(NAME), "--json"))
    assert told["session"]["session_id"] == id_of(NAME)
    assert told["session"]["started_at"] == "2025-10-09T08:53:20.000Z"
    assert told["live"] is False
    assert told["notes"] == []
    assert told["time_line"][1] == {
        "span_number": 2,
        "started_at": "2025-10-09T08:53:35.000Z",
        "ended_at": "2025-10-09T08:53:50.000Z",
        "from_ms": 15_000,
        "to_ms": 30_000,
        "duration_ms": 15_000,
        "activity": "ad",
        "counted_as": "content",
        "playhead_from_s": 15.0,
        "playhead_to_s": 15.0,
        "break_number": 1,
        "ad_number": 1,
        "chapter_number": None,
        "break_name": "pod",
        "ad_name": "a1",
        "chapter_name": None,
        "why": "adBreakComplete never came (the session closed): break 1 is void, its 15 s are "
        "content",
        "rule": "docs/rules.md#no-closing",
        "missing_bookend": "adBreakComplete",
    }
    assert told["findings"][0] == {
        "code": "break_not_completed",
        "count": 1,
        "first_ts": "2025-10-09T08:53:35.000Z",
        "from_start_ms": 15_000,
        "detail": "break 1: 15000 ms of ads without adBreakComplete",
        "advice": "Send adBreakComplete after the last ad: else its ads count as content.",
    }
    assert told["totals"] == {
        "content_ms": 55_000,
        "unbookended_ad_ms": 15_000,
        "ad_ms": 0,
        "ad_gap_ms": 0,
        "pause_ms": 0,
        "buffer_ms": 0,
        "stall_ms": 0,
        "startup_ms": 0,
        "untracked_ms": 0,
        "ended_ms": 0,
        "all_ms": 55_000,
    }


@pytest.mark.parametrize("columns", [20, 60, 200])
def test_the_bar_is_as_wide_as_the_terminal(tmp_path: Path, cli: Cli, columns: int) -> None:
    process_hostile(tmp_path)
    shown = cli("explain", "0", "--data", str(tmp_path), COLUMNS=str(columns)).stdout
    bars = re.findall(r"^(?:on screen |counted as)  ([CA!]+)$", shown, re.MULTILINE)
    assert len(bars) == 2
    assert {len(found) for found in bars} == {max(columns - 12, 10)}


def test_hostile_names_cannot_reach_the_terminal(tmp_path: Path, cli: Cli) -> None:
    process_hostile(tmp_path)
    done = cli("explain", "0", "--data", str(tmp_path), COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"[^\n\x20-\x7e–→“”…]", done.stdout) == []
    assert f"content     {HARMLESS} ({HARMLESS})\n" in done.stdout
    assert f"chapter 1 “{HARMLESS}”" in done.stdout
    assert f"break 1 “{HARMLESS}”" in done.stdout
    assert f"ad 1 “{HARMLESS}”" in done.stdout
    told = json.loads(cli("explain", "0", "--data", str(tmp_path), "--json").stdout)
    assert told["session"]["content_name"] == HOSTILE


def test_a_long_name_is_shortened(tmp_path: Path, cli: Cli) -> None:
    world = World(tmp_path)
    start = event("sessionStart", 0, params={"media.name": "n" * 5_000})
    world.append_events(1, start, event("play", 0), event("sessionEnd", 9))
    world.process()
    world.close()
    shown = cli("explain", "0", "--data", str(tmp_path)).stdout
    assert f"content     {'n' * 79}…\n" in shown


def test_a_terminal_has_colours(tmp_path: Path) -> None:
    """The red of a missing bookend, in the bar and in its stretch; none into a pipe or file."""
    process_hostile(tmp_path)
    process_id, terminal = pty.fork()
    if process_id == 0:
        os.chdir(tmp_path)
        args = arguments("explain", "0", "--data", str(tmp_path))
        os.execve(args[0], args, environment(TERM="xterm-256color"))  # noqa: S606 - our own
    shown = b""
    while chunk := read_some(terminal):
        shown += chunk
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1]) == 0
    assert b"\x1b[1;37;41m!" in shown
    assert b"\x1b[2J" not in shown


def read_some(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # how Linux says that the other side has ended
        return b""


def process_hostile(folder: Path) -> None:
    world = World(folder)
    world.append_events(1, *hostile_events())
    world.now_ms = hostile_events()[-1].received_at
    world.process()
    world.close()


def test_a_page_that_cannot_be_written_is_told_in_one_line(tmp_path: Path, cli: Cli) -> None:
    process_hostile(tmp_path)
    place = tmp_path / "none" / "page.html"
    done = cli("explain", "0", "--data", str(tmp_path), "--html", str(place))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"bookended: HTML file {place}: it cannot be opened or made.")


# --- the bar -------------------------------------------------------------------------------------


def stretch(number: int, ms: int, *, is_ad: bool) -> Stretch:
    kind = ("ad", "ad") if is_ad else ("content", "content")
    why = (None,) * 6
    return Stretch._make((number, 0, ms, ms, *kind, 0.0, 0.0, *why, Reason("", "")))


def test_a_short_stretch_is_seen_in_a_long_bar() -> None:
    line = [stretch(1, 3_600_000, is_ad=False), stretch(2, 1, is_ad=True)]
    assert [s.span_number for s in bar(line, 40)] == [1] * 39 + [2]


def test_stretches_that_look_alike_are_one_in_the_bar() -> None:
    line = [stretch(n, 1_000, is_ad=n == 30) for n in range(1, 31)]
    assert [s.activity for s in bar(line, 20)] == ["content"] * 18 + ["ad"] * 2


@pytest.mark.parametrize("width", [10, 57, 99, 100, 101])
def test_a_bar_of_more_stretches_than_cells_is_to_scale(width: int) -> None:
    line = [stretch(n, 1 + n % 7, is_ad=n % 2 == 0) for n in range(100)]
    cells = bar(line, width)
    assert len(cells) == width
    assert [s.span_number for s in cells] == sorted(s.span_number for s in cells)
    if width >= 100:
        assert {s.span_number for s in cells} == {*range(100)}
