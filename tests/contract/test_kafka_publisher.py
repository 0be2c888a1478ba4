"""A topic in Kafka as a publisher: the contract against a real broker, and what is its own."""

import asyncio
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local import LocalKafka
from ingest.kafka_publisher import KafkaBounds, KafkaPublisher
from ingest.publisher import Publisher
from models.kafka_log import KafkaLog
from models.placement import PartitionCount, Placement
from tests.contract.publisher_contract import (
    SESSION,
    PublishedLog,
    PublisherContract,
    fails,
    until_ready,
    with_publisher,
)
from tests.kafka.broker import all_records, collect_sockets, new_topic

ONE = (PartitionCount(0, 1),)


class Topic:
    """A topic of one partition; the broker frozen stands for it being away."""

    def __init__(self, broker: LocalKafka, log: KafkaLog) -> None:
        self.broker = broker
        self.log = log
        self._frozen = False

    def publisher(self, **bounds: Any) -> KafkaPublisher:
        return KafkaPublisher(self.log, Placement(ONE), KafkaBounds(**bounds))

    def read(self) -> list[tuple[str, bytes]]:
        """Without what was refused: Kafka may get it all the same, and the client was told so."""
        records = [(record.key.decode(), record.value) for record in all_records(self.log)]
        return [record for record in records if record[1] != b"refused"]

    def received_at(self) -> list[int]:
        return [record.timestamp for record in all_records(self.log)]

    def set_clock(self, now_ms: int) -> None:
        """The broker's clock is the machine's."""

    def stop_answering(self) -> None:
        self._signal(signal.SIGSTOP)
        self._frozen = True

    def answer_again(self) -> None:
        if self._frozen:
            self._frozen = False
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        process = self.broker.process()
        assert process is not None
        process.send_signal(number)


@pytest.fixture
def topic(broker: LocalKafka) -> Iterator[Topic]:
    made = Topic(broker, new_topic(broker.bootstrap))
    yield made
    made.answer_again()
    collect_sockets()


class TestKafkaPublisher(PublisherContract):
    """The contract on kafka-python and a real broker."""

    @pytest.fixture
    def log(self, topic: Topic) -> PublishedLog:
        return topic

    def test_arrival_times_never_run_backwards(self, log: PublishedLog) -> None:
        """They are the broker's own; a test cannot set its clock back."""

        async def use(publisher: Publisher) -> None:
            for _ in range(20):
                await publisher.publish(SESSION, b"x")

        with_publisher(log, use)
        times = log.received_at()
        assert times == sorted(times)
        assert len(times) == 20


def test_the_broker_killed_and_started_again(topic: Topic) -> None:
    """What was acknowledged is there; the publisher comes back by itself."""
    acknowledged: list[bytes] = []

    async def keep_publishing(publisher: Publisher, count: int, first: int) -> None:
        for number in range(first, first + count):
            await publisher.publish(SESSION, b"%d" % number)
            acknowledged.append(b"%d" % number)

    async def use(publisher: Publisher) -> None:
        await keep_publishing(publisher, 100, 0)
        topic.broker.kill()
        assert (await fails(publisher)).cause in ("log_timeout", "log_away")
        assert not publisher.is_ready()
        await asyncio.to_thread(topic.broker.start)
        await until_ready(publisher)
        await keep_publishing(publisher, 100, 100)

    with_publisher(topic, use, deadline_s=1.0)
    found = [value for _, value in topic.read()]
    assert found == acknowledged
    assert len(found) == 200
