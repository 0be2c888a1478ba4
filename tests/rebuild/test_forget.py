"""Forgetting: nothing that names a viewer stays in rows, archive or log; every figure does."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from processor import forget_files
from processor.archive import read_archive
from processor.archive_check import check_archive
from processor.forget import forget_sessions, sessions_of_visitor
from processor.forget_files import forget_in_archive, forget_in_log, sessions_in_archive
from processor.forgetting import disguised
from tests.processor_shell.faults import Killed
from tests.processor_shell.world import World, event
from tests.rebuild.rows import Rows, archive_of, candidate_of, rebuild, rows_of

SECRET = b"s" * 32
START = {
    "media.id": "film",
    "media.length": 100,
    "media.playerName": "web",
    "visitor.marketingCloudUserId": "ada-77",
    "visitor.customerIDs": {"crm": {"id": "ada-crm", "authState": 1}},
    "appInstallationId": "ada-phone",
    "user.email": "ada-mail",
}
AD = {"media.ad.id": "ad-1", "media.ad.length": 5, "media.ad.podPosition": 1}
NAMES = ("ada-77", "ada-crm", "ada-phone", "ada-mail", "ada-custom")


@pytest.fixture
def filled(world: World) -> World:
    """Session 1 of the viewer, session 2 of another; both repeat their start."""
    for number, start in ((1, START), (2, {**START, "visitor.marketingCloudUserId": "bob"})):
        again = event("sessionStart", 0, params=start, custom={"k": "ada-custom"})
        world.append_events(
            number,
            again,
            again,
            event("play", 0),
            event("adStart", 5, params=AD, custom={"k": "ada-custom"}),
            event("adComplete", 10, playhead_ms=5_000),
            event("sessionEnd", 20),
            event("ping", 30),
        )
    world.append_bytes(f"{1:064x}", b"junk of ada-77", event("ping", 40).received_at)
    world.now_ms = event("ping", 3_600).received_at
    world.process()
    return world


def figures(rows: Rows) -> list[object]:
    return [rows[name] for name in ("sessions_closed", "finding_rows", "span_rows")]


def names_in(data: bytes) -> list[str]:
    return [name for name in NAMES if name.encode() in data]


def start_of(rows: Rows, number: int) -> dict[str, object]:
    (row,) = [r for r in rows["session_starts"] if r["session_id"] == f"{number:064x}"]
    return row


def test_rows_name_nobody_and_keep_their_figures(filled: World) -> None:
    before = rows_of(filled.engine, 1)
    ids = sessions_of_visitor(filled.engine, "ada-77")
    assert ids == {f"{1:064x}"}
    assert forget_sessions(filled.engine, ids, 5, SECRET) == 0
    after = rows_of(filled.engine, 1)
    assert figures(after) == figures(before)
    assert start_of(after, 2) == start_of(before, 2)
    gone = start_of(after, 1)
    assert [gone[name] for name in ("visitor_id", "customer_ids", "custom_metadata")] == [None] * 3
    assert not [name for name in NAMES if name in str(gone)]
    mine = [row for row in after["ad_rows"] if row["session_id"] in ids]
    assert [row["custom_metadata"] for row in mine] == [None]
    assert after["dead_letters"] == []


def test_a_later_rebuild_names_nobody_either(filled: World) -> None:
    ids = sessions_of_visitor(filled.engine, "ada-77")
    forget_sessions(filled.engine, ids, 5, SECRET)
    candidate = candidate_of(filled)
    rebuild(filled, candidate)
    live, rebuilt = rows_of(filled.engine, 1), rows_of(filled.engine, candidate)
    live.pop("closes_outbox"), rebuilt.pop("closes_outbox")
    assert rebuilt == live


def test_an_archive_names_nobody_and_stays_whole(filled: World, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    archive = archive_of(filled, root, records_max=4)
    ids = sessions_in_archive(archive, "ada-77")
    assert ids == {f"{1:064x}"}
    before = rows_of(filled.engine, 1)
    assert forget_in_archive(archive, ids, SECRET, lambda _: None) == 3
    checked, faults = check_archive(root, lambda _: None)
    assert faults == []
    assert checked.records == 15
    (read,) = read_archive(root)
    assert sessions_in_archive(read, "ada-77") == set()
    assert sessions_in_archive(read, "bob") == {f"{2:064x}"}
    candidate = candidate_of(filled)
    rebuild(filled, candidate, read, from_log=False)
    assert figures(rows_of(filled.engine, candidate)) == figures(before)
    assert forget_in_archive(read, ids, SECRET, lambda _: None) == 3  # harmless


def test_the_embedded_log_names_nobody(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forget_files, "_ROWS_MAX", 2)  # more than once
    before = rows_of(filled.engine, 1)
    ids = sessions_of_visitor(filled.engine, "ada-77")
    ids |= sessions_of_visitor(filled.engine, "bob")
    filled.log.close()
    assert forget_in_log(filled.log_path, ids, SECRET) == 7
    assert names_in(filled.log_path.read_bytes()) == []
    filled.log = filled._open_log()
    candidate = candidate_of(filled)
    rebuild(filled, candidate)
    assert figures(rows_of(filled.engine, candidate)) == figures(before)


def test_a_log_that_is_being_read_keeps_nothing_unsaid(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that stays keeps the old bytes in the log's WAL: nobody is told they are gone."""
    monkeypatch.setattr(forget_files, "_BUSY_TIMEOUT_S", 0.1)
    with closing(sqlite3.connect(filled.log_path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM log_records").fetchone()
        with pytest.raises(sqlite3.OperationalError, match="is locked"):
            forget_in_log(filled.log_path, {f"{1:064x}"}, SECRET)
        reader.execute("COMMIT")
    assert forget_in_log(filled.log_path, {f"{1:064x}"}, SECRET) == 0
    beside = filled.log_path.with_name(f"{filled.log_path.name}-wal")
    assert b"ada-77" not in filled.log_path.read_bytes() + beside.read_bytes()


@pytest.mark.parametrize("dies_at", range(1, 8))
def test_a_killed_run_leaves_a_whole_archive(
    filled: World, tmp_path: Path, dies_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "archive"
    archive = archive_of(filled, root, records_max=4)
    ids = sessions_in_archive(archive, "ada-77")
    steps = [0]

    def dying(method: str) -> None:
        whole = getattr(Path, method)

        def step(self: Path, *arguments: object, **more: object) -> object:
            steps[0] += 1
            if steps[0] == dies_at:
                raise Killed
            return whole(self, *arguments, **more)

        patched.setattr(Path, method, step)

    with monkeypatch.context() as patched:
        dying("replace")
        dying("unlink")
        with pytest.raises(Killed):
            forget_in_archive(archive, ids, SECRET, lambda _: None)
    (left,) = read_archive(root)
    assert sum(entry.records for entry in left.entries) == 15
    forget_in_archive(left, ids, SECRET, lambda _: None)
    assert check_archive(root, lambda _: None)[1] == []
    (read,) = read_archive(root)
    assert sessions_in_archive(read, "ada-77") == set()


def test_equal_values_stay_equal_and_placeholders_stay() -> None:
    one = event(
        "sessionStart",
        0,
        params={**START, "analytics.aid": "N/A", "user.number": 77},
        custom={"a": "x"},
    )
    first, second = disguised(one, SECRET), disguised(one, SECRET)
    assert first == second
    assert first.params is not None
    assert first.params["media.id"] == "film"
    assert first.params["analytics.aid"] == "N/A"
    assert first.params["user.email"].startswith("forgotten-")
    assert isinstance(first.params["user.number"], int)
    assert first.params["user.number"] != 77
    assert disguised(first, SECRET) == first, "a killed run is done once more"
    assert disguised(one, b"t" * 32) != first
