"""The parts of a log in Kafka by the client library that the log's URL chooses.

Part of the composition root: `collecting` and `log_parts` ask here. Imports `ingest`, `processor`;
what needs a client only when that is chosen: librdkafka may not be installed, and the other one
would be a good part of a start.
"""

import importlib
from typing import Any, Final, NamedTuple, Protocol

from commands.errors import Failure
from ingest.kafka_client import Brokers
from ingest.kafka_closes import KafkaCloses
from ingest.kafka_publisher import KafkaBounds, KafkaPublisher
from models.kafka_log import Client, KafkaLog
from models.placement import Placement
from processor.group import Membership
from processor.source import ClosesSink, Source


class ClosingSink(ClosesSink, Protocol):
    """One that is closed by whoever made it."""

    def close(self) -> None: ...


class _Names(NamedTuple):
    """Where a client's parts are, each as MODULE:CLASS."""

    brokers: str
    topic: str
    source: str
    closes: str


_LIBRARY: Final = "confluent_kafka"
_BY_CLIENT: Final[dict[Client, _Names]] = {
    "kafka-python": _Names(
        "ingest.kafka_python:KafkaPythonBrokers",
        "ingest.kafka_python_topic:KafkaPythonTopic",
        "processor.kafka_source:KafkaSource",
        "processor.kafka_closes:KafkaCloses",
    ),
    "librdkafka": _Names(
        "ingest.librdkafka:LibrdkafkaBrokers",
        "ingest.librdkafka_topic:LibrdkafkaTopic",
        "processor.librdkafka_source:LibrdkafkaSource",
        "processor.librdkafka_closes:LibrdkafkaCloses",
    ),
}


def check_client(log: KafkaLog) -> None:
    """Errors: `Failure` when the client that the log's URL asks for is not installed."""
    if log.client == "librdkafka":
        _imported(_LIBRARY)


def kafka_publisher(
    log: KafkaLog, placement: Placement, bounds: KafkaBounds | None = None
) -> KafkaPublisher:
    """Errors: `Failure` when the client is not installed."""
    bounds = bounds or KafkaBounds()
    return KafkaPublisher(log, placement, _brokers(log, bounds), bounds)


def _brokers(log: KafkaLog, bounds: KafkaBounds) -> Brokers:
    of_client = _class(_BY_CLIENT[log.client].brokers)
    if log.client == "kafka-python":
        made: Brokers = of_client(log)
    else:
        made = of_client(log, bounds.records_max, bounds.bytes_max)
    return made


def closes_reader(log: KafkaLog) -> KafkaCloses:
    """Errors: `Failure` when the client is not installed."""
    reader = _class(_BY_CLIENT[log.client].topic)
    return KafkaCloses(log, lambda: reader(log, log.closes_topic))


def kafka_source(log: KafkaLog, membership: Membership) -> Source:
    """Errors: `Failure` when the client is not installed; those of the source."""
    made: Source = _class(_BY_CLIENT[log.client].source)(log, membership)
    return made


def closes_sink(log: KafkaLog) -> ClosingSink:
    """Errors: `Failure` when the client is not installed."""
    made: ClosingSink = _class(_BY_CLIENT[log.client].closes)(log)
    return made


def _class(name: str) -> Any:
    module, _, of_client = name.partition(":")
    return getattr(_imported(module), of_client)


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != _LIBRARY:
            raise
        raise Failure(
            "--log asks for client=librdkafka, which is not installed",
            "Install it: pip install 'bookended[librdkafka]'.",
        ) from error
