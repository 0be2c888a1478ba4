"""The settings of the two client libraries that every connection to a log in Kafka has.

Beside the record's way: collector, processor and commands connect with these. Imports its
neighbours only, neither of the libraries.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, Protocol, TypeVar

from models.kafka_log import KafkaLog, KafkaSecurity

_RECONNECT_MS_MAX: Final = 1_000
_SILENT: Final = 0


class Closable(Protocol):
    """A client of kafka-python."""

    def close(self) -> object: ...


Client = TypeVar("Client", bound=Closable)


def kafka_python_settings(log: KafkaLog, client_id: str) -> dict[str, Any]:
    """Arguments for kafka-python's clients."""
    return {
        "bootstrap_servers": list(log.servers),
        "client_id": client_id,
        "reconnect_backoff_max_ms": _RECONNECT_MS_MAX,
        **({} if log.security is None else _kafka_python_security(log.security)),
    }


def let_go(close: Callable[..., object], **arguments: Any) -> None:
    """Closes a client of kafka-python whose work is done or given up: nothing hangs on it any more.

    Whatever `close` raises is no fault of that work. Brokers may be away; and it takes things apart
    beside the client's own thread, on whose steps it now and then stumbles (`AssertionError`).
    """
    with suppress(Exception):
        close(**arguments)


@contextmanager
def letting_go(client: Client) -> Iterator[Client]:
    """Lets go of the client at the end of the block."""
    try:
        yield client
    finally:
        let_go(client.close)


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
