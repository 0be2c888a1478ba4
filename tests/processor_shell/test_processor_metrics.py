"""The list of metrics is what is scraped."""

from prometheus_client import CollectorRegistry

from processor.processor_metrics import PROCESSOR_METRICS, ProcessorMetrics


def test_the_list_is_what_is_scraped() -> None:
    registry = CollectorRegistry()
    ProcessorMetrics(registry)
    scraped = {(family.name, family.type) for family in registry.collect()}
    listed = {(m.name.removesuffix("_total"), m.kind) for m in PROCESSOR_METRICS}
    assert scraped == listed


def test_names_say_their_unit() -> None:
    for metric in PROCESSOR_METRICS:
        assert metric.name.startswith("bookended_processor_")
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert metric.text.endswith(".")
