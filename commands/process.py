"""`bookended process`: the processor alone, over the log that a `collect` beside it writes.

Part of the composition root. Imports `embedded`, the locks and the settings.
"""

import asyncio
import signal
from contextlib import AbstractContextManager, nullcontext

import structlog
from prometheus_client import CollectorRegistry

from commands.embedded import ProcessorThread, prepare
from commands.health import serving
from commands.interpreter import tune_interpreter
from commands.log_parts import sole_processor
from commands.logs import configure
from commands.options import takes
from commands.settings import ProcessingAlone
from commands.values import parse_address

logger = structlog.get_logger("bookended")


@takes(ProcessingAlone)
def command(settings: ProcessingAlone) -> None:
    """Runs the processor alone: reads the log, writes sessions to the database.

    Ctrl-C or SIGTERM ends it with a last checkpoint.
    """
    configure(settings.log_level, settings.log_format)
    tune_interpreter()
    prepare(settings)
    registry = CollectorRegistry()
    with sole_processor(settings):
        asyncio.run(_process(settings, registry))


async def _process(settings: ProcessingAlone, registry: CollectorRegistry) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    processor = ProcessorThread(settings, registry, lambda: loop.call_soon_threadsafe(ended.set))
    with _shown(settings, registry, processor):
        await _work(settings, processor, ended)


def _shown(
    settings: ProcessingAlone, registry: CollectorRegistry, processor: ProcessorThread
) -> AbstractContextManager[object]:
    if settings.metrics_listen is None:
        return nullcontext()
    return serving(parse_address(settings.metrics_listen), registry, processor.reason_not_ready)


async def _work(
    settings: ProcessingAlone, processor: ProcessorThread, ended: asyncio.Event
) -> None:
    processor.start()
    log = str(settings.kafka or settings.log_path)
    logger.info("processing", log=log, database=settings.database_name)
    await ended.wait()
    logger.info("draining")
    await asyncio.to_thread(processor.stop)
    logger.info("stopped")
