"""How a processor is a member of the group that shares a topic in Kafka, whatever its client.

Beside the record's way: the sources over Kafka join by it. Imports `models` only.
"""

from dataclasses import dataclass

from models.kafka_log import GROUP


@dataclass(frozen=True, slots=True)
class Membership:
    """How this processor is a member of its group. `instance_id` keeps its partitions through a
    restart within the session's time-out; without one every start is a rebalance.

    `poll_interval_ms_max`: a processor that is held up for longer loses its partitions to the
    others. `metadata_age_ms_max`: after this time at the latest added partitions are seen.
    """

    group: str = GROUP
    instance_id: str | None = None
    session_timeout_ms: int = 10_000
    heartbeat_interval_ms: int = 1_000
    poll_interval_ms_max: int = 60_000
    metadata_age_ms_max: int = 30_000


class InstanceTakenError(Exception):
    """Another processor has joined the group under this one's instance id."""

    def __init__(self, log: str, instance_id: str) -> None:
        super().__init__(log, instance_id)
        self.log = log
        self.instance_id = instance_id

    def __str__(self) -> str:
        return (
            f"log {self.log}: another processor has joined as instance {self.instance_id}; "
            "give each processor an --instance-id of its own"
        )
