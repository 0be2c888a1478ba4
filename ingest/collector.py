"""A collector put together: publisher, closes, app, started and stopped in the right order.

Beside the record's way: `commands` make one and hand it to `server`. Imports its neighbours only.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry

from ingest.app import AppConfig, CollectorApp
from ingest.closes import ClosesFollower, ClosesSource, EmbeddedCloses, KnownCloses
from ingest.embedded_publisher import EmbeddedPublisher
from ingest.metrics import CollectorMetrics
from ingest.publisher import Publisher
from ingest.sids import Sids


class Collector:
    """What stands behind the HTTP server. Lives on one event loop, from `start` to `stop`."""

    def __init__(
        self,
        config: AppConfig,
        publisher: Publisher,
        closes: ClosesSource,
        sids: Sids,
        registry: CollectorRegistry,
    ) -> None:
        self._publisher = publisher
        self._closes = ClosesFollower(closes, KnownCloses())
        self.metrics = CollectorMetrics(registry)
        self.app = CollectorApp(config, publisher, sids, self._closes, self.metrics)

    async def start(self) -> None:
        """Opens the log. Raises the log's errors when that cannot be."""
        await self._publisher.start()
        self._closes.start()

    def drain(self) -> None:
        """From now on not ready; requests are answered all the same."""
        self.app.is_draining = True

    async def stop(self) -> None:
        """Finishes what is in flight to the log. No request may come any more."""
        await self._publisher.stop()
        await self._closes.stop()
        self.app.close()


def embedded_collector(
    config: AppConfig,
    log_path: Path,
    keys: Sequence[bytes],
    clock: Callable[[], int],
    registry: CollectorRegistry,
) -> Collector:
    """A collector over the embedded log. `clock`: the wall clock, ms since the epoch."""
    return Collector(
        config,
        EmbeddedPublisher(log_path, clock),
        EmbeddedCloses(log_path),
        Sids(keys, clock),
        registry,
    )
