"""The publishing side of a log: the interface, and what can go wrong with it.

On the record's way: `app` hands over the bytes of a record, and answers 2xx only after `publish`
has returned. `embedded_publisher` is the one for the embedded log; another log comes behind the
same interface and the same contract tests. Imports nothing of the project.
"""

from typing import Protocol


class PublishError(Exception):
    """The log does not have the record, or it is unknown whether it has. The client may retry.

    `cause` is a word for metrics, `reason` one line for people; `retry_after_s` is when to try
    again.
    """

    def __init__(self, cause: str, reason: str, retry_after_s: int) -> None:
        super().__init__(cause, reason, retry_after_s)
        self.cause = cause
        self.reason = reason
        self.retry_after_s = retry_after_s


class Publisher(Protocol):
    """Appends records to a log. Used by one event loop, the one that `start` ran on."""

    async def start(self) -> None:
        """Opens the log. Raises the log's own errors when that cannot be."""
        ...

    async def publish(self, session_id: str, value: bytes) -> None:
        """Returns when the log has the record durably. Raises `PublishError`.

        Records of one session are appended in the order of the calls. Never blocks the loop, and
        never waits without bound: what is in flight is bounded by number and bytes, and time.
        """
        ...

    def is_ready(self) -> bool:
        """Whether the log took what it was last given."""
        ...

    def reason_not_ready(self) -> str:
        """One line for people; empty when ready."""
        ...

    @property
    def records_in_flight(self) -> int:
        """Records given to the log that it has not answered for."""
        ...

    @property
    def bytes_in_flight(self) -> int:
        """What those records hold of the bound on bytes."""
        ...

    async def stop(self) -> None:
        """Finishes what is in flight and closes the log. `publish` must not be called any more."""
        ...
