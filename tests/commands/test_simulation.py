"""The simulated audience, its faults, and what each player does with an answer."""

import asyncio
from collections import Counter
from random import Random
from typing import Any, cast

import pytest

from commands.audience import session
from commands.faults import FAULTS, Fault, parse_faults, spoil
from commands.http_client import NO_ANSWER, Answer, CollectorClient
from commands.latency import Latencies
from commands.simulation import OPEN_ATTEMPTS, Plan, Simulation, Tally
from models.records import EVENT_TYPES

PLAN = Plan(sessions=30, rate=100_000, speed=10_000, faults=(), seed=7, duration_s=60)


class Stub:
    """Stands in for a collector: answers by a list of statuses, then accepts; keeps what came."""

    def __init__(self, *statuses: int, always: int = 204) -> None:
        self.statuses = list(statuses)
        self.always = always
        self.opened: list[dict[str, Any]] = []
        self.events: dict[str, list[dict[str, Any]]] = {}

    def answer(self, location: str = "") -> Answer:
        status = self.statuses.pop(0) if self.statuses else self.always
        message = "" if status < 400 else "not today"
        return Answer(status, location if status < 300 else "", message, 0.001, 0.002)

    async def open(self, body: dict[str, Any]) -> Answer:
        await asyncio.sleep(0)
        self.opened.append(body)
        return self.answer(f"/api/v1/sessions/s{len(self.opened)}")

    async def event(self, location: str, body: dict[str, Any]) -> Answer:
        await asyncio.sleep(0)
        self.events.setdefault(location, []).append(body)
        return self.answer()

    async def downloaded(self, events: list[dict[str, Any]]) -> Answer:
        await asyncio.sleep(0)
        self.opened.append(events[0])
        return self.answer("/api/v1/sessions/offline")


def play(plan: Plan, stub: Stub) -> tuple[Tally, list[tuple[str, int]]]:
    acknowledged: list[tuple[str, int]] = []

    def note(session_id: str, events: list[dict[str, Any]]) -> None:
        acknowledged.append((session_id, len(events)))

    simulation = Simulation(plan, cast(CollectorClient, stub), note)
    return asyncio.run(simulation.run()), acknowledged


def test_the_audience_sends_every_kind_of_event_that_players_do() -> None:
    kinds: Counter[str] = Counter()
    for number in range(300):
        kinds.update(item.type for item in session(number, Random(f"1/{number}")).sent)
    assert set(kinds) == set(EVENT_TYPES) - {"statesUpdate", "chapterSkip"}
    assert kinds["sessionStart"] == 300
    assert kinds["adBreakStart"] == kinds["adBreakComplete"]


def test_one_seed_gives_one_audience() -> None:
    assert session(3, Random("a")) == session(3, Random("a"))
    assert session(3, Random("a")) != session(3, Random("b"))


def test_each_sessions_clock_runs_forward_from_its_start() -> None:
    for number in range(100):
        sent = session(number, Random(f"2/{number}")).sent
        assert sent[0].type == "sessionStart"
        assert [item.at_ms for item in sent] == sorted(item.at_ms for item in sent)
        assert all(item.body["playerTime"]["ts"] == item.at_ms for item in sent)


def spoilt(fault: Fault) -> tuple[int, int, Counter[str]]:
    """Events before, events after, and strikes, over many sessions."""
    before, after, struck = 0, 0, Counter[str]()
    for number in range(200):
        chance = Random(f"3/{number}")
        sent = session(number, chance).sent
        result, strikes = spoil(sent, (fault,), 1.0, chance)
        assert result[0] == sent[0]
        before, after, struck = before + len(sent), after + len(result), struck + strikes
    return before, after, struck


def test_faults_lose_double_and_delay() -> None:
    before, after, struck = spoilt("lost")
    assert set(struck) == {"lost"}
    assert before - after == struck["lost"] > 0
    before, after, struck = spoilt("doubled")
    assert after - before == struck["doubled"] > 0
    before, after, struck = spoilt("late")
    assert before == after
    assert struck["late"] > 0
    before, after, struck = spoilt("missing-bookends")
    assert before - after == struck["missing-bookends"] > 0


def test_without_faults_all_goes_as_it_was_sent() -> None:
    sent = session(1, Random("x")).sent
    assert spoil(sent, (), 1.0, Random("x")) == (sent, Counter())


def test_names_of_faults() -> None:
    assert parse_faults("all") == FAULTS
    assert parse_faults("none") == ()
    assert parse_faults("late, lost") == ("lost", "late")
    with pytest.raises(ValueError, match="missing-bookends, lost, doubled, late"):
        parse_faults("lost,all")


def test_a_run_sends_all_sessions_and_tells_what_was_acknowledged() -> None:
    stub = Stub()
    tally, acknowledged = play(PLAN, stub)
    assert tally.sessions_done == 30
    assert tally.events_sent == tally.events_accepted == sum(count for _, count in acknowledged)
    assert not tally.is_cut_short
    assert {sid for sid, _ in acknowledged} >= {f"s{number}" for number in range(1, 5)}
    sent = [len(session(number, Random(f"7/{number}")).sent) for number in range(30)]
    assert tally.events_sent == sum(sent)


def test_one_sessions_events_keep_their_order_and_end_at_the_present() -> None:
    stub = Stub()
    play(PLAN._replace(sessions=5), stub)
    for bodies in stub.events.values():
        times = [body["playerTime"]["ts"] for body in bodies]
        assert times == sorted(times)


def test_a_start_is_tried_again_when_the_collector_is_busy_or_away() -> None:
    stub = Stub(503, NO_ANSWER)
    tally, _ = play(PLAN._replace(sessions=1), stub)
    assert tally.statuses[503] == tally.statuses[NO_ANSWER] == 1
    assert tally.sessions_opened == 1
    assert len(stub.opened) == 3


def test_a_start_is_given_up_after_some_attempts_or_a_refusal() -> None:
    stub = Stub(always=503)
    tally, acknowledged = play(PLAN._replace(sessions=1), stub)
    assert (len(stub.opened), tally.sessions_opened, acknowledged) == (OPEN_ATTEMPTS, 0, [])
    stub = Stub(always=400)
    tally, _ = play(PLAN._replace(sessions=1), stub)
    assert len(stub.opened) == 1
    assert tally.messages == {"400: not today": 1}


def test_a_player_whose_session_is_gone_stops() -> None:
    stub = Stub(201, 410)
    tally, _ = play(PLAN._replace(sessions=1), stub)
    assert tally.statuses == {201: 1, 410: 1}


def test_time_is_bounded() -> None:
    tally, _ = play(PLAN._replace(sessions=3, speed=1, duration_s=0.05), Stub())
    assert tally.is_cut_short


def test_latencies_are_kept_by_two_digits() -> None:
    latencies = Latencies()
    assert latencies.percentile_ms(0.5) is None
    for milliseconds in range(1, 101):
        latencies.add(milliseconds / 1000)
    assert latencies.percentile_ms(0.5) == 50
    assert latencies.percentile_ms(0.99) == 99
    assert latencies.percentile_ms(1.0) == 100
