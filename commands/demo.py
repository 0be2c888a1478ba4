"""`bookended demo`: sample sessions over real HTTP, through log and processor into SQL, and shown.

Part of the composition root: `run` on a free port, a player beside it. Imports `collecting`,
`embedded`, the samples and the report.
"""

import asyncio
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from rich.status import Status

from commands.collecting import collector_server, url_of
from commands.demo_report import as_json, outcome, show
from commands.embedded import ProcessorThread, now_ms, prepare
from commands.errors import Failure
from commands.http_client import Answer, CollectorClient, client
from commands.interpreter import tune_interpreter
from commands.locks import sole
from commands.logs import configure
from commands.options import takes
from commands.results import arrived
from commands.samples import Sample, samples
from commands.settings import Demonstrating, Running
from commands.storage import make_directory_of
from commands.tables import stderr, stdout

LATE_AFTER_S: Final = 5.3
"""A little more than the reorder window: what comes after it is late (docs/rules.md)."""
ROWS_WITHIN_S: Final = 30.0
CONNECTIONS: Final = 16


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
    """
    configure(settings.log_level, settings.log_format)
    began = time.monotonic()
    directory = _directory(settings.data)
    running = OnlyWhatIsSaid(
        data=directory,
        listen="127.0.0.1:0",
        checkpoint_interval=timedelta(milliseconds=200),
    )
    starting = stderr().status("Starting collector and processor ...")
    with starting as status, _serving(running) as url:
        titles = asyncio.run(_play(url, status))
        status.update("Waiting for the rows in SQL ...")
        _wait_for_rows(running.database_path, titles)
    result = outcome(running.database_path, {sid: title for sid, (title, _) in titles.items()})
    if settings.json_output:
        print(json.dumps(as_json(result, directory, time.monotonic() - began)))
    else:
        show(stdout(), result, directory)


def _directory(chosen: Path | None) -> Path:
    if chosen is None:
        return Path(tempfile.mkdtemp(prefix="bookended-demo-"))
    if chosen.is_dir() and any(chosen.iterdir()):
        raise Failure(f"{chosen} is not empty", "Give the demo a directory of its own.")
    return chosen


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


async def _play(url: str, status: Status) -> dict[str, tuple[str, int]]:
    """Plays all samples at once. Title and number of events by session id."""
    async with client(url, CONNECTIONS) as http:
        playing = [asyncio.create_task(_play_one(http, item)) for item in samples(now_ms())]
        status.update("Playing sample sessions over HTTP; one event is late on purpose ...")
        return {sid: (title, events) for sid, title, events in await asyncio.gather(*playing)}


async def _play_one(http: CollectorClient, sample: Sample) -> tuple[str, str, int]:
    bodies = [item.body for item in sample.sent]
    if sample.offline:
        location = _accepted(await http.downloaded(bodies)).location
    else:
        location = _accepted(await http.open(bodies[0])).location
        for body in bodies[1:]:
            _accepted(await http.event(location, body))
    if sample.late:
        await asyncio.sleep(LATE_AFTER_S)
    for item in sample.late:
        _accepted(await http.event(location, item.body))
    return location.rsplit("/", 1)[-1], sample.title, len(bodies) + len(sample.late)


def _accepted(answer: Answer) -> Answer:
    if not answer.is_accepted:
        raise Failure(
            f"the demo's own collector answered {answer.status or 'nothing'}: {answer.message}",
            "Run it again with --log-level debug, and report what it says.",
        )
    return answer


def _wait_for_rows(database: Path, titles: dict[str, tuple[str, int]]) -> None:
    deadline = time.monotonic() + ROWS_WITHIN_S
    wanted = {sid: events for sid, (_, events) in titles.items()}
    while arrived(database) != wanted:
        if time.monotonic() > deadline:
            raise Failure(
                f"the rows of the demo did not come into {database} within {ROWS_WITHIN_S:.0f} s",
                "Run it again with --log-level debug, and report what it says.",
            )
        time.sleep(0.05)
