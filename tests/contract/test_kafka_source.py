"""A topic in Kafka as a source on kafka-python: the contract, and what is this client's own."""

import pytest

from models.kafka_log import KafkaLog
from processor.group import Membership
from processor.kafka_source import KafkaSource
from processor.source import LogAwayError, Source
from tests.contract.kafka_source_contract import KafkaSourceContract


class TestKafkaSource(KafkaSourceContract):
    """The contract on kafka-python and a real broker."""

    def make(self, log: KafkaLog, membership: Membership) -> Source:
        return KafkaSource(log, membership)


def test_a_broker_that_is_not_there_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processor.kafka_source._ASKED_WITHIN_MS", 300)
    with pytest.raises(LogAwayError, match=r"kafka://127\.0\.0\.1:9/x"):
        KafkaSource(KafkaLog(("127.0.0.1:9",), "x"))
