"""The publishing side of a log in Kafka, on kafka-python: nothing here waits or polls per request.

On the record's way: `app` -> here -> Kafka. `send` only puts a record into the producer's buffer;
the producer's thread tells of its fate, and one wake-up of the loop serves all that were told
meanwhile. 2xx rests on the acknowledgement of all in-sync replicas. After a failed delivery the
producer is replaced. Imports `models` and its neighbours only.
"""

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

import structlog
from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from ingest.in_flight import RETRY_AFTER_S, InFlight
from ingest.publisher import PublishError
from models.kafka_log import REQUEST_BYTES_MAX, KafkaLog
from models.placement import Placement

DELIVERY_TIMEOUT_MS: Final = 10_000
REQUEST_TIMEOUT_MS: Final = 5_000
_PROBE_INTERVAL_S: Final = 0.5
_PROBE_TIMEOUT_MS: Final = 3_000
_CLOSED_WITHIN_S: Final = (DELIVERY_TIMEOUT_MS + REQUEST_TIMEOUT_MS) / 1000
_METADATA_ASKED_EVERY_S: Final = 0.02
_STUCK_AFTER_S: Final = DELIVERY_TIMEOUT_MS / 1000 + 2

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KafkaBounds:
    """What may be in flight, and how long a request waits. Kafka itself gives a record up after
    `DELIVERY_TIMEOUT_MS`."""

    records_max: int = 10_000
    bytes_max: int = 64 * 1024 * 1024
    deadline_s: float = 5.0


class _Entry:
    """A record in flight, as the producer's thread tells of it."""

    __slots__ = ("_publisher", "answer", "producer", "size")

    def __init__(
        self,
        publisher: "KafkaPublisher",
        producer: KafkaProducer,
        size: int,
        answer: asyncio.Future[None],
    ) -> None:
        self._publisher = publisher
        self.producer = producer
        self.size = size
        self.answer = answer

    def acknowledged(self, _: object) -> None:
        self._publisher.told(self, None)

    def refused(self, error: BaseException) -> None:
        self._publisher.told(self, error)


