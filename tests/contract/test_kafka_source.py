"""A topic in Kafka as a source on kafka-python: the contract, and what is this client's own."""

import contextlib
import time

import pytest
from kafka import KafkaConsumer
from kafka.coordinator.base import MemberState

from deploy.local import LocalKafka
from models.kafka_log import KafkaLog
from processor.group import InstanceTakenError, Membership
from processor.kafka_source import KafkaSource
from processor.source import LogAwayError, Source
from tests.contract.kafka_source_contract import (
    JOINED_WITHIN_S,
    KafkaSourceContract,
    Topic,
    assigned,
    drained,
    small,
)
from tests.contract.source_contract import read


class TestKafkaSource(KafkaSourceContract):
    """The contract on kafka-python and a real broker."""

    def make(self, log: KafkaLog, membership: Membership) -> Source:
        return KafkaSource(log, membership)

    def test_a_member_whose_rebalance_was_lost_joins_anew(self, topic: Topic) -> None:
        """Such a member neither joins nor has what it had: kafka-python forgets that it was to
        join, if that was not done within one poll."""
        first = topic.append(b"one", 1)
        source = topic.join(small("lost"), [0])
        source.seek(0, first)
        assert isinstance(source, KafkaSource)
        lost = source._consumer._coordinator
        lost.state, lost.need_rejoin = MemberState.UNJOINED, lambda: False
        deadline = time.monotonic() + JOINED_WITHIN_S
        while list(source.gone()) != [0]:
            assert time.monotonic() < deadline
            source.poll(0.05, 10)
        assert source._consumer._coordinator is not lost
        assigned(source, [0])
        source.seek(0, first)
        assert [r.value for r in read(source)] == [b"one"]

    def test_a_member_without_heartbeats_was_replaced(self, topic: Topic) -> None:
        """All that kafka-python does when a heartbeat is answered so (the contract's test may meet
        the answer to a join instead, which it does tell)."""
        source = topic.join(small("silent", "same"), [0])
        source.seek(0, 0)
        assert isinstance(source, KafkaSource)
        coordinator = source._consumer._coordinator
        coordinator._enable_heartbeat = coordinator._disable_heartbeat
        coordinator._disable_heartbeat()
        with pytest.raises(InstanceTakenError, match="has joined as instance same"):
            drained(source, 200)

    def test_a_client_that_stumbles_over_its_own_end_is_no_fault(
        self, topic: Topic, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """kafka-python takes itself apart beside its own thread; by then all is written."""
        closed = []

        def close(client: object, **_: object) -> None:
            closed.append(client)
            really_close(client)
            raise AssertionError

        source = topic.join(small("stumbling"), [0])
        assert isinstance(source, KafkaSource)
        really_close = KafkaConsumer.close
        monkeypatch.setattr(KafkaConsumer, "close", close)
        source.close()
        assert closed == [source._consumer]
        assert source._admin._closed

    def test_joining_anew_goes_on_when_the_broker_comes_back(
        self, topic: Topic, broker: LocalKafka, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = topic.join(small("lost-away"), [0])
        assert isinstance(source, KafkaSource)
        lost = source._consumer._coordinator
        lost.state, lost.need_rejoin = MemberState.UNJOINED, lambda: False
        monkeypatch.setattr("processor.kafka_source._ASKED_WITHIN_MS", 300)
        broker.kill()
        with pytest.raises(LogAwayError):
            drained(source, 600)
        broker.start()
        monkeypatch.undo()
        deadline = time.monotonic() + JOINED_WITHIN_S
        while source._consumer._coordinator is lost or list(source.partitions()) != [0]:
            assert time.monotonic() < deadline
            with contextlib.suppress(LogAwayError):
                source.poll(0.05, 10)


def test_a_broker_that_is_not_there_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processor.kafka_source._ASKED_WITHIN_MS", 300)
    with pytest.raises(LogAwayError, match=r"kafka://127\.0\.0\.1:9/x"):
        KafkaSource(KafkaLog(("127.0.0.1:9",), "x"))
