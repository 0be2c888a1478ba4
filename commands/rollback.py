"""`bookended rollback`: the projection that was live before is live again.

Beside the record's way. Part of the composition root. Imports `processor` and the database.
"""

from commands.database import known_database
from commands.logs import configure
from commands.options import takes
from commands.settings import Stored
from commands.tables import stdout
from processor.projections import rollback


class RollingBack(Stored):
    """Where the database is."""


@takes(RollingBack)
def command(settings: RollingBack) -> None:
    """Takes the last promotion back: the projection before it is live again.

    It has what it had then; processors let it catch up with what came since.
    """
    configure(settings.log_level, settings.log_format)
    with known_database(settings) as engine:
        switched = rollback(engine)
    stdout().print(
        f"Projection {switched.after} is live again. It is {switched.behind:,} records behind; "
        "processors let it catch up.",
        highlight=False,
        soft_wrap=True,
    )
