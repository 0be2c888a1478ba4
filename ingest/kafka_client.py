"""What a publisher over Kafka needs of a client library, and how its faults are told.

Beside the record's way: `kafka_publisher` works with any client that does this, `kafka_python` and
`librdkafka` are the two. Imports nothing of the project.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

GIVEN_UP_AFTER_S: Final = 10.0
"""A record that is not delivered by then is given up, with the producer that has it."""

DELIVERY_TIMEOUT_MS: Final = 15_000
"""The client itself gives a record up after this time, which is never to come first: a producer
that goes on without a record may write others twice (librdkafka's issue 4953)."""

REQUEST_TIMEOUT_MS: Final = 5_000
PROBE_TIMEOUT_MS: Final = 3_000
CLOSED_WITHIN_S: Final = GIVEN_UP_AFTER_S + REQUEST_TIMEOUT_MS / 1000
BATCH_BYTES_MAX: Final = 256 * 1024
COMPRESSION: Final = "zstd"
"""As small as gzip or smaller, for half of the time in small batches and a third in large ones."""


class BrokersAwayError(Exception):
    """The brokers do not answer, or not to us. `reason` is one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = one_line(reason)


class UndeliveredError(Exception):
    """A record is not in the log, or it is unknown whether it is.

    `is_spent`: the producer that says so delivers nothing more; a new one has to be made.
    """

    def __init__(self, reason: str, *, is_spent: bool) -> None:
        super().__init__(reason, is_spent)
        self.reason = one_line(reason)
        self.is_spent = is_spent


Told = Callable[[UndeliveredError | None], None]
"""Takes the fate of one record, once, on any thread: None when all in-sync replicas have it."""


class Producer(Protocol):
    """Sends records to one topic: idempotent, acknowledged by all in-sync replicas, compressed."""

    def send(self, session_id: str, value: bytes, partition: int, told: Told) -> None:
        """On the event loop, which it never blocks. Errors: `UndeliveredError`, then nothing more
        is told."""
        ...

    def probe(self) -> None:
        """In a thread: returns when the producer's own connection works. Errors:
        `BrokersAwayError`."""
        ...

    def close(self) -> None:
        """In a thread: returns when every record's fate was told, as long as that can take."""
        ...

    def abort(self) -> None:
        """In a thread: gives up all records that are left, which is told of each."""
        ...


class Brokers(Protocol):
    """The brokers of one log. Both methods are for a thread of their own."""

    def leaders(self) -> Sequence[bool]:
        """Of each partition of the topic, whether it has a leader; none without the topic.

        Errors: `BrokersAwayError`.
        """
        ...

    def connect(self, partitions: int) -> Producer:
        """A producer that knows so many partitions of the topic, so that no `send` need wait.

        Errors: `BrokersAwayError`.
        """
        ...


def one_line(text: str) -> str:
    """A fault's text for people."""
    return f"Kafka: {' '.join(text.split())[:200]}"
