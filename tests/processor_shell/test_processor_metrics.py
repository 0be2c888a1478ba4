"""The list of metrics is what is scraped."""

from prometheus_client import CollectorRegistry

from processor.processor_metrics import (
    PROCESSOR_METRICS,
    PartitionFigures,
    ProcessorMetrics,
)


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


def test_a_partition_that_went_to_another_processor_is_shown_no_more() -> None:
    registry = CollectorRegistry()
    metrics = ProcessorMetrics(registry)
    for partition in (1, 2):
        metrics.show(partition, PartitionFigures(3, 4.5, 6, 7))
    metrics.hide_all_but([2])
    shown = {
        (sample.name.removeprefix("bookended_processor_"), sample.labels["partition"], sample.value)
        for family in registry.collect()
        for sample in family.samples
        if "partition" in sample.labels
    }
    figures = {"lag_records": 3, "lag_seconds": 4.5, "next_offset": 6, "live_sessions": 7}
    assert shown == {(name, "2", value) for name, value in figures.items()}
    metrics.hide_all_but([])
    metrics.show(1, PartitionFigures(0, 0, 0, 0))
