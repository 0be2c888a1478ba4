"""The local broker: it answers as Kafka does, keeps its data, comes back from a crash."""

from pathlib import Path

from deploy.local.kafka import LocalKafka
from tests.local.clients import kafka_client, make_topic, publish, topics, values_in


def test_a_restart_keeps_data_and_address(local_kafka: LocalKafka) -> None:
    make_topic(local_kafka.bootstrap, "kept")
    publish(local_kafka.bootstrap, "kept", [b"one", b"two"])
    before = local_kafka.bootstrap
    local_kafka.stop()
    assert local_kafka.process() is None
    assert not local_kafka.answers()
    local_kafka.start()
    assert local_kafka.bootstrap == before
    assert values_in(before, "kept", 2) == [b"one", b"two"]


def test_a_crash_loses_nothing_acknowledged(local_kafka: LocalKafka) -> None:
    make_topic(local_kafka.bootstrap, "kept")
    publish(local_kafka.bootstrap, "kept", [b"one"])
    local_kafka.kill()
    assert local_kafka.process() is None
    local_kafka.start()
    publish(local_kafka.bootstrap, "kept", [b"two"])
    assert values_in(local_kafka.bootstrap, "kept", 2) == [b"one", b"two"]


def test_two_stand_side_by_side(local_kafka: LocalKafka, tmp_path: Path) -> None:
    with LocalKafka(tmp_path / "other") as other:
        make_topic(local_kafka.bootstrap, "here")
        make_topic(other.bootstrap, "there")
        assert topics(local_kafka.bootstrap) == ["here"]
        assert topics(other.bootstrap) == ["there"]


def test_the_broker_is_set_as_the_log_needs_it(local_kafka: LocalKafka) -> None:
    kafka = kafka_client()
    admin = kafka.KafkaAdminClient(bootstrap_servers=local_kafka.bootstrap)
    try:
        resource = kafka.admin.ConfigResource(kafka.admin.ConfigResourceType.BROKER, "1")
        shown = admin.describe_configs([resource], config_filter="all")
    finally:
        admin.close()
    settings = {name: entry["value"] for name, entry in shown["broker"]["1"].items()}
    listeners = settings["listeners"].split(",")
    assert settings["auto.create.topics.enable"] == "false"
    assert int(settings["message.max.bytes"]) > 9 * 1024**2
    assert settings["offsets.topic.replication.factor"] == "1"
    assert settings["transaction.state.log.replication.factor"] == "1"
    assert settings["group.initial.rebalance.delay.ms"] == "0"
    hosts = [listener.partition("://")[2].partition(":")[0] for listener in listeners]
    assert hosts == ["127.0.0.1", "127.0.0.1"]


def test_the_largest_record_goes_through(local_kafka: LocalKafka) -> None:
    largest = bytes(9 * 1024**2)
    make_topic(local_kafka.bootstrap, "large")
    publish(local_kafka.bootstrap, "large", [largest])
    assert values_in(local_kafka.bootstrap, "large", 1) == [largest]
