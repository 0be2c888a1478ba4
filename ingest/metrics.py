"""What the collector counts, by name: the list is the contract of docs/http.md "Metrics".

Beside the record's way. Counted in plain numbers on the event loop, one counter costs a request
little; made into metrics when a scrape asks. All go to the registry that is passed in, so that
collector and processor of one process show theirs together. Imports `models` and its neighbours
only.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ingest.problems import REASONS
from models.records import EVENT_TYPES

PREFIX: Final = "bookended_collector_"
PUBLISH_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Named(NamedTuple):
    """One metric: its name as scraped, its kind, its label if any, what it says."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    says: str
    label: str = ""


ACCEPTED: Final = Named(
    PREFIX + "events_accepted_total",
    "counter",
    "Events that the log has, by type.",
    "event_type",
)
REJECTED: Final = Named(
    PREFIX + "requests_rejected_total",
    "counter",
    "Requests that were refused or failed, by reason.",
    "reason",
)
PUBLISH: Final = Named(
    PREFIX + "publish_seconds",
    "histogram",
    "Time from handing a record to the log to its acknowledgement.",
)
REQUESTS: Final = Named(PREFIX + "requests_in_flight", "gauge", "Requests being worked on.")
BODY_BYTES: Final = Named(
    PREFIX + "body_bytes_in_flight", "gauge", "Bytes held of bodies that came in parts."
)
RECORDS: Final = Named(
    PREFIX + "records_in_flight", "gauge", "Records that the log has not answered for."
)
RECORD_BYTES: Final = Named(PREFIX + "record_bytes_in_flight", "gauge", "Bytes those hold.")
CONNECTIONS: Final = Named(PREFIX + "connections", "gauge", "Open connections.")
CLOSES: Final = Named(PREFIX + "closes_known", "gauge", "Closed sessions that 410 rests on.")
READY: Final = Named(PREFIX + "ready", "gauge", "1 when ready for traffic, else 0.")

METRICS: Final = (
    ACCEPTED,
    REJECTED,
    PUBLISH,
    REQUESTS,
    BODY_BYTES,
    RECORDS,
    RECORD_BYTES,
    CONNECTIONS,
    CLOSES,
    READY,
)


class CollectorMetrics(Collector):
    """The metrics of one collector, in a registry of the caller's. Used on one event loop."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.accepted: dict[str, int] = dict.fromkeys(EVENT_TYPES, 0)
        self.rejected: dict[str, int] = dict.fromkeys(REASONS, 0)
        self._publish_counts = [0] * (len(PUBLISH_BUCKETS_S) + 1)
        self._publish_sum_s = 0.0
        self._gauges: dict[Named, Callable[[], float]] = {}
        registry.register(self)

    def reject(self, reason: str) -> None:
        """Counts a request that was refused or failed."""
        self.rejected[reason] += 1

    def observe_publish(self, seconds: float) -> None:
        """Counts one acknowledgement of the log."""
        self._publish_counts[bisect_left(PUBLISH_BUCKETS_S, seconds)] += 1
        self._publish_sum_s += seconds

    def watch(self, metric: Named, read: Callable[[], float]) -> None:
        """Shows what `read` says at each scrape."""
        self._gauges[metric] = read

    def collect(self) -> Iterator[Metric]:
        """What prometheus_client asks for at a scrape."""
        for metric, counts in ((ACCEPTED, self.accepted), (REJECTED, self.rejected)):
            counter = CounterMetricFamily(metric.name, metric.says, labels=[metric.label])
            for value, count in counts.items():
                counter.add_metric([value], count)
            yield counter
        histogram = HistogramMetricFamily(PUBLISH.name, PUBLISH.says)
        histogram.add_metric([], self._publish_buckets(), self._publish_sum_s)
        yield histogram
        for metric, read in self._gauges.items():
            yield GaugeMetricFamily(metric.name, metric.says, value=read())

    def _publish_buckets(self) -> list[tuple[str, float]]:
        below = 0
        buckets = []
        for bound, count in zip((*PUBLISH_BUCKETS_S, "+Inf"), self._publish_counts, strict=True):
            below += count
            buckets.append((str(bound), float(below)))
        return buckets
