"""A session's events out of an archive of the real archiver, once the log let go of them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.archive.logs import archive_log
from tests.explore.played import ID, OTHER, a_session, log_of, new_world, play, rows_of_events
from tests.explore.served import Answer, Site
from tests.processor_shell.world import World

MIDDLE: Final = 10
"""An offset within the session: its records are the odd ones, those of another the even ones."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with new_world(tmp_path) as world:
        yield world


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def forget_below(world: World, offset: int) -> None:
    """What retention does to the log."""
    world.log.execute('DELETE FROM log_records WHERE "offset" < ?', (offset,))


def figures(page: Answer) -> list[str]:
    assert page.status == 200, page.text
    return [row.text for row in page.all("tr")]


def looks(site: Site) -> tuple[list[str], list[str], list[str]]:
    """What both looks tell: events, player states drawn, figures under both policies."""
    events, policy = site.session(ID, "events"), site.session(ID, "policy")
    states = [f"{rect.attributes}" for rect in policy.all("rect", "on")]
    return figures(events), states, figures(policy)


@pytest.mark.parametrize("kept_from", [100, MIDDLE], ids=["archive", "archive-then-log"])
def test_an_archive_tells_what_the_log_told(
    world: World, root: Path, serve: Callable[..., Site], kept_from: int
) -> None:
    play(world, slice(0, MIDDLE // 2))
    archive_log(world.log_path, root)
    play(world, slice(MIDDLE // 2, None))
    told = looks(serve(world.engine, log=log_of(world)))
    assert len(told[0]) == len(a_session()) + 1
    assert len(told[1]) == 2  # one, under each policy
    if kept_from > MIDDLE:
        archive_log(world.log_path, root)
    forget_below(world, kept_from)
    assert looks(serve(world.engine, log=log_of(world, root))) == told


def test_it_has_limits_and_parts_too(
    world: World, root: Path, serve: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explore.events.EVENTS_A_PAGE", 5)
    play(world)
    archive_log(world.log_path, root)
    forget_below(world, 100)
    site = serve(world.engine, log=log_of(world, root, events_max=7))
    page, found = site.session(ID, "events"), list[str]()
    for words in ("Next events", "Read on from there", ""):
        found += rows_of_events(page)
        links = [a.attributes["href"] for a in page.all("a") if a.text == words]
        page = site.ask(links[0]) if links else page
    assert len(found) == len({*found}) == len(a_session())
    assert "End of the session" in page.text
    assert f"--sessions {ID}" in site.session(ID, "policy").text


@pytest.mark.parametrize("is_before", [True, False], ids=["ends-before", "begins-after"])
def test_an_archive_of_other_offsets_is_of_no_help(
    world: World, root: Path, serve: Callable[..., Site], is_before: bool
) -> None:
    if is_before:
        world.append_events(OTHER, *a_session())
        archive_log(world.log_path, root)
        play(world)
    else:
        play(world)
        forget_below(world, 20)
        archive_log(world.log_path, root, accepts_gap=True)
    lost_below = len(a_session()) + MIDDLE if is_before else 20
    forget_below(world, lost_below)
    site = serve(world.engine, log=log_of(world, root))
    page = site.session(ID, "events")
    assert page.status == 200
    assert f"below offset {lost_below} are gone" in page.text
    assert 0 < len(rows_of_events(page)) < len(a_session())
    page = site.session(ID, "policy")
    assert page.status == 503
    assert "--explore-archive" in page.text


def cut_short(root: Path) -> None:
    path = next(root.rglob("*.avro"))
    path.write_bytes(path.read_bytes()[:-20])


def change_a_byte(root: Path) -> None:
    path = next(root.rglob("*.avro"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def lose_a_file(root: Path) -> None:
    next(root.rglob("*.avro")).unlink()


def spoil_the_manifest(root: Path) -> None:
    path = next(root.rglob("manifest.jsonl"))
    path.write_bytes(path.read_bytes() + b"no JSON\n")


def move_away(root: Path) -> None:
    root.rename(root.with_name("elsewhere"))


DAMAGES: Final[dict[Callable[[Path], None], str]] = {
    cut_short: "bookended verify --archive",
    change_a_byte: "bookended verify --archive",
    lose_a_file: "bookended verify --archive",
    spoil_the_manifest: "bookended verify --archive",
    move_away: "there is no such directory",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_archive_is_told_and_never_shown(
    world: World, root: Path, serve: Callable[..., Site], damage: Callable[[Path], None]
) -> None:
    play(world)
    archive_log(world.log_path, root)
    damage(root)
    site = serve(world.engine, log=log_of(world, root))
    for look in ("events", "policy"):
        page = site.session(ID, look)
        assert page.status == 503
        assert str(root) in page.text
        assert DAMAGES[damage] in page.text
        assert "sessionStart" not in page.text
    assert site.session(ID).status == 200  # its time line is in SQL


def test_another_log_s_archive_is_refused(
    world: World, root: Path, serve: Callable[..., Site], tmp_path: Path
) -> None:
    play(world)
    (tmp_path / "other").mkdir()
    with new_world(tmp_path / "other") as other:
        other.append_events(1, *a_session())
        archive_log(other.log_path, root)
    page = serve(world.engine, log=log_of(world, root)).session(ID, "events")
    assert page.status == 503
    assert f"{root / 'log.db' / '0'} is of another log" in page.text
    assert "--explore-archive" in page.text
    assert "sessionStart" not in page.text
