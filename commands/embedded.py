"""The embedded log and database: made ready, and the processor over them in a thread of its own.

Part of the composition root. The collector's side of the log is made here too, so that `process`
may be started before `collect`. Imports `ingest`, `processor`, `migrations`.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from prometheus_client import CollectorRegistry

from commands.database import database, prepare_database
from commands.log_parts import prepare_log_of, processor_log
from commands.settings import Processing, ProcessingAlone
from processor.closes import ClosesRelay
from processor.pace import RunnerSettings
from processor.processor_metrics import ProcessorMetrics
from processor.projection import Projection, ensure_live_projection
from processor.runner import Clocks, Runner

POLL_RECORDS_ALONE: Final = 5_000
"""Records at a time of a processor in a process of its own: about 50 ms of work."""


def now_ms() -> int:
    """The wall clock, ms since the epoch."""
    return time.time_ns() // 1_000_000


def prepare(settings: Processing) -> None:
    """Log and database at this release's schema; embedded ones are made if there are none.

    Errors: `Failure`, and those that `known_failure` knows. Each file is made whole or not at all.
    """
    prepare_log_of(settings)
    prepare_database(settings, settings, now_ms())


@contextmanager
def _runner(settings: Processing, registry: CollectorRegistry) -> Iterator[Runner]:
    """The processor over the embedded files. SQLite wants it made in the thread that uses it."""
    with ExitStack() as stack:
        engine = stack.enter_context(database(settings))
        projection = ensure_live_projection(engine, settings.policy, now_ms())
        log = processor_log(settings, stack, now_ms)
        yield Runner(
            log.source,
            Projection(engine, projection, follows_live=True),
            ClosesRelay(engine, log.closes),
            ProcessorMetrics(registry),
            Clocks(now_ms, time.monotonic),
            RunnerSettings(
                checkpoint_interval_s=settings.checkpoint_interval.total_seconds(),
                checkpoint_events_max=settings.checkpoint_events,
                accepts_bad_records=settings.accept_bad_records,
                accepts_gaps=settings.accept_gap,
                poll_records_max=_poll_records_max(settings),
            ),
            log.retention,
        )


def _poll_records_max(settings: Processing) -> int:
    """Small slices only where a collector's requests wait for the same interpreter: a poll looks up
    in SQL which of its sessions are closed, and large ones do that less often."""
    if isinstance(settings, ProcessingAlone):
        return POLL_RECORDS_ALONE
    return RunnerSettings().poll_records_max


class ProcessorThread:
    """The processor at work beside the thread that started it.

    `ended` is called from the processor's thread when it ends, also when it was not asked to.
    """

    def __init__(
        self, settings: Processing, registry: CollectorRegistry, ended: Callable[[], object]
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._ended = ended
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._runner: Runner | None = None
        self._thread = threading.Thread(target=self._run, name="processor")

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            with _runner(self._settings, self._registry) as runner:
                self._runner = runner
                runner.run(self._stop)
        except Exception as error:  # noqa: BLE001 - the thread's main loop: `stop` raises it
            self._error = error
        finally:
            self._ended()

    def reason_not_ready(self) -> str:
        """Why it does not read the log and write SQL now; empty when it does. From any thread."""
        if self._stop.is_set():
            return "draining"
        if self._runner is None:
            return "starting"
        state, reason = self._runner.status
        return "" if state == "running" else ": ".join(filter(None, (state, reason)))

    def stop(self) -> None:
        """Writes the last checkpoint. Raises what ended the processor before it was asked to."""
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
