"""What the topics of a log in Kafka must be.

Beside the record's way: every start looks at them, and `check`. By the client that the log's URL
names: the other one is not imported. Imports `models` only.
"""

import importlib
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from commands.errors import Failure
from models.kafka_log import CLOSES_KEPT_MS, MESSAGE_BYTES_MAX, Client, KafkaLog
from models.placement import Placement

IN_SYNC_MIN: Final = 2
REPLICAS_FOR_IN_SYNC: Final = 3
_RETENTION_MS_MIN: Final = 48 * 3_600_000
_BY_CLIENT: Final[dict[Client, str]] = {
    "kafka-python": "commands.kafka_topics",
    "librdkafka": "commands.librdkafka_topics",
}


class Topic(NamedTuple):
    """One topic as it is."""

    name: str
    partitions: int
    replicas: int
    settings: Mapping[str, str]


def faults_of_topics(log: KafkaLog, placement: Placement) -> list[str]:
    """What is wrong with the log's topics, each with the next step. Errors: `Failure`."""
    looks = {log.topic: _faults_of_events, log.closes_topic: _faults_of_closes}
    found = _look_at(log, looks)
    faults: list[str] = []
    for name, look in looks.items():
        topic = found.get(name)
        if topic is None:
            faults.append(f"there is no topic {name}; run `bookended migrate`")
        else:
            faults += [f"topic {name}: {fault}" for fault in look(topic, placement)]
    return faults


def describe_topic(log: KafkaLog) -> Topic:
    """The topic of events. Errors: `Failure`."""
    found = _look_at(log, (log.topic,)).get(log.topic)
    if found is None:
        raise Failure(f"log {log}: there is no topic {log.topic}", "Run `bookended migrate`.")
    return found


def _look_at(log: KafkaLog, names: Collection[str]) -> Mapping[str, Topic]:
    found: dict[str, Topic] = importlib.import_module(_BY_CLIENT[log.client]).look_at(log, names)
    return found


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
    if topic.replicas >= REPLICAS_FOR_IN_SYNC and in_sync < IN_SYNC_MIN:
        yield "min.insync.replicas must be 2 or more: else one broker's disk may hold the only copy"
    if in_sync > topic.replicas:
        yield f"min.insync.replicas is {in_sync}, but there are {topic.replicas} replicas"
