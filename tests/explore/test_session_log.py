"""A session looked at event by event, and under the other policy: real logs, real folds."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from explore.log import Place, Received, place_of
from explore.reading import reading, session_rows
from models.policy import DEFAULT_POLICY, Policy
from models.tables import forgotten_sessions
from models.time_line import SessionRows
from tests.explore.played import ID, a_session, log_of, new_world, play, rows_of_events
from tests.explore.served import Site
from tests.processor_shell.test_exactly_once import crowd
from tests.processor_shell.world import SMALL, World, event, session_id
from tests.rebuild.rows import archive_of


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with new_world(tmp_path) as world:
        yield world


@pytest.fixture
def played(world: World) -> World:
    """`a_session`, with records of another one between its own."""
    play(world)
    return world


def test_the_events_are_told_with_what_each_did(played: World, serve: Callable[..., Site]) -> None:
    page = serve(played.engine, log=log_of(played)).session(ID, "events")
    assert page.status == 200
    told = rows_of_events(page)
    assert len(told) == len(a_session())
    wanted = {
        3: "+10 s content",
        4: "dropped: a repeatfinding duplicate_event",
        9: "late: takes no time",
        10: "closes the session (session_end)",
        11: "dropped: after the close",
    }
    for place, words in wanted.items():
        assert words in told[place], (place, told[place])
    assert "finding break_not_completed" in told[10]
    assert "<script>alert" not in page.text
    sent = " ".join(pre.text for pre in page.all("pre"))
    assert "<script>alert(1)</script>\\u202e" in sent
    assert "\u202e" not in sent


def test_parts_by_key_have_every_event_once(
    played: World, serve: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explore.events.EVENTS_A_PAGE", 5)
    site = serve(played.engine, log=log_of(played))
    page = site.session(ID, "events")
    found = rows_of_events(page)
    for _ in range(2):
        (link,) = [a for a in page.all("a") if a.attributes.get("rel") == "next"]
        page = site.ask(link.attributes["href"])
        found += rows_of_events(page)
    assert found == rows_of_events(site.session(ID, "events")) + found[5:]
    assert len({*found}) == len(found) == len(a_session())
    assert "End of the session" in page.text
    assert site.session(ID, "events", after="x").status == 400
    assert site.session(ID, "events", offset="-1").status == 400


def test_plain_pings_can_be_left_out(played: World, serve: Callable[..., Site]) -> None:
    page = serve(played.engine, log=log_of(played)).session(ID, "events", pings="hide")
    told = rows_of_events(page)
    assert len(told) == len(a_session()) - 1  # a repeat, a late and a dropped one are not plain
    assert "1 plain pings left out" in page.text


def test_player_states_are_in_every_time_line(played: World, serve: Callable[..., Site]) -> None:
    site = serve(played.engine, log=log_of(played))
    for page, pictures in (("", 1), ("policy", 2)):
        drawn = site.session(ID, page).all("rect", "on")
        places = [(bar.attributes["x"], bar.attributes["width"]) for bar in drawn]
        assert places == [("20.0%", "50.0%")] * pictures


def test_the_other_policy_side_by_side(played: World, serve: Callable[..., Site]) -> None:
    site = serve(played.engine, log=log_of(played))
    page = site.session(ID, "policy")
    assert page.status == 200
    figures = [row.text for row in page.all("tr", "differs")]
    assert "ads 0 s10 s +10 s" in figures
    assert "of it unbookended ads 10 s0 s −10 s" in figures
    assert "other figures than the database" not in page.text
    counted = [rect.classes[1] for rect in page.all("rect", "bar")]
    assert "c-moved" in counted[: len(counted) // 2]
    assert "c-moved" not in counted[len(counted) // 2 :]
    assert "c-ad" in counted[len(counted) // 2 :]
    assert "Nothing differs" in site.session(ID, "policy", switch="stall_detection").text
    assert site.session(ID, "policy", switch="no").status == 400


def test_a_forgotten_viewer_s_events_are_not_shown(
    played: World, serve: Callable[..., Site]
) -> None:
    with played.engine.begin() as connection:
        connection.execute(insert(forgotten_sessions).values(session_id=ID, forgotten_at=0))
    site = serve(played.engine, log=log_of(played))
    page = site.session(ID, "events")
    assert page.status == 410
    assert "was forgotten" in page.text
    assert "alert(1)" not in page.text
    assert site.session(ID, "policy").status == 200  # figures stay


def test_what_is_gone_from_the_log_is_said(played: World, serve: Callable[..., Site]) -> None:
    played.log.execute('DELETE FROM log_records WHERE "offset" < 7')
    site = serve(played.engine, log=log_of(played))
    page = site.session(ID, "events")
    assert "below offset 7 are gone" in page.text
    assert len(rows_of_events(page)) == len(a_session()) - 3
    assert "+10 s content" not in page.text
    page = site.session(ID, "policy")
    assert page.status == 503
    assert "--explore-archive" in page.text


def test_a_look_has_its_limits(played: World, serve: Callable[..., Site]) -> None:
    site = serve(played.engine, log=log_of(played, events_max=7))
    page = site.session(ID, "events")
    found = rows_of_events(page)
    assert len(found) == 7
    (link,) = [a for a in page.all("a") if a.text == "Read on from there"]
    page = site.ask(link.attributes["href"])
    assert "what an event did is not known" in page.text
    assert len(found) + len(rows_of_events(page)) == len(a_session())
    page = site.session(ID, "policy")
    assert page.status == 503
    assert f"bookended rebuild --sessions {ID}" in page.text


def test_reading_stops_in_time(played: World, serve: Callable[..., Site]) -> None:
    page = serve(played.engine, log=log_of(played, seconds_max=-1)).session(ID, "policy")
    # One poll has all of these few records, so the time is over only after it.
    assert page.status == 200
    played.append_events(3, *(event("ping", at) for at in range(6_000)))
    played.append_events(1, event("ping", 6_000))
    played.process()
    page = serve(played.engine, log=log_of(played, seconds_max=-1)).session(ID, "policy")
    assert page.status == 503
    assert "too far apart" in page.text


def test_another_log_is_refused(played: World, serve: Callable[..., Site], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    page = serve(played.engine, log=log_of(other)).session(ID, "events")
    assert page.status == 503
    assert "was filled from another log" in page.text
    other.close()


class Waiting:
    """A log whose reading waits, to fill the places."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()

    def events(self, place: Place, from_offset: int) -> Received:
        self.begun.release()
        assert self.go_on.wait(30)
        return Received([], place.first_offset, place.last_offset + 1)

    def replays(self, place: Place, policies: Sequence[Policy]) -> list[SessionRows]:
        raise AssertionError("the test asks for events alone")