class KafkaPublisher:
    """`Publisher` over a topic in Kafka."""

    def __init__(
        self, log: KafkaLog, placement: Placement, bounds: KafkaBounds | None = None
    ) -> None:
        self._kafka = log
        self._placement = placement
        self._bounds = bounds or KafkaBounds()
        self._loop: asyncio.AbstractEventLoop
        self._in_flight: InFlight
        self._producer: KafkaProducer | None = None
        self._fault = "not started"
        self._troubled: asyncio.Event
        self._watching: asyncio.Task[None]
        # Shared with the producer's thread; both operations on each are atomic.
        self._answers: deque[tuple[_Entry, BaseException | None]] = deque()
        self._is_armed = False
        self._settled = 0

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
            sent = producer.send(
                self._kafka.topic,
                value,
                session_id.encode(),
                partition=self._placement.of(session_id),
            )
        # ValueError: the topic has no such partition (any more). TypeError: kafka-python's own
        # slip where the brokers refuse to tell of the topic.
        except (KafkaError, ValueError, TypeError) as error:
            self._settle(entry, error)
        else:
            sent.add_callback(entry.acknowledged)
            sent.add_errback(entry.refused)
        await answer

    async def stop(self) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        if self._producer is not None:
            await self._loop.run_in_executor(None, _close, self._producer)
            self._producer = None
        await self._in_flight.until_empty(_CLOSED_WITHIN_S)
        self._in_flight.close()
        self._fault = "stopped"

    # --- answers --------------------------------------------------------------------------------

    def told(self, entry: _Entry, error: BaseException | None) -> None:
        """On the producer's thread. A wake-up of the loop costs: one is under way at most."""
        self._answers.append((entry, error))
        if not self._is_armed:
            self._is_armed = True
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._is_armed = False
        answers = self._answers
        while answers:
            self._settle(*answers.popleft())

    def _settle(self, entry: _Entry, error: BaseException | None) -> None:
        self._settled += 1
        is_current = entry.producer is self._producer
        if error is None:
            self._in_flight.give_back(entry.size, entry.answer, None)
            if self._fault and is_current:
                self._set_fault("")
            return
        reason = _reason(error)
        refusal = PublishError("log_away", reason, RETRY_AFTER_S)
        self._in_flight.give_back(entry.size, entry.answer, refusal)
        if is_current:
            self._drop_producer(reason)

    def _drop_producer(self, reason: str) -> None:
        """kafka-python's idempotent producer never sends again after a batch that it had sent ran
        out of time: whatever the failure, a new producer is made once the brokers answer."""
        failed, self._producer = self._producer, None
        if failed is not None:
            _abort(failed)
        self._set_fault(reason)

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
        settled, since = self._settled, self._loop.time()
        while True:
            await self._troubled.wait()
            await asyncio.sleep(_PROBE_INTERVAL_S)
            if self._settled != settled or not self._in_flight.records:
                settled, since = self._settled, self._loop.time()
            elif self._loop.time() - since > _STUCK_AFTER_S:
                self._drop_producer("Kafka: the producer hangs")
            fault = await self._mend()
            if not fault:
                self._troubled.clear()
            self._set_fault(fault)

    async def _mend(self) -> str:
        """Asks for the topic, and makes the producer if there is none. What is wrong, or empty."""
        fault = await self._loop.run_in_executor(None, self._look)
        if fault or self._producer is not None:
            return fault
        try:
            self._producer = await self._loop.run_in_executor(None, self._connect)
        except KafkaError as error:
            return _reason(error)
        return ""

    def _look(self) -> str:
        """In a thread: whether the brokers answer, and have the topic with all its partitions."""
        try:
            admin = KafkaAdminClient(**_connection(self._kafka, _PROBE_TIMEOUT_MS))
            try:
                (topic,) = admin.describe_topics([self._kafka.topic])
            finally:
                admin.close()
        except KafkaError as error:
            return _reason(error)
        partitions = topic["partitions"]
        if topic["error_code"] or not partitions:
            return f"there is no topic {self._kafka.topic}; run `bookended migrate`"
        if len(partitions) < self._placement.partitions:
            return (
                f"topic {self._kafka.topic} has {len(partitions)} partitions, the settings say "
                f"{self._placement.partitions}"
            )
        if any(partition["leader_id"] < 0 for partition in partitions):
            return "a partition has no leader"
        return ""

    def _connect(self) -> KafkaProducer:
        """In a thread: a producer that knows the topic, so that no `send` need wait for it."""
        producer = KafkaProducer(
            **_connection(self._kafka, REQUEST_TIMEOUT_MS),
            acks="all",
            enable_idempotence=True,
            delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
            max_block_ms=0,
            max_request_size=REQUEST_BYTES_MAX,
            batch_size=256 * 1024,
            compression_type="gzip",
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
        deadline = time.monotonic() + REQUEST_TIMEOUT_MS / 1000
        while True:
            try:
                if len(producer.partitions_for(self._kafka.topic)) >= self._placement.partitions:
                    return producer
            except KafkaTimeoutError:
                pass
            except KafkaError:
                _close(producer)
                raise
            if time.monotonic() > deadline:
                _close(producer)
                raise KafkaTimeoutError("the brokers do not tell the topic's partitions")
            time.sleep(_METADATA_ASKED_EVERY_S)


def _connection(log: KafkaLog, timeout_ms: int) -> dict[str, Any]:
    return {
        "bootstrap_servers": list(log.servers),
        "client_id": "bookended-collector",
        "bootstrap_timeout_ms": _PROBE_TIMEOUT_MS,
        "request_timeout_ms": timeout_ms,
        "reconnect_backoff_max_ms": 1_000,
    }


def _close(producer: KafkaProducer) -> None:
    """In a thread: waits until every record is answered for, as long as that can take."""
    try:
        producer.close(timeout=_CLOSED_WITHIN_S)
    except KafkaError:
        _abort(producer)


def _abort(producer: KafkaProducer) -> None:
    """Ends the producer's thread, which then answers for all that it still has: not delivered.

    There is no public way: `close` first waits for those records.
    """
    producer._sender.force_close()  # noqa: SLF001


def _reason(error: BaseException) -> str:
    """One line. kafka-python puts the name of the class before its text."""
    text = " ".join(str(error).split()) or type(error).__name__
    return f"Kafka: {text[:200]}"
