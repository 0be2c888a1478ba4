"""The publishing side of a log in Kafka, whatever the client: nothing waits or polls per request.

On the record's way: `app` -> here -> a client's producer -> Kafka. `send` only puts a record into
the producer's buffer; the client tells of its fate, and one wake-up of the loop serves all that
were told meanwhile. 2xx rests on the acknowledgement of all in-sync replicas. A producer that
cannot go on is replaced. Imports `models` and its neighbours only.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import structlog

from ingest.in_flight import RETRY_AFTER_S, InFlight
from ingest.kafka_client import (
    CLOSED_WITHIN_S,
    GIVEN_UP_AFTER_S,
    Brokers,
    BrokersAwayError,
    Producer,
    UndeliveredError,
)
from ingest.publisher import PublishError
from models.kafka_log import KafkaLog
from models.placement import Placement

_PROBE_INTERVAL_S: Final = 0.5

T = TypeVar("T")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KafkaBounds:
    """What may be in flight, and how long a request waits. A record is given up after
    `GIVEN_UP_AFTER_S`."""

    records_max: int = 10_000
    bytes_max: int = 64 * 1024 * 1024
    deadline_s: float = 5.0


class _Entry:
    """A record in flight, of whose fate the client tells, on any thread."""

    __slots__ = ("_publisher", "answer", "producer", "size")

    def __init__(
        self,
        publisher: "KafkaPublisher",
        producer: Producer,
        size: int,
        answer: asyncio.Future[None],
    ) -> None:
        self._publisher = publisher
        self.producer = producer
        self.size = size
        self.answer = answer

    def told(self, fault: UndeliveredError | None) -> None:
        self._publisher.told(self, fault)


class KafkaPublisher:
    """`Publisher` over a topic in Kafka."""

    def __init__(
        self,
        log: KafkaLog,
        placement: Placement,
        brokers: Brokers,
        bounds: KafkaBounds | None = None,
    ) -> None:
        self._kafka = log
        self._placement = placement
        self._brokers = brokers
        self._bounds = bounds or KafkaBounds()
        self._loop: asyncio.AbstractEventLoop
        self._in_flight: InFlight
        self._producer: Producer | None = None
        self._fault = "not started"
        self._troubled: asyncio.Event
        self._watching: asyncio.Task[None]
        # Shared with the client's threads; both operations on each are atomic.
        self._answers: deque[tuple[_Entry, UndeliveredError | None]] = deque()
        self._is_armed = False

    async def start(self) -> None:
        """Connects. A Kafka that is away, or without the topic, is told by `reason_not_ready`, and
        tried again until it is there."""
        bounds = self._bounds
        self._loop = asyncio.get_running_loop()
        self._in_flight = InFlight(
            bounds.records_max, bounds.bytes_max, bounds.deadline_s, self._late
        )
        self._troubled = asyncio.Event()
        self._set_fault(await self._mend())
        self._watching = self._loop.create_task(self._watch())

    def is_ready(self) -> bool:
        return not self._fault

    def reason_not_ready(self) -> str:
        return self._fault

    @property
    def records_in_flight(self) -> int:
        return self._in_flight.records

    @property
    def bytes_in_flight(self) -> int:
        return self._in_flight.bytes

    async def publish(self, session_id: str, value: bytes) -> None:
        producer = self._producer
        if producer is None:
            raise PublishError("log_away", self._fault, RETRY_AFTER_S)
        size, answer = self._in_flight.take(value)
        entry = _Entry(self, producer, size, answer)
        try:
            producer.send(session_id, value, self._placement.of(session_id), entry.told)
        except UndeliveredError as fault:
            self._settle(entry, fault)
        await answer

    async def stop(self) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        if self._producer is not None:
            await self._in_thread(self._producer.close)
            self._producer = None
        await self._in_flight.until_empty(CLOSED_WITHIN_S)
        self._in_flight.close()
        self._fault = "stopped"

    # --- answers --------------------------------------------------------------------------------

    def told(self, entry: _Entry, fault: UndeliveredError | None) -> None:
        """On any thread. A wake-up of the loop costs: one is under way at most."""
        self._answers.append((entry, fault))
        if not self._is_armed:
            self._is_armed = True
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._is_armed = False
        answers = self._answers
        while answers:
            self._settle(*answers.popleft())

    def _settle(self, entry: _Entry, fault: UndeliveredError | None) -> None:
        is_current = entry.producer is self._producer
        if fault is None:
            self._in_flight.give_back(entry.size, entry.answer, None)
            if self._fault and is_current:
                self._set_fault("")
            return
        refusal = PublishError("log_away", fault.reason, RETRY_AFTER_S)
        self._in_flight.give_back(entry.size, entry.answer, refusal)
        if is_current:
            self._set_fault(fault.reason)
            if fault.is_spent:
                self._drop_producer()

    def _drop_producer(self) -> None:
        """A new one is made once the brokers answer."""
        failed, self._producer = self._producer, None
        if failed is not None:
            self._loop.run_in_executor(None, failed.abort)

    def _late(self) -> str:
        self._set_fault("the brokers do not answer in time")
        return self._fault

    def _set_fault(self, fault: str) -> None:
        """A change is one line in the log."""
        if bool(fault) != bool(self._fault) or self._fault == "not started":
            if fault:
                _log.warning("log_away", log=str(self._kafka), reason=fault)
            else:
                _log.info("log_answers", log=str(self._kafka))
        self._fault = fault
        if fault:
            self._troubled.set()

    # --- coming back ----------------------------------------------------------------------------

    async def _watch(self) -> None:
        """While something is wrong: looks now and then whether it still is."""
        while True:
            await self._troubled.wait()
            await asyncio.sleep(_PROBE_INTERVAL_S)
            if self._in_flight.oldest_s() > GIVEN_UP_AFTER_S:
                self._set_fault("Kafka: records were not delivered in time")
                self._drop_producer()
            fault = await self._mend()
            if not fault:
                self._troubled.clear()
            self._set_fault(fault)

    async def _mend(self) -> str:
        """Asks for the topic, and makes the producer if there is none. What is wrong, or empty."""
        try:
            fault = self._fault_of(await self._in_thread(self._brokers.leaders))
            if fault:
                return fault
            if self._producer is None:
                connect = partial(self._brokers.connect, self._placement.partitions)
                self._producer = await self._in_thread(connect)
            else:
                await self._in_thread(self._producer.probe)
        except BrokersAwayError as error:
            return error.reason
        return ""

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(None, work)

    def _fault_of(self, leaders: Sequence[bool]) -> str:
        topic, wanted = self._kafka.topic, self._placement.partitions
        if not leaders:
            return f"there is no topic {topic}; run `bookended migrate`"
        if len(leaders) < wanted:
            return f"topic {topic} has {len(leaders)} partitions, the settings say {wanted}"
        return "" if all(leaders) else "a partition has no leader"
