"""`bookended run`: collector and processor in one process, over the embedded files.

Part of the composition root. Imports `collecting`, `embedded`, `exploring`, the
locks and the settings.
"""

import structlog
from prometheus_client import CollectorRegistry

from commands.collecting import collector_server, url_of
from commands.embedded import ProcessorThread, prepare
from commands.exploring import PATH, explorer
from commands.interpreter import tune_interpreter
from commands.log_parts import sole_collector, sole_processor
from commands.logs import configure
from commands.options import takes
from commands.settings import Running
from commands.tables import banner
from explore.app import beside

logger = structlog.get_logger("bookended")


@takes(Running)
def command(settings: Running) -> None:
    """Runs collector and processor in one process, with all data in one directory.

    Log and database are made at the first start and brought to this release's schema at every one.
    Ctrl-C or SIGTERM drains: not ready, stop accepting, finish what is in flight, write the last
    checkpoint, exit.
    """
    configure(settings.log_level, settings.log_format)
    tune_interpreter()
    with (
        sole_collector(settings),
        sole_processor(settings),
        explorer(settings) as pages,
    ):
        registry = CollectorRegistry()
        server = collector_server(settings, registry, lambda collector: beside(collector, pages))
        bound = server.bind()
        prepare(settings)
        processor = ProcessorThread(settings, registry, server.drain)
        processor.start()
        try:
            url = url_of(settings, bound)
            banner(url, settings.path_prefix, settings.data, explorer=url + PATH)
            server.run(handle_signals=True)
        finally:
            processor.stop()
    logger.info("stopped")
