"""The metrics: every name of the list is scraped, and counts what it says."""

import re

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from ingest.metrics import METRICS, PUBLISH_BUCKETS_S, CollectorMetrics
from ingest.publisher import PublishError
from models.records import EVENT_TYPES
from tests.ingest.bodies import downloaded, event, valid
from tests.ingest.servers import NO_SESSION, Running

ACCEPTED = "bookended_collector_events_accepted_total"
REJECTED = "bookended_collector_requests_rejected_total"


def test_every_metric_is_scraped_with_its_kind_and_label(own: Running) -> None:
    own.send(own.open())
    answer = own.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {
        family.name: family for family in text_string_to_metric_families(answer.body.decode())
    }
    assert len(families) == len(METRICS)
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.says)
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        assert labels == ({metric.label} if metric.label else set())


def test_names_say_their_unit() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"bookended_collector_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")


def test_events_are_counted_by_type(own: Running) -> None:
    location = own.open()
    for name in EVENT_TYPES[1:]:
        own.send(location, valid(name))
    own.post("/api/v1/downloaded", downloaded())
    counts = {name: own.metric(ACCEPTED, event_type=name) for name in EVENT_TYPES}
    assert counts == {
        **dict.fromkeys(EVENT_TYPES, 1),
        "sessionStart": 2,
        "play": 2,
        "sessionEnd": 2,
    }
    assert own.metric("bookended_collector_publish_seconds_count") == len(EVENT_TYPES) + 1


@pytest.mark.parametrize(
    ("reason", "method", "path", "body"),
    [
        ("invalid_body", "POST", "/api/v1/sessions", b"{"),
        ("unknown_session", "POST", f"/api/v1/sessions/{NO_SESSION}/events", b"{}"),
        ("not_found", "GET", "/", None),
        ("unknown_schema", "GET", "/api/v1/schemas/x", None),
        ("method_not_allowed", "GET", "/api/v1/sessions", None),
        ("too_large", "POST", "/api/v1/sessions", b" " * 70_000),
    ],
)
def test_refusals_are_counted_by_reason(
    own: Running, reason: str, method: str, path: str, body: bytes | None
) -> None:
    own.ask(method, path, body)
    assert own.metric(REJECTED, reason=reason) == 1
    assert sum(own.collector.metrics.rejected.values()) == 1


def test_what_the_log_refuses_is_not_accepted(own: Running) -> None:
    location = own.open()
    own.log.fault = PublishError("log_away", "refused", 1)
    own.send(location, event("play"))
    assert own.metric(ACCEPTED, event_type="play") == 0
    assert own.metric(REJECTED, reason="log_away") == 1


def test_the_histogram_is_cumulative() -> None:
    registry = CollectorRegistry()
    metrics = CollectorMetrics(registry)
    for seconds in (0.0005, 0.001, 0.3, 100.0):
        metrics.observe_publish(seconds)
    name = "bookended_collector_publish_seconds"
    buckets = [
        registry.get_sample_value(f"{name}_bucket", {"le": str(bound)})
        for bound in (*PUBLISH_BUCKETS_S, "+Inf")
    ]
    assert buckets == [2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4]
    assert registry.get_sample_value(f"{name}_sum") == pytest.approx(100.3015)
