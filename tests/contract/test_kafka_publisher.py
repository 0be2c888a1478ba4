"""A topic in Kafka as a publisher, by each client: the contract against a real broker, and more."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

import psutil
import pytest

from commands.kafka_clients import kafka_publisher
from deploy.local import LocalKafka
from ingest.kafka_client import GIVEN_UP_AFTER_S
from ingest.kafka_publisher import KafkaBounds, KafkaPublisher
from ingest.publisher import Publisher
from models.kafka_log import Client, KafkaLog
from models.placement import PartitionCount, Placement
from tests.commands.processes import PATIENCE_S
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
        return kafka_publisher(self.log, Placement(ONE), KafkaBounds(**bounds))

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
        deadline = time.monotonic() + PATIENCE_S
        # One thread takes the signal and stops the others; until then they go on and answer.
        while self._process().status() != psutil.STATUS_STOPPED:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def answer_again(self) -> None:
        if self._frozen:
            self._frozen = False
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        self._process().send_signal(number)

    def _process(self) -> psutil.Process:
        process = self.broker.process()
        assert process is not None
        return process


class KafkaPublisherContract(PublisherContract):
    """Subclasses name the client."""

    client: ClassVar[Client]

    @pytest.fixture
    def topic(self, broker: LocalKafka) -> Iterator[Topic]:
        made = Topic(broker, new_topic(broker.bootstrap)._replace(client=self.client))
        yield made
        made.answer_again()
        collect_sockets()

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

    def test_the_broker_killed_and_started_again(self, topic: Topic) -> None:
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

        with_publisher(topic, use, deadline_s=5.0)
        found = [value for _, value in topic.read()]
        assert found == acknowledged
        assert len(found) == 200

    def test_a_broker_that_is_away_for_long_doubles_nothing(self, topic: Topic) -> None:
        """What was on its way is given up, and nobody knows what became of it; of what came behind
        it nothing may be written twice, though the broker comes back at this very moment."""
        log = new_topic(topic.broker.bootstrap, 4)._replace(client=self.client)

        async def publish_for(publisher: Publisher, duration_s: float) -> None:
            loop = asyncio.get_running_loop()
            calls: list[asyncio.Future[None]] = []
            end = loop.time() + duration_s
            while loop.time() < end:
                number = len(calls)
                call = publisher.publish(f"{number % 20:064x}", b"%d" % number)
                calls.append(asyncio.ensure_future(call))
                await asyncio.sleep(0.005)
            await asyncio.gather(*calls, return_exceptions=True)

        async def main() -> None:
            bounds = KafkaBounds(deadline_s=2.0)
            publisher = kafka_publisher(log, Placement((PartitionCount(0, 4),)), bounds)
            await publisher.start()
            publishing = asyncio.ensure_future(publish_for(publisher, GIVEN_UP_AFTER_S + 3))
            await asyncio.sleep(1)
            topic.stop_answering()
            await asyncio.sleep(GIVEN_UP_AFTER_S - 0.5)
            topic.answer_again()
            await publishing
            await publisher.stop()

        asyncio.run(main())
        found = Counter(record.value for record in all_records(log))
        assert [value for value, count in found.items() if count > 1] == []
        assert len(found) > 100

    def test_a_record_goes_to_the_partition_of_its_session(self, broker: LocalKafka) -> None:
        """That of Kafka's default partitioner, for every session."""
        log = new_topic(broker.bootstrap, 4)._replace(client=self.client)
        placement = Placement((PartitionCount(0, 4),))
        sessions = [f"{number:064x}" for number in range(20)]

        async def main() -> None:
            publisher = kafka_publisher(log, placement)
            await publisher.start()
            await asyncio.gather(*(publisher.publish(session, b"x") for session in sessions))
            await publisher.stop()

        asyncio.run(main())
        found = {record.key.decode(): record.partition for record in all_records(log)}
        assert found == {session: placement.of(session) for session in sessions}
        assert set(found.values()) == {0, 1, 2, 3}

    @pytest.mark.parametrize(
        ("partitions", "reason"), [(0, "there is no topic"), (1, "has 1 partitions")]
    )
    def test_a_topic_that_does_not_do_is_told(
        self, broker: LocalKafka, partitions: int, reason: str
    ) -> None:
        log = new_topic(broker.bootstrap, max(1, partitions))._replace(client=self.client)
        if not partitions:
            log = log._replace(topic="nowhere")

        async def main() -> None:
            publisher = kafka_publisher(log, Placement((PartitionCount(0, 2),)))
            await publisher.start()
            assert reason in publisher.reason_not_ready()
            assert (await fails(publisher)).cause == "log_away"
            await publisher.stop()

        asyncio.run(main())


class TestOnKafkaPython(KafkaPublisherContract):
    """kafka-python."""

    client = "kafka-python"


class TestOnLibrdkafka(KafkaPublisherContract):
    """librdkafka."""

    client = "librdkafka"
