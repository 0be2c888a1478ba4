"""The processor's Prometheus metrics: every name once, as a typed list.

Beside the record's way: `runner` sets them, whoever serves `/metrics` gives the registry. Imports
nothing of the project.
"""

from collections.abc import Collection
from typing import Final, Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metric(NamedTuple):
    """One metric as it is scraped."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    text: str


_PREFIX: Final = "bookended_processor_"
_PARTITION: Final = ("partition",)
PROCESSOR_METRICS: Final = (
    Metric(f"{_PREFIX}lag_records", "gauge", _PARTITION, "Records in the log not yet folded."),
    Metric(
        f"{_PREFIX}lag_seconds",
        "gauge",
        _PARTITION,
        "Age of the record folded last while more wait behind it; 0 when caught up.",
    ),
    Metric(f"{_PREFIX}next_offset", "gauge", _PARTITION, "Offset that SQL goes on from."),
    Metric(f"{_PREFIX}live_sessions", "gauge", _PARTITION, "Sessions that can still change."),
    Metric(f"{_PREFIX}running", "gauge", (), "1 while it reads the log, else 0."),
    Metric(
        f"{_PREFIX}checkpoint_timestamp_seconds",
        "gauge",
        (),
        "When all that was read was last in SQL, as Unix time.",
    ),
    Metric(f"{_PREFIX}records_total", "counter", (), "Log records read."),
    Metric(f"{_PREFIX}events_total", "counter", (), "Events folded, whatever became of them."),
    Metric(f"{_PREFIX}late_events_total", "counter", (), "Events that came too late to wait."),
    Metric(f"{_PREFIX}duplicate_events_total", "counter", (), "Exact repeats, dropped."),
    Metric(f"{_PREFIX}dead_letters_total", "counter", (), "Records that break the contract."),
    Metric(f"{_PREFIX}lost_offsets_total", "counter", (), "Offsets in gaps that were accepted."),
    Metric(f"{_PREFIX}sessions_closed_total", "counter", ("reason",), "Sessions closed for good."),
    Metric(f"{_PREFIX}closes_published_total", "counter", (), "Closes told to the collectors."),
    Metric(f"{_PREFIX}claims_lost_total", "counter", (), "Partitions that another owner claimed."),
    Metric(f"{_PREFIX}retries_total", "counter", (), "Starts over because log or SQL was away."),
    Metric(f"{_PREFIX}fold_seconds", "histogram", (), "Decoding and folding one batch."),
    Metric(
        f"{_PREFIX}checkpoint_seconds", "histogram", (), "Summarizing and writing a checkpoint."
    ),
)
_BY_NAME: Final = {metric.name: metric for metric in PROCESSOR_METRICS}
_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class PartitionFigures(NamedTuple):
    """What is shown of one partition, in the order of the metrics."""

    lag_records: int
    lag_seconds: float
    next_offset: int
    live_sessions: int


class ProcessorMetrics:
    """The metrics above in one registry. Safe to read from other threads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._shown: set[int] = set()
        self.lag_records = self._gauge("lag_records")
        self.lag_seconds = self._gauge("lag_seconds")
        self.next_offset = self._gauge("next_offset")
        self.live_sessions = self._gauge("live_sessions")
        self.running = self._gauge("running")
        self.checkpoint_timestamp_seconds = self._gauge("checkpoint_timestamp_seconds")
        self.records = self._counter("records_total")
        self.events = self._counter("events_total")
        self.late_events = self._counter("late_events_total")
        self.duplicate_events = self._counter("duplicate_events_total")
        self.dead_letters = self._counter("dead_letters_total")
        self.lost_offsets = self._counter("lost_offsets_total")
        self.sessions_closed = self._counter("sessions_closed_total")
        self.closes_published = self._counter("closes_published_total")
        self.claims_lost = self._counter("claims_lost_total")
        self.retries = self._counter("retries_total")
        self.fold_seconds = self._histogram("fold_seconds")
        self.checkpoint_seconds = self._histogram("checkpoint_seconds")

    def show(self, partition: int, figures: PartitionFigures) -> None:
        """Shows how one partition is."""
        self._shown.add(partition)
        for gauge, value in zip(self._of_partition(), figures, strict=True):
            gauge.labels(str(partition)).set(value)

    def count_events(self, events: int, late: int, duplicate: int) -> None:
        """Events folded, and how many of them were late or repeats."""
        self.events.inc(events)
        self.late_events.inc(late)
        self.duplicate_events.inc(duplicate)

    def hide_all_but(self, partitions: Collection[int]) -> None:
        """Those that are no more ours: the processor that has them shows them."""
        for partition in self._shown - set(partitions):
            for gauge in self._of_partition():
                gauge.remove(str(partition))
        self._shown &= set(partitions)

    def _of_partition(self) -> tuple[Gauge, ...]:
        return (self.lag_records, self.lag_seconds, self.next_offset, self.live_sessions)

    def _gauge(self, name: str) -> Gauge:
        metric = _BY_NAME[_PREFIX + name]
        return Gauge(metric.name, metric.text, metric.labels, registry=self._registry)

    def _counter(self, name: str) -> Counter:
        metric = _BY_NAME[_PREFIX + name]
        return Counter(metric.name, metric.text, metric.labels, registry=self._registry)

    def _histogram(self, name: str) -> Histogram:
        metric = _BY_NAME[_PREFIX + name]
        return Histogram(
            metric.name, metric.text, metric.labels, registry=self._registry, buckets=_BUCKETS_S
        )
