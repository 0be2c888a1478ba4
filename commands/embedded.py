"""The embedded log and database: made ready, and the processor over them in a thread of its own.

Part of the composition root. The collector's side of the log is made here too, so that `process`
may be started before `collect`. Imports `ingest`, `processor`, `migrations`.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from commands.errors import Failure
from commands.settings import Processing
from commands.storage import must_be_writable, touching
from ingest.log_file import prepare_log
from migrations import NewerSchemaError, upgrade
from processor.closes import ClosesRelay
from processor.database import open_database
from processor.embedded_source import EmbeddedCloses, EmbeddedSource, LogRetention
from processor.processor_metrics import ProcessorMetrics
from processor.projection import Projection, ensure_live_projection
from processor.runner import Clocks, Runner, RunnerSettings

logger = structlog.get_logger("bookended")


def now_ms() -> int:
    """The wall clock, ms since the epoch."""
    return time.time_ns() // 1_000_000


def make_directory_of(path: Path) -> None:
    """Makes the directory that a file is to lie in, for this user only.

    Errors: `Failure`, also when directory or file are there and cannot be written to: told now,
    instead of with every request.
    """
    with touching("data directory", path.parent):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    must_be_writable("data directory", path.parent)
    if path.exists():
        must_be_writable("file", path)


@contextmanager
def database(path: Path, *, read_only: bool = False) -> Iterator[Engine]:
    """The embedded database's engine, disposed of at the end of the block."""
    engine = open_database(f"sqlite:///{path}", read_only=read_only)
    try:
        yield engine
    finally:
        engine.dispose()


def prepare(settings: Processing) -> None:
    """Log and database at this release's schema, made if there are none.

    Errors: `Failure`, and those that `known_failure` knows. Each file is made whole or not at all.
    """
    log_path, path, policy = settings.log_path, settings.database_path, settings.policy
    make_directory_of(log_path)
    prepare_log(log_path)
    make_directory_of(path)
    with touching("database", path), database(path) as engine:
        migrate_database(path, engine)
        projection = ensure_live_projection(engine, policy, now_ms())
        rules = Projection(engine, projection).rules()
    if rules.policy != policy:
        logger.warning(
            "policy_not_used",
            reason="the projection keeps the rules it was made with; the settings say others",
            projection=str(rules.policy),
            settings=str(policy),
        )


def migrate_database(path: Path, engine: Engine) -> bool:
    """Brings the database to this release's schema; whether there was anything to do."""
    try:
        return upgrade(engine)
    except NewerSchemaError as error:
        what, _, next_step = str(error).removeprefix("the database").rpartition("; ")
        raise Failure(
            f"database {path}{what}", f"{next_step[:1].upper()}{next_step[1:]}."
        ) from error


@contextmanager
def _runner(settings: Processing, registry: CollectorRegistry) -> Iterator[Runner]:
    """The processor over the embedded files. SQLite wants it made in the thread that uses it."""
    log_path = settings.log_path
    with ExitStack() as stack:
        engine = stack.enter_context(database(settings.database_path))
        projection = ensure_live_projection(engine, settings.policy, now_ms())
        source = stack.enter_context(closing(EmbeddedSource(log_path)))
        closes = stack.enter_context(closing(EmbeddedCloses(log_path, now_ms)))
        retention = None
        if settings.log_retention is not None:
            kept_ms = round(settings.log_retention.total_seconds() * 1000)
            retention = stack.enter_context(closing(LogRetention(log_path, kept_ms, now_ms)))
        yield Runner(
            source,
            Projection(engine, projection),
            ClosesRelay(engine, projection, closes),
            ProcessorMetrics(registry),
            Clocks(now_ms, time.monotonic),
            RunnerSettings(
                checkpoint_interval_s=settings.checkpoint_interval.total_seconds(),
                checkpoint_events_max=settings.checkpoint_events,
            ),
            retention,
        )


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
        self._thread = threading.Thread(target=self._run, name="processor")

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            with _runner(self._settings, self._registry) as runner:
                runner.run(self._stop)
        except Exception as error:  # noqa: BLE001 - the thread's main loop: `stop` raises it
            self._error = error
        finally:
            self._ended()

    def stop(self) -> None:
        """Writes the last checkpoint. Raises what ended the processor before it was asked to."""
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
