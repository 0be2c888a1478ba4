"""The topics of a log in Kafka by kafka-python: made with their settings, and looked at.

Beside the record's way: `migrate` makes them, whichever client the log's URL names; clients never
create topics. Imports `topics` and `models`.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions
from kafka.errors import KafkaError, TopicAlreadyExistsError

from commands.errors import CHECK_BROKERS, Failure
from commands.topics import IN_SYNC_MIN, REPLICAS_FOR_IN_SYNC, Topic
from models.kafka_clients import kafka_python_settings, letting_go
from models.kafka_log import CLOSES_KEPT_MS, MESSAGE_BYTES_MAX, KafkaLog
from models.placement import Placement

_ASKED_WITHIN_MS: Final = 10_000
_HOUR_MS: Final = 3_600_000


def migrate_topics(log: KafkaLog, placement: Placement, kept_ms: int | None) -> list[str]:
    """Makes what is missing, and adds partitions; what was done, a line each. A topic that exists
    keeps its settings: `check` tells what is wrong with them. `kept_ms` None: kept for ever.

    Errors: `Failure`.
    """
    events = {
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(MESSAGE_BYTES_MAX),
        "cleanup.policy": "delete",
        "retention.ms": str(-1 if kept_ms is None else kept_ms),
    }
    closes = {
        "cleanup.policy": "compact,delete",
        "retention.ms": str(CLOSES_KEPT_MS),
        # Neither compaction nor retention touches the segment that is being written.
        "segment.ms": str(_HOUR_MS),
    }
    with admin(log) as client:
        return [
            _ensure(client, log.topic, placement.partitions, events),
            _ensure(client, log.closes_topic, 1, closes),
        ]


def _ensure(client: KafkaAdminClient, name: str, partitions: int, settings: dict[str, str]) -> str:
    topic = _look_at(client, (name,)).get(name)
    if topic is None:
        return _create(client, name, partitions, settings)
    if topic.partitions < partitions:
        client.create_partitions({name: NewPartitions(partitions)})
        client.wait_for_topics([name])
        return f"topic {name}: from {topic.partitions} to {partitions} partitions"
    return f"topic {name}: already there with {topic.partitions} partitions"


def _create(client: KafkaAdminClient, name: str, partitions: int, settings: dict[str, str]) -> str:
    wanted = {"num_partitions": partitions, "replication_factor": -1, "configs": settings}
    try:
        client.create_topics({name: wanted}, wait_for_metadata=True)
    except TopicAlreadyExistsError:  # another `migrate` was first
        return f"topic {name}: already there"
    topic = _look_at(client, (name,))[name]
    if topic.replicas >= REPLICAS_FOR_IN_SYNC:
        resource = ConfigResource(
            ConfigResourceType.TOPIC, name, {"min.insync.replicas": str(IN_SYNC_MIN)}
        )
        client.alter_configs([resource])
    return f"topic {name}: made with {topic.partitions} partitions, {topic.replicas} replicas"


def look_at(log: KafkaLog, names: Collection[str]) -> dict[str, Topic]:
    """The topics of these names that there are. Errors: `Failure`."""
    with admin(log) as client:
        return _look_at(client, names)


def _look_at(client: KafkaAdminClient, names: Collection[str]) -> dict[str, Topic]:
    described = client.describe_topics([*names])
    partitions = {it["name"]: it["partitions"] for it in described if not it["error_code"]}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in partitions]
    if not resources:
        return {}
    settings = client.describe_configs(resources, config_filter="all")["topic"]
    return {
        name: Topic(
            name,
            len(parts),
            min(len(part["replica_nodes"]) for part in parts),
            {key: str(setting["value"]) for key, setting in settings[name].items()},
        )
        for name, parts in partitions.items()
    }


@contextmanager
def admin(log: KafkaLog) -> Iterator[Any]:
    """A client for what an administrator asks, closed at the end of the block. Errors: `Failure`
    for whatever the brokers do not do."""
    try:
        client = KafkaAdminClient(
            **kafka_python_settings(log, "bookended"),
            bootstrap_timeout_ms=_ASKED_WITHIN_MS,
            request_timeout_ms=_ASKED_WITHIN_MS,
        )
        with letting_go(client):
            yield client
    except KafkaError as error:
        text = " ".join(str(error).split())[:200]
        raise Failure(f"log {log}: {text}", CHECK_BROKERS) from error
