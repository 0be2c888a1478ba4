"""The topics of a log in Kafka by librdkafka: looked at.

Beside the record's way: what `kafka_topics` does by kafka-python, at the start of a program that
needs that one for nothing. Imports `topics` and `models`; needs the extra `[librdkafka]`.
"""

from collections.abc import Collection
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # these have no types
    AdminClient,
    ConfigResource,
    ResourceType,
)

from commands.errors import CHECK_BROKERS, Failure
from commands.topics import Topic
from models.kafka_clients import librdkafka_settings
from models.kafka_log import KafkaLog

_ASKED_WITHIN_S: Final = 10.0


def look_at(log: KafkaLog, names: Collection[str]) -> dict[str, Topic]:
    """The topics of these names that there are. Errors: `Failure`."""
    complaints: list[KafkaError] = []
    settings: dict[str, Any] = {"error_cb": complaints.append}
    client = AdminClient(settings | librdkafka_settings(log, "bookended"))
    try:
        return _look_at(client, names)
    except KafkaException as error:
        client.poll(0)
        # What was complained of last says more than that time is up.
        told = [error.args[0], *complaints][-1]
        text = " ".join(told.str().split())[:200]
        raise Failure(f"log {log}: {text}", CHECK_BROKERS) from error


def _look_at(client: AdminClient, names: Collection[str]) -> dict[str, Topic]:
    """Errors: `KafkaException`."""
    asked = client.describe_topics(TopicCollection([*names]), request_timeout=_ASKED_WITHIN_S)
    described: dict[str, Any] = {}
    for name, answer in asked.items():
        try:
            described[name] = answer.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
    if not described:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in described]
    configs = client.describe_configs(resources, request_timeout=_ASKED_WITHIN_S)
    settings = {
        resource.name: {key: str(entry.value) for key, entry in answer.result().items()}
        for resource, answer in configs.items()
    }
    return {
        name: Topic(
            name,
            len(topic.partitions),
            min(len(partition.replicas) for partition in topic.partitions),
            settings[name],
        )
        for name, topic in described.items()
    }
