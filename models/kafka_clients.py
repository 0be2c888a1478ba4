"""The settings of the two client libraries that every connection to a log in Kafka has.

Beside the record's way: collector, processor and commands connect with these. Imports its
neighbours only, neither of the libraries.
"""

from typing import Any, Final

from models.kafka_log import KafkaLog

_RECONNECT_MS_MAX: Final = 1_000
_SILENT: Final = 0


def kafka_python_settings(log: KafkaLog, client_id: str) -> dict[str, Any]:
    """Arguments for kafka-python's clients."""
    return {
        "bootstrap_servers": list(log.servers),
        "client_id": client_id,
        "reconnect_backoff_max_ms": _RECONNECT_MS_MAX,
    }


def librdkafka_settings(log: KafkaLog, client_id: str) -> dict[str, Any]:
    """Configuration for librdkafka's clients. They write nothing to stderr: what matters comes as
    an error, and is told once."""
    return {
        "bootstrap.servers": ",".join(log.servers),
        "client.id": client_id,
        "reconnect.backoff.max.ms": _RECONNECT_MS_MAX,
        "log_level": _SILENT,
    }
