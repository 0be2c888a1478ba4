"""The parts of a log in Kafka by the client library that the log's URL chooses.

Part of the composition root: `collecting` and `log_parts` ask here. Imports `ingest`, `processor`;
what needs librdkafka only when it is chosen, for it may not be installed.
"""

import importlib
from types import ModuleType
from typing import Final, Protocol

from commands.errors import Failure
from ingest.kafka_client import Brokers
from ingest.kafka_closes import KafkaCloses
from ingest.kafka_publisher import KafkaBounds, KafkaPublisher
from ingest.kafka_python import KafkaPythonBrokers
from ingest.kafka_python_topic import KafkaPythonTopic
from models.kafka_log import KafkaLog
from models.placement import Placement
from processor.group import Membership
from processor.kafka_closes import KafkaCloses as KafkaPythonCloses
from processor.kafka_source import KafkaSource
from processor.source import ClosesSink, Source


class ClosingSink(ClosesSink, Protocol):
    """One that is closed by whoever made it."""

    def close(self) -> None: ...


_LIBRARY: Final = "confluent_kafka"


def check_client(log: KafkaLog) -> None:
    """Errors: `Failure` when the client that the log's URL asks for is not installed."""
    if log.client == "librdkafka":
        _on_librdkafka(_LIBRARY)


def kafka_publisher(
    log: KafkaLog, placement: Placement, bounds: KafkaBounds | None = None
) -> KafkaPublisher:
    """Errors: `Failure` when the client is not installed."""
    bounds = bounds or KafkaBounds()
    return KafkaPublisher(log, placement, _brokers(log, bounds), bounds)


def _brokers(log: KafkaLog, bounds: KafkaBounds) -> Brokers:
    if log.client == "kafka-python":
        return KafkaPythonBrokers(log)
    made: Brokers = _on_librdkafka("ingest.librdkafka").LibrdkafkaBrokers(
        log, bounds.records_max, bounds.bytes_max
    )
    return made


def closes_reader(log: KafkaLog) -> KafkaCloses:
    """Errors: `Failure` when the client is not installed."""
    if log.client == "kafka-python":
        return KafkaCloses(log, lambda: KafkaPythonTopic(log, log.closes_topic))
    reader = _on_librdkafka("ingest.librdkafka_topic").LibrdkafkaTopic
    return KafkaCloses(log, lambda: reader(log, log.closes_topic))


def kafka_source(log: KafkaLog, membership: Membership) -> Source:
    """Errors: `Failure` when the client is not installed; those of the source."""
    if log.client == "kafka-python":
        return KafkaSource(log, membership)
    made: Source = _on_librdkafka("processor.librdkafka_source").LibrdkafkaSource(log, membership)
    return made


def closes_sink(log: KafkaLog) -> ClosingSink:
    """Errors: `Failure` when the client is not installed."""
    if log.client == "kafka-python":
        return KafkaPythonCloses(log)
    made: ClosingSink = _on_librdkafka("processor.librdkafka_closes").LibrdkafkaCloses(log)
    return made


def _on_librdkafka(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != _LIBRARY:
            raise
        raise Failure(
            "--log asks for client=librdkafka, which is not installed",
            "Install it: pip install 'bookended[librdkafka]'.",
        ) from error
