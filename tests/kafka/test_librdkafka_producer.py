"""The producer on librdkafka gives a partition's records to the client in batches of its own."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Producer as Client

from deploy.local import LocalKafka
from ingest.kafka_client import UndeliveredError
from ingest.librdkafka import LibrdkafkaProducer
from tests.kafka.broker import all_records, new_topic

SESSION = "a" * 64


class CountingClient:
    """The real client; says which records were given to it."""

    def __init__(self, servers: str) -> None:
        self._client = Client({"bootstrap.servers": servers, "enable.idempotence": True})
        self.given: list[bytes] = []

    def produce(self, topic: str, value: bytes, *rest: Any) -> None:
        self.given.append(value)
        self._client.produce(topic, value, *rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def __len__(self) -> int:
        return len(self._client)


@pytest.fixture
def frozen(broker: LocalKafka) -> Iterator[Callable[[bool], None]]:
    """Stops the broker, or lets it go on; in the end it goes on."""
    process = broker.process()
    assert process is not None

    def freeze(is_frozen: bool) -> None:
        process.send_signal(signal.SIGSTOP if is_frozen else signal.SIGCONT)

    yield freeze
    freeze(False)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come")


def with_producer(
    broker: LocalKafka,
    use: Callable[[LibrdkafkaProducer, CountingClient, list[Any]], Awaitable[None]],
) -> list[bytes]:
    """Values in the log after `use`; the list that it gets has the fates that were told."""
    log = new_topic(broker.bootstrap)
    fates: list[Any] = []

    async def main() -> None:
        client = CountingClient(broker.bootstrap)
        await use(LibrdkafkaProducer(client, log.topic, 1), client, fates)  # type: ignore[arg-type]

    asyncio.run(main())
    return [record.value for record in all_records(log)]


def send(producer: LibrdkafkaProducer, fates: list[Any], *values: bytes) -> None:
    for value in values:
        producer.send(SESSION, value, 0, fates.append)


def test_records_wait_for_the_answer_to_those_before_them(
    broker: LocalKafka, frozen: Callable[[bool], None]
) -> None:
    """librdkafka's thread would ask without a pause whether it may send them."""

    async def use(producer: LibrdkafkaProducer, client: CountingClient, fates: list[Any]) -> None:
        frozen(True)
        send(producer, fates, b"1", b"2")
        await until(lambda: client.given == [b"1", b"2"])
        send(producer, fates, b"3", b"4")
        await asyncio.sleep(0.2)
        assert client.given == [b"1", b"2"]
        frozen(False)
        await until(lambda: len(fates) == 4)
        assert client.given == [b"1", b"2", b"3", b"4"]
        await asyncio.to_thread(producer.close)
        assert fates == [None] * 4

    assert with_producer(broker, use) == [b"1", b"2", b"3", b"4"]


def test_closing_sends_what_waits(broker: LocalKafka, frozen: Callable[[bool], None]) -> None:
    async def use(producer: LibrdkafkaProducer, client: CountingClient, fates: list[Any]) -> None:
        frozen(True)
        send(producer, fates, b"1")
        await until(lambda: client.given == [b"1"])
        send(producer, fates, b"2", b"3")
        closing = asyncio.create_task(asyncio.to_thread(producer.close))
        await until(lambda: client.given == [b"1", b"2", b"3"])
        frozen(False)
        await closing
        assert fates == [None] * 3

    assert with_producer(broker, use) == [b"1", b"2", b"3"]


def test_given_up_it_answers_for_what_waits(
    broker: LocalKafka, frozen: Callable[[bool], None]
) -> None:
    async def use(producer: LibrdkafkaProducer, client: CountingClient, fates: list[Any]) -> None:
        frozen(True)
        send(producer, fates, b"1")
        await until(lambda: client.given == [b"1"])
        send(producer, fates, b"2", b"3")
        await asyncio.to_thread(producer.abort)
        assert len(fates) == 3
        assert all(isinstance(fate, UndeliveredError) for fate in fates)
        with pytest.raises(UndeliveredError):
            send(producer, fates, b"4")
        frozen(False)

    assert set(with_producer(broker, use)) <= {b"1"}
