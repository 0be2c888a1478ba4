"""URLs of logs in Kafka."""

import re

import pytest

from models.kafka_log import KafkaLog, parse_kafka_url


def test_a_url_names_brokers_and_topic() -> None:
    log = parse_kafka_url("kafka://a:1,b.example,[::1]:9093/media-events")
    assert log == KafkaLog(("a:1", "b.example:9092", "[::1]:9093"), "media-events")
    assert str(log) == "kafka://a:1,b.example:9092,[::1]:9093/media-events"
    assert parse_kafka_url(str(log)) == log


def test_a_url_may_name_the_client() -> None:
    log = parse_kafka_url("kafka://a:1/media-events")
    assert log.client == "kafka-python"
    chosen = parse_kafka_url("kafka://a:1/media-events?client=librdkafka")
    assert chosen == log._replace(client="librdkafka")
    assert parse_kafka_url("kafka://a:1/media-events?client=kafka-python") == log
    assert str(chosen) == str(log)  # it is the same log


def test_each_log_has_its_own_topic_of_closes() -> None:
    assert parse_kafka_url("kafka://a/media-events").closes_topic == "media-session-closes"
    assert parse_kafka_url("kafka://a/other").closes_topic == "other-closes"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite:///log.db", "is not kafka://"),
        ("kafka://a:9092", "names no topic"),
        ("kafka://a:9092/", "names no topic"),
        ("kafka://a:9092/two/topics", "names no topic"),
        ("kafka://a:9092/..", "names no topic"),
        ("kafka:///media-events", "where HOST:PORT"),
        ("kafka://a:0/media-events", "'a:0' where HOST:PORT"),
        ("kafka://a:70000/media-events", "'a:70000' where HOST:PORT"),
        ("kafka://user:secret@a/media-events", "where HOST:PORT"),
        ("kafka://" + ",".join(["a"] * 65) + "/media-events", "more than 64"),
        (
            "kafka://a/media-events?client=franz",
            "names the client 'franz'; give kafka-python or",
        ),
        ("kafka://a/media-events?client", "names the client ''"),
        ("kafka://a/media-events?client=librdkafka&client=kafka-python", "names the client"),
        ("kafka://a/media-events?acks=0", "has the option 'acks' after the ?"),
    ],
)
def test_what_is_no_such_url_is_told(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_kafka_url(url)
