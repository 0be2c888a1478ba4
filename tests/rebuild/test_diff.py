"""`compare`: what differs between two projections, and what is only further in one of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from models.policy import Policy
from processor import projection_diff
from processor.projection_diff import compare
from processor.projections import create_candidate
from tests.processor_shell.postgres_world import PostgresWorld
from tests.processor_shell.world import World, event
from tests.rebuild.rows import candidate_of, rebuild

AD = {"media.ad.id": "ad-1", "media.ad.length": 5, "media.ad.podPosition": 1}
START = {"media.id": "film", "media.length": 100, "media.playerName": "web"}
POD = {"media.ad.podIndex": 0, "media.ad.podSecond": 0}


def watch(world: World, number: int, *, closing: bool) -> None:
    """10 s of content, 5 s of an ad in a break with or without its closing bookend."""
    end = [event("adBreakComplete", 15, playhead_ms=10_000)] if closing else []
    world.append_events(
        number,
        event("sessionStart", 0, params=START),
        event("play", 0),
        event("ping", 10),
        event("adBreakStart", 10, params=POD),
        event("adStart", 10, params=AD),
        event("adComplete", 15, playhead_ms=10_000),
        *end,
        event("sessionEnd", 15, playhead_ms=10_000),
    )


@pytest.fixture
def filled(world: World) -> World:
    """Three sessions; the closing bookend of the second is missing."""
    for number, closing in enumerate((True, False, True)):
        watch(world, number, closing=closing)
    world.process()
    return world


def test_the_same_rules_give_no_difference(filled: World) -> None:
    candidate = candidate_of(filled)
    rebuild(filled, candidate)
    found = compare(filled.engine, 1, candidate, is_part=False)
    assert found.is_none
    assert (found.compared, found.moving) == (3, 0)


def test_another_policy_moves_the_time_of_one_session(filled: World) -> None:
    candidate = candidate_of(filled, Policy(unclosed_break="ad"))
    rebuild(filled, candidate)
    found = compare(filled.engine, 1, candidate, is_part=False)
    assert (found.compared, found.changed) == (3, 1)
    assert found.totals["content_ms"] == (35_000, 30_000)
    assert found.totals["ad_ms"] == (10_000, 15_000)
    (mover,) = found.movers
    assert (mover.moved_ms, mover.player_name, mover.content_id) == (10_000, "web", "film")
    assert mover.figures["unbookended_ad_ms"] == (5_000, 0)
    assert found.distribution == {"under 60 s": 1}
    assert found.groups["web", "film"] == (1, -5_000, 5_000)


def test_what_one_has_read_further_is_moving_and_no_difference(filled: World) -> None:
    filled.append_events(7, event("play", 20), event("ping", 30))
    filled.process()
    candidate = candidate_of(filled)
    rebuild(filled, candidate)
    filled.append_events(7, event("ping", 40), event("ping", 50))
    filled.process()
    found = compare(filled.engine, 1, candidate, is_part=False)
    assert found.is_none
    assert (found.compared, found.moving) == (3, 1)


def test_what_a_later_tick_closed_is_moving_and_no_difference(filled: World) -> None:
    filled.append_events(7, event("play", 20), event("ping", 30))
    filled.process()
    candidate = candidate_of(filled)
    rebuild(filled, candidate)
    filled.now_ms = event("ping", 3_600).received_at
    filled.process()
    found = compare(filled.engine, 1, candidate, is_part=False)
    assert found.is_none
    assert (found.compared, found.moving) == (3, 1)


def test_a_session_that_only_one_has_is_a_difference(filled: World) -> None:
    candidate = candidate_of(filled)
    rebuild(filled, candidate, wanted=frozenset({f"{0:064x}"}))
    found = compare(filled.engine, 1, candidate, is_part=False)
    assert (found.only_live, found.compared) == (2, 1)
    assert not found.is_none


def test_a_part_is_compared_with_its_own_sessions_alone(filled: World) -> None:
    part = create_candidate(filled.engine, Policy(unclosed_break="ad"), {"sessions": 2}, 0)
    rebuild(filled, part, wanted=frozenset(f"{n:064x}" for n in (0, 1)))
    found = compare(filled.engine, 1, part, is_part=True)
    assert (found.only_live, found.compared, found.changed) == (0, 2, 1)


@pytest.fixture
def on_postgres(tmp_path: Path, postgres_url: str) -> Iterator[PostgresWorld]:
    made = PostgresWorld(tmp_path, url=postgres_url)
    yield made
    made.close()


def test_all_of_it_is_of_one_moment(
    on_postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a processor writes between two of its statements is no difference."""
    watch(on_postgres, 1, closing=True)
    on_postgres.now_ms = event("ping", 3_600).received_at
    on_postgres.process()
    candidate = candidate_of(on_postgres)
    rebuild(on_postgres, candidate)
    totals = projection_diff._totals

    def and_then_one_writes(*given: Any) -> None:
        totals(*given)
        with on_postgres.engine.begin() as connection:
            connection.execute(text("DELETE FROM sessions_closed WHERE projection = 1"))

    monkeypatch.setattr(projection_diff, "_totals", and_then_one_writes)
    found = compare(on_postgres.engine, 1, candidate, is_part=False)
    assert (found.is_none, found.compared) == (True, 1)
