"""A log in Kafka as all parts name it: brokers, topics, and the bounds its topics are made with.

Beside the record's way: what collector, processor and the commands must agree on. Imports nothing
of the project.
"""

import re
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

Client = Literal["kafka-python", "librdkafka"]
"""The library that talks to the brokers. Its choice changes no record and no row."""

MESSAGE_BYTES_MAX: Final = 9 * 1024**2
"""Largest batch of records that the topic takes, compressed: an offline list is one record."""

REQUEST_BYTES_MAX: Final = MESSAGE_BYTES_MAX + 64 * 1024
"""Largest record that a producer takes on, before it is compressed."""

CLOSES_KEPT_MS: Final = 49 * 3_600_000
"""Longer than the collector accepts events of a session (docs/http.md: 48 h)."""

GROUP: Final = "bookended-processor"
"""Consumer group of the processors, unless a setting says otherwise."""

_SCHEME: Final = "kafka://"
_DEFAULT_PORT: Final = 9092
_DEFAULT_TOPIC: Final = "media-events"
_DEFAULT_CLOSES_TOPIC: Final = "media-session-closes"
_SERVER: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")
_SERVERS_MAX: Final = 64
_CLIENTS: Final[tuple[Client, ...]] = ("kafka-python", "librdkafka")


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """How the brokers are known, and how they know us. Files are PEM; `ca` None: the system's
    authorities; `mechanism` as SASL names it, None: no login."""

    tls: bool
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    mechanism: str | None = None
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def protocol(self) -> str:
        """As both clients name it."""
        wire = "SSL" if self.tls else "PLAINTEXT"
        return wire if self.mechanism is None else f"SASL_{wire}"


class KafkaLog(NamedTuple):
    """Where a log in Kafka is, and by which client. `servers`: HOST:PORT each, to begin with."""

    servers: tuple[str, ...]
    topic: str = _DEFAULT_TOPIC
    client: Client = "kafka-python"
    security: KafkaSecurity | None = None

    @property
    def closes_topic(self) -> str:
        """The topic that tells collectors which sessions are closed."""
        return _DEFAULT_CLOSES_TOPIC if self.topic == _DEFAULT_TOPIC else f"{self.topic}-closes"

    def __str__(self) -> str:
        return f"{_SCHEME}{','.join(self.servers)}/{self.topic}"


def is_kafka_url(text: str) -> bool:
    """Whether the text is meant for `parse_kafka_url`."""
    return text.startswith(_SCHEME)


def parse_kafka_url(text: str) -> KafkaLog:
    """`kafka://host:9092[,host:9092]/media-events[?client=librdkafka]`.

    Errors: `ValueError` with a text that ends the sentence "<setting>: ...".
    """
    if not is_kafka_url(text):
        raise ValueError("is not kafka://HOST:PORT/TOPIC")
    address, _, options = text.removeprefix(_SCHEME).partition("?")
    servers, _, topic = address.partition("/")
    if not _TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise ValueError("names no topic; give for example kafka://127.0.0.1:9092/media-events")
    return KafkaLog(_servers(servers), topic, _client(options))


def _client(options: str) -> Client:
    name, _, value = options.partition("=")
    if not options:
        return "kafka-python"
    if name != "client":
        raise ValueError(f"has the option {name[:40]!r} after the ?; there is only client=")
    for client in _CLIENTS:
        if client == value:
            return client
    raise ValueError(f"names the client {value[:40]!r}; give kafka-python or librdkafka")


def _servers(text: str) -> tuple[str, ...]:
    servers = []
    for name in text.split(","):
        match = _SERVER.fullmatch(name)
        port = int(match[2] or _DEFAULT_PORT) if match else 0
        if match is None or not 0 < port < 65_536:
            raise ValueError(f"has {name!r} where HOST:PORT of a broker is wanted")
        servers.append(f"{match[1]}:{port}")
    if len(servers) > _SERVERS_MAX:
        raise ValueError(f"names more than {_SERVERS_MAX} brokers; a few are enough to begin with")
    return tuple(servers)
