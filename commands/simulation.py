"""Plays an audience over HTTP: who starts when, what each player does with an answer.

Before the record's way: the engine of `simulate`. Bounded in sessions, time and requests at a time.
Imports `audience`, `faults`, `http_client`, `latency`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple

from commands.audience import Session, session
from commands.faults import Fault, spoil
from commands.http_client import NO_ANSWER, Answer, CollectorClient
from commands.latency import Latencies
from commands.players import Sent

OPEN_ATTEMPTS: Final = 4
OPEN_WAIT_S: Final = 0.5
PLAYERS_MAX: Final = 5_000
GONE: Final = (404, 410)
Acknowledged = Callable[[str, list[dict[str, Any]]], None]


class Plan(NamedTuple):
    """What is to be played. `rate`: events a second over all; `speed`: of the players' clocks."""

    sessions: int
    rate: float
    speed: float
    faults: tuple[Fault, ...]
    seed: int
    duration_s: float


@dataclass(slots=True)
class Tally:
    """What has happened so far."""

    sessions_done: int = 0
    sessions_opened: int = 0
    events_sent: int = 0
    events_accepted: int = 0
    is_cut_short: bool = False
    statuses: Counter[int] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    latencies: Latencies = field(default_factory=Latencies)
    elapsed_s: float = 0.0

    def add(self, answer: Answer, events: int) -> None:
        self.statuses[answer.status] += 1
        self.events_sent += events
        if answer.status != NO_ANSWER:
            self.latencies.add(answer.latency_s)
        if answer.is_accepted:
            self.events_accepted += events
        elif answer.message and len(self.messages) < 20:
            self.messages[f"{answer.status or 'no answer'}: {answer.message}"[:200]] += 1


class Simulation:
    """One run of a plan against one collector. `acknowledged` is told each accepted request."""

    def __init__(
        self, plan: Plan, client: CollectorClient, acknowledged: Acknowledged | None = None
    ) -> None:
        self._plan = plan
        self._client = client
        self._acknowledged = acknowledged
        self.tally = Tally()

    async def run(self) -> Tally:
        """Plays until all sessions are over or the time is. Cancelling ends it cleanly."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._plan.duration_s):
                await self._play_all()
        except TimeoutError:
            self.tally.is_cut_short = True
        finally:
            self.tally.elapsed_s = time.monotonic() - began
        return self.tally

    async def _play_all(self) -> None:
        """Starts players so that, once under way, about `rate` events a second are due."""
        places = asyncio.Semaphore(PLAYERS_MAX)
        began, events_before = time.monotonic(), 0
        async with asyncio.TaskGroup() as players:
            for number in range(self._plan.sessions):
                chance = Random(f"{self._plan.seed}/{number}")  # noqa: S311 - must repeat
                viewer = session(number, chance)
                sent, struck = spoil(viewer.sent, self._plan.faults, self._plan.speed, chance)
                await _until(began + events_before / self._plan.rate)
                events_before += len(sent)
                self.tally.struck += struck
                await places.acquire()
                task = players.create_task(self._play(viewer, sent))
                task.add_done_callback(lambda _: places.release())

    async def _play(self, viewer: Session, sent: list[Sent]) -> None:
        if viewer.offline:
            await self._play_offline(viewer)
        else:
            await self._play_online(viewer, sent)
        self.tally.sessions_done += 1

    async def _play_offline(self, viewer: Session) -> None:
        start_ts = _now_ms() - viewer.duration_ms
        bodies = [_shifted(item, start_ts) for item in viewer.sent]
        answer = await self._client.downloaded(bodies)
        self._note(answer, answer.location, bodies)

    async def _play_online(self, viewer: Session, sent: list[Sent]) -> None:
        """The player's clock is set so that it shows the real time when the session ends."""
        speed = self._plan.speed
        start_ts = _now_ms() - round(viewer.duration_ms * (1 - 1 / speed))
        began = time.monotonic()
        location = await self._open(_shifted(sent[0], start_ts))
        if not location:
            return
        self.tally.sessions_opened += 1
        for item in sent[1:]:
            await _until(began + item.at_ms / 1000 / speed)
            body = _shifted(item, start_ts)
            answer = await self._client.event(location, body)
            self._note(answer, location, [body])
            if answer.status in GONE:
                return

    async def _open(self, body: dict[str, Any]) -> str:
        """The session's `Location`; empty when the collector did not open it."""
        for attempt in range(OPEN_ATTEMPTS):
            answer = await self._client.open(body)
            self._note(answer, answer.location, [body])
            if answer.is_accepted:
                return answer.location
            if answer.status not in (NO_ANSWER, 503):
                return ""
            await asyncio.sleep(answer.retry_after_s or OPEN_WAIT_S * 2**attempt)
        return ""

    def _note(self, answer: Answer, location: str, bodies: list[dict[str, Any]]) -> None:
        self.tally.add(answer, len(bodies))
        if answer.is_accepted and self._acknowledged is not None:
            self._acknowledged(location.rsplit("/", 1)[-1], bodies)


def _shifted(item: Sent, start_ts: int) -> dict[str, Any]:
    player_time = item.body["playerTime"]
    return item.body | {"playerTime": player_time | {"ts": player_time["ts"] + start_ts}}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
