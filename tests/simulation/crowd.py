"""Players of a chaos run, and what they know of every event that they sent.

Only for tests. The engine of `simulate`, but each request goes to a collector drawn by chance, as
behind a load balancer, and one that was not answered, or with 503, is sent again.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import Any, Final

from commands.faults import FAULTS
from commands.http_client import NO_ANSWER, Answer, CollectorClient, client
from commands.simulation import Plan, Simulation
from tests.simulation.log_and_rows import Identity, identity
from tests.simulation.test_crash import event_of

CONNECTIONS: Final = 64
_ATTEMPTS_MAX: Final = 6
_WAIT_S: Final = 0.4
_STOPPED_WITHIN_S: Final = 180.0

Bare = tuple[str, int, int, str]
"""An event without its session: the player may not have been told the id."""


class Fates:
    """What became of the events: acknowledged ones, and those whose fate nobody knows."""

    def __init__(self) -> None:
        self.acknowledged: Counter[Identity] = Counter()
        self.doubtful: Counter[Bare] = Counter()
        self.statuses: Counter[int] = Counter()

    def acknowledge(self, session_id: str, bodies: list[dict[str, Any]]) -> None:
        self.acknowledged.update(identity(session_id, event_of(body)) for body in bodies)

    def doubt(self, bodies: list[dict[str, Any]]) -> None:
        self.doubtful.update(bare(identity("", event_of(body))) for body in bodies)


def bare(known: Identity) -> Bare:
    return known[1:]


class RoamingClient(CollectorClient):
    """A client of several collectors that sends again."""

    def __init__(self, inner: Sequence[CollectorClient], fates: Fates, chance: Random) -> None:
        self._inner = inner
        self._fates = fates
        self._chance = chance

    async def post(self, path: str, body: Any) -> Answer:
        bodies = body if isinstance(body, list) else [body]
        for attempt in range(_ATTEMPTS_MAX):
            answer = await self._try(path, body, bodies)
            if answer.status != NO_ANSWER and answer.status < 500:
                return answer
            await asyncio.sleep(_WAIT_S * (attempt + 1) * self._chance.uniform(0.5, 1.5))
        return answer

    async def _try(self, path: str, body: Any, bodies: list[dict[str, Any]]) -> Answer:
        try:
            answer = await self._chance.choice(self._inner).post(path, body)
        except asyncio.CancelledError:
            self._fates.doubt(bodies)
            raise
        self._fates.statuses[answer.status] += 1
        if answer.status == NO_ANSWER or answer.status >= 500:
            self._fates.doubt(bodies)
        elif answer.is_accepted:
            place = answer.location or path.removesuffix("/events")
            self._fates.acknowledge(place.rsplit("/", 1)[-1], bodies)
        return answer


class Crowd:
    """Players at work in a thread of their own, until they are stopped."""

    def __init__(self, urls: Sequence[str], rate: float, speed: float, seed: int) -> None:
        self.fates = Fates()
        self._urls = urls
        self._plan = Plan(1_000_000, rate, speed, FAULTS, seed, 86_400.0)
        self._loop = asyncio.new_event_loop()
        self._playing: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> Fates:
        """What is known, once the last request is over."""
        if self._playing is not None:
            self._loop.call_soon_threadsafe(self._playing.cancel)
        self._thread.join(_STOPPED_WITHIN_S)
        assert not self._thread.is_alive(), "the players do not stop"
        if self._error is not None:
            raise self._error
        return self.fates

    def _run(self) -> None:
        try:
            self._playing = self._loop.create_task(self._play())
            self._loop.run_until_complete(self._playing)
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - `stop` raises it
            self._error = error
        finally:
            self._loop.close()

    async def _play(self) -> None:
        async with AsyncExitStack() as stack:
            inner = [await stack.enter_async_context(client(u, CONNECTIONS)) for u in self._urls]
            chance = Random(self._plan.seed)
            await Simulation(self._plan, RoamingClient(inner, self.fates, chance)).run()
