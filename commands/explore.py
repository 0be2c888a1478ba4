"""`bookended explore`: the session explorer alone, over a database that others fill.

Beside the record's way. Imports the composition root.
"""

import asyncio

import structlog

from commands.database import must_exist
from commands.exploring import PATH, ExplorerServer, explorer
from commands.logs import configure
from commands.options import takes
from commands.settings import Exploring
from commands.tables import facts, stdout
from commands.values import parse_address

logger = structlog.get_logger("bookended")


@takes(Exploring)
def command(settings: Exploring) -> None:
    """Shows sessions in a browser: what was on screen, what it counted as, and why.

    Only reads, so give it a database user that can do no more. Until Ctrl-C or SIGTERM. `bookended
    run` has the same pages beside its collector, at /explore.
    """
    configure(settings.log_level, settings.log_format)
    must_exist(
        settings,
        "Give the right --data or --database, or start with `bookended demo --data DIRECTORY`.",
    )
    with explorer(settings) as app:
        server = ExplorerServer(app, parse_address(settings.explore_listen))
        url = f"http://{server.address}{PATH}"
        logger.info("explorer_listening", url=url, database=settings.database_name)
        console = stdout()
        if console.is_terminal:
            console.print(facts({"explorer": url, "stop": "Ctrl-C"}))
        asyncio.run(server.serve())
    logger.info("stopped")
