"""`bookended leave`: takes a processor that was stopped for good out of its group.

Not on the record's way. Imports the composition root.
"""

from commands.errors import SettingsError
from commands.kafka_group import remove_member
from commands.logs import configure
from commands.options import takes
from commands.settings import Leaving


@takes(Leaving)
def command(settings: Leaving) -> None:
    """Takes a processor that was stopped for good out of its group: the others get its partitions
    at once.

    Stop it first; one that runs joins again. One without an --instance-id leaves by itself when
    it stops.
    """
    configure(settings.log_level, settings.log_format)
    kafka = settings.kafka
    if kafka is None:
        what = f"log {settings.log_path} is a file, and its one processor is in no group"
        raise SettingsError((f"{what}; give the log in Kafka with --log",))
    if settings.instance_id is None:
        raise SettingsError(("say who is gone for good: the processor's --instance-id",))
    is_removed = remove_member(kafka, settings.group, settings.instance_id)
    done = "left" if is_removed else "is not in"
    print(f"instance {settings.instance_id} {done} group {settings.group}")
