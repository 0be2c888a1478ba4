"""The settings of the two client libraries that every connection to a log in Kafka has.

Beside the record's way: collector, processor and commands connect with these. Imports its
neighbours only, neither of the libraries.
"""

from typing import Any, Final

from models.kafka_log import KafkaLog, KafkaSecurity

_RECONNECT_MS_MAX: Final = 1_000
_SILENT: Final = 0


def kafka_python_settings(log: KafkaLog, client_id: str) -> dict[str, Any]:
    """Arguments for kafka-python's clients."""
    return {
        "bootstrap_servers": list(log.servers),
        "client_id": client_id,
        "reconnect_backoff_max_ms": _RECONNECT_MS_MAX,
        **({} if log.security is None else _kafka_python_security(log.security)),
    }


def _kafka_python_security(security: KafkaSecurity) -> dict[str, Any]:
    settings = {
        "security_protocol": security.protocol,
        "ssl_cafile": security.ca,
        "ssl_certfile": security.cert,
        "ssl_keyfile": security.key,
        "sasl_mechanism": security.mechanism,
        "sasl_plain_username": security.user or None,
        "sasl_plain_password": security.password or None,
    }
    return {name: value for name, value in settings.items() if value is not None}


def librdkafka_settings(log: KafkaLog, client_id: str) -> dict[str, Any]:
    """Configuration for librdkafka's clients. They write nothing to stderr: what matters comes as
    an error, and is told once."""
    return {
        "bootstrap.servers": ",".join(log.servers),
        "client.id": client_id,
        "reconnect.backoff.max.ms": _RECONNECT_MS_MAX,
        "log_level": _SILENT,
        **({} if log.security is None else _librdkafka_security(log.security)),
    }


def _librdkafka_security(security: KafkaSecurity) -> dict[str, Any]:
    settings = {
        "security.protocol": security.protocol,
        "ssl.ca.location": security.ca,
        "ssl.certificate.location": security.cert,
        "ssl.key.location": security.key,
        "sasl.mechanism": security.mechanism,
        "sasl.username": security.user or None,
        "sasl.password": security.password or None,
    }
    return {name: value for name, value in settings.items() if value is not None}
