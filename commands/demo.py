"""`bookended demo`: sample sessions over real HTTP, through log and processor into SQL, and shown.

Part of the composition root: `run` on a free port, a player beside it. Imports `collecting`,
`embedded`, the samples and the report.
"""

import asyncio
import importlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from prometheus_client import CollectorRegistry
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from commands.collecting import collector_server, url_of
from commands.demo_players import demo_directory, play, wait_for_rows
from commands.demo_report import as_json, outcome, show, show_next
from commands.embedded import ProcessorThread, prepare
from commands.interpreter import tune_interpreter
from commands.locks import sole
from commands.logs import configure
from commands.options import takes
from commands.settings import Demonstrating, Running
from commands.storage import make_directory_of
from commands.tables import stderr, stdout


class OnlyWhatIsSaid(Running):
    """A server's settings that no variable of the user's own server finds its way into."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


@takes(Demonstrating)
def command(settings: Demonstrating) -> None:
    """Plays sample sessions over HTTP against a server of its own, and shows the rows in SQL.

    Needs nothing and changes nothing but one directory, which it keeps and names. Takes some
    seconds: one of the sessions has an event that is late on purpose.

    With --kafka the same goes through a real Kafka and a real PostgreSQL that it starts for itself
    and stops again, with a collector and two processors in processes of their own.
    """
    configure(settings.log_level, settings.log_format)
    began = time.monotonic()
    if settings.kafka:
        # Imported only on demand: it needs the extra `local`.
        importlib.import_module("commands.demo_kafka").run(settings, began)
        return
    directory = demo_directory(settings.data)
    running = OnlyWhatIsSaid(
        data=directory,
        listen="127.0.0.1:0",
        checkpoint_interval=timedelta(milliseconds=200),
    )
    starting = stderr().status("Starting collector and processor ...")
    with starting as status, _serving(running) as url:
        played = asyncio.run(play(url, status))
        status.update("Waiting for the rows in SQL ...")
        wait_for_rows(running.database_path, played)
    result = outcome(running.database_path, played)
    if settings.json_output:
        print(json.dumps(as_json(result, str(directory), time.monotonic() - began)))
    else:
        show(stdout(), result)
        show_next(stdout(), directory)


@contextmanager
def _serving(settings: Running) -> Iterator[str]:
    """Collector and processor at work inside the block; its URL."""
    tune_interpreter()
    make_directory_of(settings.log_path)
    with sole("collector", settings.log_path), sole("processor", settings.processor_lock_path):
        registry = CollectorRegistry()
        server = collector_server(settings, registry)
        url = url_of(settings, server.bind())
        prepare(settings)
        processor = ProcessorThread(settings, registry, server.drain)
        collector = threading.Thread(target=lambda: server.run(handle_signals=False))
        processor.start()
        collector.start()
        try:
            server.started.wait()
            yield url
        finally:
            server.drain()
            collector.join()
            processor.stop()
