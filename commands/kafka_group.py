"""Members of the group that shares a topic in Kafka: one that is gone for good is taken out.

Beside the record's way. Imports `models` only.
"""

from kafka.admin import MemberToRemove
from kafka.errors import GroupIdNotFoundError, NoError, UnknownMemberIdError

from commands.errors import Failure
from commands.kafka_topics import admin
from models.kafka_log import KafkaLog


def remove_member(log: KafkaLog, group: str, instance_id: str) -> bool:
    """Takes the processor of this instance id out of the group: the others get its partitions at
    once, instead of after its session's time-out. False: there is none. Errors: `Failure`."""
    with admin(log) as client:
        try:
            member = MemberToRemove(group_instance_id=instance_id)
            (error,) = client.remove_group_members(group, [member]).values()
        except GroupIdNotFoundError:
            return False
    if error is not NoError and error is not UnknownMemberIdError:
        raise Failure(
            f"log {log}: {instance_id} cannot be taken out of group {group}: {error.__name__}",
            "Try again; its partitions go to the others after --session-timeout in any case.",
        )
    return error is NoError
