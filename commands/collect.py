"""`bookended collect`: the collector alone, into the log that a `process` beside it reads.

Part of the composition root. Imports `collecting`, the locks and the settings.
"""

from prometheus_client import CollectorRegistry

from commands.collecting import collector_server, url_of
from commands.embedded import make_directory_of
from commands.locks import sole
from commands.logs import configure
from commands.options import takes
from commands.settings import Collecting
from commands.tables import banner
from ingest.log_file import prepare_log


@takes(Collecting)
def command(settings: Collecting) -> None:
    """Runs the collector alone: takes events over HTTP into the log.

    Ctrl-C or SIGTERM drains: not ready, stop accepting, finish what is in flight, exit.
    """
    configure(settings.log_level, settings.log_format)
    make_directory_of(settings.log_path)
    with sole("collector", settings.log_path):
        server = collector_server(settings, CollectorRegistry())
        bound = server.bind()
        prepare_log(settings.log_path)
        banner(url_of(settings, bound), settings.data)
        server.run(handle_signals=True)
