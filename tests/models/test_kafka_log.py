"""URLs of logs in Kafka."""

import pytest

from models.kafka_log import KafkaLog, parse_kafka_url


def test_a_url_names_brokers_and_topic() -> None:
    log = parse_kafka_url("kafka://a:1,b.example,[::1]:9093/media-events")
    assert log == KafkaLog(("a:1", "b.example:9092", "[::1]:9093"), "media-events")
    assert str(log) == "kafka://a:1,b.example:9092,[::1]:9093/media-events"
    assert parse_kafka_url(str(log)) == log


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
        ("kafka://a/media-events?client=librdkafka", "options after"),
        ("kafka://a/media-events?acks=0", "options after"),
    ],
)
def test_what_is_no_such_url_is_told(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_kafka_url(url)