def test_two_look_at_a_time(
    played: World, serve: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explore.session_pages._LOOK_WAIT_S_MAX", 0.1)
    log = Waiting()
    site = serve(played.engine, log=log)
    with ThreadPoolExecutor(2) as pool:
        first = [pool.submit(site.session, ID, "events") for _ in range(2)]
        for _ in first:
            assert log.begun.acquire(timeout=30)
        page = site.session(ID, "policy")
        assert page.status == 503
        assert "Others are reading the log now" in page.text
        assert site.session(ID).status == 200  # pages out of SQL do not wait for them
        log.go_on.set()
        assert [it.result().status for it in first] == [200, 200]


@pytest.mark.parametrize(
    "policy", [DEFAULT_POLICY, Policy(unclosed_break="ad", break_gap="content")], ids=str
)
def test_a_replay_gives_the_rows_of_the_views(tmp_path: Path, policy: Policy) -> None:
    """Sessions with faults of every kind, first while most are live, then all of them; and the
    events' doings add up to the figures."""
    world = World(tmp_path, policy)
    records = sorted(crowd(7, 24), key=lambda record: record.events[0].received_at)
    half = len(records) // 2
    log = log_of(world)
    told = 0
    for part in (records[:half], records[half:]):
        world.append(*part)
        world.now_ms = part[-1].events[0].received_at
        world.process()
        for number in range(24):
            with reading(world.engine) as connection:
                rows = session_rows(connection, session_id(number))
                if rows is None:
                    continue
                place = place_of(connection, rows.session)
            (replayed,) = log.replays(place, (policy,))
            assert as_json(replayed) == as_json(rows)
            received = log.events(place, place.first_offset)
            assert_adds_up(received, rows.session)
            told += 1
    assert told > 24
    world.close()


def test_a_replay_crosses_the_gaps_that_the_rows_crossed(world: World, tmp_path: Path) -> None:
    start, *others = a_session()
    world.append_events(1, start, *others[:2])
    world.append_events(2, *a_session())
    world.process()
    archive_of(world, tmp_path / "archive")
    world.append_events(1, others[2])
    end = world.log_records()[-1].offset
    world.log.execute('DELETE FROM log_records WHERE "offset" <= ?', (end,))
    world.append_events(1, *others[3:])
    archive_of(world, tmp_path / "archive", accepts_gap=True)
    world.settings = replace(SMALL, accepts_gaps=True)
    world.process()
    with reading(world.engine) as connection:
        rows = session_rows(connection, ID)
        assert rows is not None
        place = place_of(connection, rows.session)
    assert rows.finding("log_gap") is not None
    (replayed,) = log_of(world, tmp_path / "archive").replays(place, (DEFAULT_POLICY,))
    assert as_json(replayed) == as_json(rows)


def as_json(rows: SessionRows) -> Any:
    """Without the place in the log; a list is one, however SQL gives it back."""
    place = ("log_partition", "first_offset", "last_offset")
    session = {name: value for name, value in rows.session.items() if name not in place}
    return json.loads(json.dumps(rows._replace(session=session)))


def assert_adds_up(received: Received, session: Any) -> None:
    """What the events did, all together, is what the session's row says."""
    judged = [it.judged for it in received.events if it.judged is not None]
    assert len(judged) == len(received.events)
    verdicts = [it.verdict for it in judged]
    assert verdicts.count("duplicate") == session["duplicate_event_count"]
    assert verdicts.count("late") == session["late_event_count"]
    for name in ("content_ms", "unbookended_ad_ms", "pause_ms", "stall_ms", "untracked_ms"):
        assert sum(it.times.get(name, 0) for it in judged) == session[name], name
