"""`bookended collect`: the collector alone, into the log that a `process` beside it reads.

Part of the composition root. Imports `collecting`, `log_parts` and the settings.
"""

from prometheus_client import CollectorRegistry

from commands.collecting import collector_server, url_of
from commands.interpreter import look_seldom_for_garbage
from commands.log_parts import prepare_log_of, sole_collector
from commands.logs import configure
from commands.options import takes
from commands.settings import Collecting
from commands.tables import banner


@takes(Collecting)
def command(settings: Collecting) -> None:
    """Runs the collector alone: takes events over HTTP into the log.

    Ctrl-C or SIGTERM drains: not ready, stop accepting, finish what is in flight, exit.
    """
    configure(settings.log_level, settings.log_format)
    look_seldom_for_garbage()
    with sole_collector(settings):
        server = collector_server(settings, CollectorRegistry())
        bound = server.bind()
        prepare_log_of(settings)
        banner(url_of(settings, bound), settings.path_prefix, settings.data)
        server.run(handle_signals=True)
