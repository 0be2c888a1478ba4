"""The log that the settings name, embedded or in Kafka: made ready, and as a processor needs it.

Part of the composition root: the only place that knows which logs there are on the reading side
(`collecting` for the writing side). Imports `ingest`, `processor`, the locks and the settings.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Final, NamedTuple

from commands.errors import Failure
from commands.kafka_clients import check_client, closes_sink, kafka_source
from commands.locks import sole
from commands.settings import Logged, Placed, Processing
from commands.storage import make_directory_of
from commands.topics import faults_of_topics
from ingest.log_file import prepare_log
from models.kafka_log import KafkaLog
from processor.embedded_source import EmbeddedCloses, EmbeddedSource, LogRetention
from processor.group import Membership
from processor.source import ClosesSink, Source

HEARTBEATS_A_SESSION: Final = 10
HEARTBEAT_MS_MAX: Final = 1_000
"""By its heartbeat a processor learns that partitions have changed hands."""


class ProcessorLog(NamedTuple):
    """A log as a processor needs it."""

    source: Source
    closes: ClosesSink
    retention: LogRetention | None


def prepare_log_of(settings: Placed) -> None:
    """An embedded log is made if there is none; topics in Kafka must be there and as they must be:
    `migrate` makes them. Errors: `Failure`."""
    kafka = settings.kafka
    if kafka is None:
        make_directory_of(settings.log_path)
        prepare_log(settings.log_path)
        return
    check_client(kafka)
    faults = faults_of_topics(kafka, settings.placement)
    if faults:
        raise Failure(f"log {kafka}: {'; '.join(faults)}", "Run `bookended check` for more.")


@contextmanager
def sole_collector(settings: Logged) -> Iterator[None]:
    """One collector to an embedded log; any number to one in Kafka."""
    if settings.kafka is not None:
        yield
        return
    make_directory_of(settings.log_path)
    with sole("collector", settings.log_path):
        yield


@contextmanager
def sole_processor(settings: Processing) -> Iterator[None]:
    """One processor to an embedded log; those of one in Kafka share its partitions."""
    if settings.kafka is not None:
        yield
        return
    make_directory_of(settings.processor_lock_path)
    with sole("processor", settings.processor_lock_path):
        yield


def processor_log(
    settings: Processing, stack: ExitStack, now_ms: Callable[[], int]
) -> ProcessorLog:
    """Opened; closed by `stack`. Errors: those of the source."""
    if settings.kafka is not None:
        return _in_kafka(settings.kafka, settings, stack)
    path = settings.log_path
    retention = None
    if settings.log_retention is not None:
        kept_ms = round(settings.log_retention.total_seconds() * 1000)
        retention = stack.enter_context(closing(LogRetention(path, kept_ms, now_ms)))
    return ProcessorLog(
        stack.enter_context(closing(EmbeddedSource(path))),
        stack.enter_context(closing(EmbeddedCloses(path, now_ms))),
        retention,
    )


def _in_kafka(kafka: KafkaLog, settings: Processing, stack: ExitStack) -> ProcessorLog:
    timeout_ms = round(settings.session_timeout.total_seconds() * 1000)
    membership = Membership(
        settings.group,
        settings.instance_id,
        session_timeout_ms=timeout_ms,
        heartbeat_interval_ms=min(timeout_ms // HEARTBEATS_A_SESSION, HEARTBEAT_MS_MAX),
    )
    source = stack.enter_context(closing(kafka_source(kafka, membership)))
    return ProcessorLog(source, stack.enter_context(closing(closes_sink(kafka))), None)


def open_reader(settings: Logged, stack: ExitStack) -> Source:
    """The log for those who read all of it and are in no group: archive and rebuilds. Closed by
    `stack`. Errors: those of the source."""
    if settings.kafka is not None:
        # Imported only here: it is on kafka-python, which a processor may have no need of.
        reader = importlib.import_module("processor.kafka_reader").KafkaReader(settings.kafka)
        source: Source = stack.enter_context(closing(reader))
        return source
    return stack.enter_context(closing(EmbeddedSource(settings.log_path)))
