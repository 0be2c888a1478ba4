"""Topics are made as they must be, and what is wrong with others is told; on a real broker."""

import uuid

import pytest

from commands import kafka_topics, librdkafka_topics
from commands.errors import Failure
from commands.kafka_topics import migrate_topics
from commands.topics import describe_topic, faults_of_topics
from deploy.local import LocalKafka
from models.kafka_log import Client, KafkaLog
from models.placement import Placement, parse_partition_counts
from tests.kafka.broker import admin

EIGHT = Placement(parse_partition_counts("8"))
GROWN = Placement(parse_partition_counts("8, 12 from 2026-03-01T00:00:00Z"))


each_client = pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])


def fresh(broker: LocalKafka, client: Client) -> KafkaLog:
    return KafkaLog((broker.bootstrap,), f"test-{uuid.uuid4().hex[:12]}", client)


@each_client
def test_topics_are_made_once_and_grow(broker: LocalKafka, client: Client) -> None:
    log = fresh(broker, client)
    assert faults_of_topics(log, EIGHT) == [
        f"there is no topic {name}; run `bookended migrate`"
        for name in (log.topic, log.closes_topic)
    ]
    assert migrate_topics(log, EIGHT, None) == [
        f"topic {log.topic}: made with 8 partitions, 1 replicas",
        f"topic {log.closes_topic}: made with 1 partitions, 1 replicas",
    ]
    assert faults_of_topics(log, EIGHT) == []
    assert describe_topic(log).settings["retention.ms"] == "-1"
    (fault,) = faults_of_topics(log, GROWN)
    assert "has 8 partitions, --partitions says 12" in fault
    assert migrate_topics(log, GROWN, None)[0].endswith("from 8 to 12 partitions")
    assert faults_of_topics(log, GROWN) == []
    assert migrate_topics(log, EIGHT, None)[0].endswith("already there with 12 partitions")


@each_client
def test_all_that_is_wrong_is_told_at_once(broker: LocalKafka, client: Client) -> None:
    log = fresh(broker, client)
    wrong = {
        "message.timestamp.type": "CreateTime",
        "max.message.bytes": "1000000",
        "cleanup.policy": "compact,delete",
        "retention.ms": "3600000",
        "min.insync.replicas": "2",
    }
    with admin(broker.bootstrap) as made:
        made.create_topics(
            {
                log.topic: {"num_partitions": 2, "replication_factor": 1, "configs": wrong},
                log.closes_topic: {"num_partitions": 1, "replication_factor": 1},
            },
            wait_for_metadata=True,
        )
    told = "\n".join(faults_of_topics(log, EIGHT))
    for name in (*wrong, "partitions"):
        assert f"topic {log.topic}: {name}" in told or f"{name}, --partitions" in told
    assert f"topic {log.closes_topic}: cleanup.policy must be compact,delete" in told


@each_client
def test_a_broker_that_is_away_is_one_line(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    monkeypatch.setattr(kafka_topics, "_ASKED_WITHIN_MS", 300)
    monkeypatch.setattr(librdkafka_topics, "_ASKED_WITHIN_S", 0.3)
    log = KafkaLog(("127.0.0.1:9",), "x", client)
    with pytest.raises(Failure, match=r"kafka://127\.0\.0\.1:9/x.*Check that the brokers run"):
        faults_of_topics(log, EIGHT)
