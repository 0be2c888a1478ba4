"""`bookended promote`: a candidate takes the live projection's place, in one transaction.

Beside the record's way. Part of the composition root. Imports `processor` and the database.
"""

from typing import Annotated

from pydantic import Field

from commands.database import known_database
from commands.logs import configure
from commands.options import takes
from commands.settings import POSITIONAL, Stored
from commands.tables import program, stdout
from processor.projections import promote


class Promoting(Stored):
    """Which projection becomes the live one."""

    projection: Annotated[int, Field(ge=1)] = Field(
        description="The candidate's number.", json_schema_extra=POSITIONAL
    )


@takes(Promoting)
def command(settings: Promoting) -> None:
    """Makes the candidate PROJECTION the live one.

    Readers see the old one or the new one, never a mixture; processors go on with the new one. One
    that is far behind is refused. `bookended rollback` takes it back.
    """
    configure(settings.log_level, settings.log_format)
    with known_database(settings) as engine:
        switched = promote(engine, settings.projection)
    stdout().print(
        f"Projection {switched.after} is live, {switched.behind:,} records behind what "
        f"{switched.before} had read. Back again: {program()} rollback",
        highlight=False,
        soft_wrap=True,
    )
