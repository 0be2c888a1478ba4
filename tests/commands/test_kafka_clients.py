"""Which client library a log in Kafka is used by."""

import sys

import pytest

from commands.errors import Failure
from commands.kafka_clients import check_client, closes_reader, closes_sink, kafka_publisher
from models.kafka_log import KafkaLog
from models.placement import Placement, parse_partition_counts

LOG = KafkaLog(("127.0.0.1:9",), client="librdkafka")
ONE = Placement(parse_partition_counts("1"))


def test_a_client_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if "librdkafka" in name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    for use in (
        check_client,
        closes_reader,
        closes_sink,
        lambda log: kafka_publisher(log, ONE),
    ):
        with pytest.raises(Failure, match=r"Install it: pip install 'bookended\[librdkafka\]'\.$"):
            use(LOG)
        use(LOG._replace(client="kafka-python"))


def test_a_fault_of_our_own_is_no_missing_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ingest.librdkafka", None)
    with pytest.raises(ModuleNotFoundError):
        kafka_publisher(LOG, ONE)
