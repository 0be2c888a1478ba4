"""The topics of a log in Kafka: made with their settings, and checked.

Beside the record's way: `migrate` makes them, `check` and every start look at them; clients never
create topics. Imports `models` only.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, Final, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions
from kafka.errors import KafkaError, TopicAlreadyExistsError

from commands.errors import Failure
from models.kafka_clients import kafka_python_settings
from models.kafka_log import CLOSES_KEPT_MS, MESSAGE_BYTES_MAX, KafkaLog
from models.placement import Placement

_ASKED_WITHIN_MS: Final = 10_000
_RETENTION_MS_MIN: Final = 48 * 3_600_000
_HOUR_MS: Final = 3_600_000
_IN_SYNC_MIN: Final = 2
_REPLICAS_FOR_IN_SYNC: Final = 3


class Topic(NamedTuple):
    """One topic as it is."""

    name: str
    partitions: int
    replicas: int
    settings: Mapping[str, str]


class TopicMissing(Exception):
    """There is no such topic."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"there is no topic {self.name}; run `bookended migrate`"


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
    try:
        topic = _topic(client, name)
    except TopicMissing:
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
    topic = _topic(client, name)
    if topic.replicas >= _REPLICAS_FOR_IN_SYNC:
        resource = ConfigResource(
            ConfigResourceType.TOPIC, name, {"min.insync.replicas": str(_IN_SYNC_MIN)}
        )
        client.alter_configs([resource])
    return f"topic {name}: made with {topic.partitions} partitions, {topic.replicas} replicas"


def faults_of_topics(log: KafkaLog, placement: Placement) -> list[str]:
    """What is wrong with the log's topics, each with the next step. Errors: `Failure`."""
    faults: list[str] = []
    with admin(log) as client:
        for name, look in ((log.topic, _faults_of_events), (log.closes_topic, _faults_of_closes)):
            try:
                topic = _topic(client, name)
            except TopicMissing as missing:
                faults.append(str(missing))
            else:
                faults += [f"topic {name}: {fault}" for fault in look(topic, placement)]
    return faults


def describe_topics(log: KafkaLog) -> Topic:
    """The topic of events. Errors: `Failure`, `TopicMissing`."""
    with admin(log) as client:
        return _topic(client, log.topic)


def _faults_of_events(topic: Topic, placement: Placement) -> Iterator[str]:
    settings = topic.settings
    if topic.partitions < placement.partitions:
        yield (
            f"has {topic.partitions} partitions, --partitions says {placement.partitions}; "
            "run `bookended migrate` to add them"
        )
    if settings["message.timestamp.type"] != "LogAppendTime":
        yield "message.timestamp.type must be LogAppendTime: arrival times are the log's own"
    if int(settings["max.message.bytes"]) < MESSAGE_BYTES_MAX:
        yield f"max.message.bytes must be {MESSAGE_BYTES_MAX} or more: a list is one record"
    if settings["cleanup.policy"] != "delete":
        yield "cleanup.policy must be delete: compaction would take events away"
    if 0 <= int(settings["retention.ms"]) < _RETENTION_MS_MIN:
        yield f"retention.ms must be {_RETENTION_MS_MIN} (48 h) or more, or -1"
    yield from _faults_of_copies(topic)


def _faults_of_closes(topic: Topic, placement: Placement) -> Iterator[str]:
    del placement
    policies = set(topic.settings["cleanup.policy"].split(","))
    if policies != {"compact", "delete"}:
        yield "cleanup.policy must be compact,delete"
    if 0 <= int(topic.settings["retention.ms"]) < CLOSES_KEPT_MS:
        yield f"retention.ms must be {CLOSES_KEPT_MS} (49 h) or more"
    yield from _faults_of_copies(topic)


def _faults_of_copies(topic: Topic) -> Iterator[str]:
    in_sync = int(topic.settings["min.insync.replicas"])
    if topic.replicas >= _REPLICAS_FOR_IN_SYNC and in_sync < _IN_SYNC_MIN:
        yield "min.insync.replicas must be 2 or more: else one broker's disk may hold the only copy"
    if in_sync > topic.replicas:
        yield f"min.insync.replicas is {in_sync}, but there are {topic.replicas} replicas"


def _topic(admin: KafkaAdminClient, name: str) -> Topic:
    """Errors: `TopicMissing`."""
    (found,) = admin.describe_topics([name])
    if found["error_code"] or not found["partitions"]:
        raise TopicMissing(name)
    resource = ConfigResource(ConfigResourceType.TOPIC, name)
    settings = admin.describe_configs([resource], config_filter="all")["topic"][name]
    return Topic(
        name,
        len(found["partitions"]),
        min(len(partition["replica_nodes"]) for partition in found["partitions"]),
        {key: str(setting["value"]) for key, setting in settings.items()},
    )


@contextmanager
def admin(log: KafkaLog) -> Iterator[Any]:
    try:
        client = KafkaAdminClient(
            **kafka_python_settings(log, "bookended"),
            bootstrap_timeout_ms=_ASKED_WITHIN_MS,
            request_timeout_ms=_ASKED_WITHIN_MS,
        )
        with closing(client):
            yield client
    except KafkaError as error:
        text = " ".join(str(error).split())[:200]
        raise Failure(
            f"log {log}: {text}", "Check that the brokers run and can be reached."
        ) from error
