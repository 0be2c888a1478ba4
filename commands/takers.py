"""Which command takes which settings: every command that has any, in the order of the README.

Beside the record's way: `check` tells a variable that nobody reads by it, the documents' tables are
made of it. Imports the commands.
"""

from typing import Final

from commands.archive import Archiving
from commands.common import Common
from commands.dead_letters import Dropping, Listing, Replaying
from commands.diff import Comparing
from commands.explain import Explaining
from commands.export import Exporting
from commands.forget import Forgetting
from commands.projections import DroppingProjection, ListingProjections
from commands.promote import Promoting
from commands.rebuild import Rebuilding
from commands.rollback import RollingBack
from commands.schema import Printing
from commands.settings import (
    Checking,
    Collecting,
    Demonstrating,
    Exploring,
    Leaving,
    Migrating,
    ProcessingAlone,
    Running,
)
from commands.simulate import Simulating
from commands.verify import Verifying
from commands.whatif import Wondering

TAKEN_BY: Final[dict[str, type[Common]]] = {
    "run": Running,
    "collect": Collecting,
    "process": ProcessingAlone,
    "leave": Leaving,
    "migrate": Migrating,
    "demo": Demonstrating,
    "simulate": Simulating,
    "explain": Explaining,
    "verify": Verifying,
    "export": Exporting,
    "explore": Exploring,
    "schema": Printing,
    "dead-letters list": Listing,
    "dead-letters replay": Replaying,
    "dead-letters drop": Dropping,
    "archive": Archiving,
    "rebuild": Rebuilding,
    "projections list": ListingProjections,
    "projections drop": DroppingProjection,
    "diff": Comparing,
    "whatif": Wondering,
    "forget": Forgetting,
    "promote": Promoting,
    "rollback": RollingBack,
    "check": Checking,
}
"""`check` comes last: it takes all settings of the servers, which the table need not repeat."""
