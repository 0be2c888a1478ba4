"""Several workers in one run (`make test`, pytest-xdist): how many, and which files go first.

A file's tests stay together, in their order, and so do those of a few folders. Workers share no
server: each starts its own when the first of its tests wants one, so that roles, databases and
topics never meet. Only for tests.
"""

import gc
import os
from typing import Any, Final

import pytest

WORKERS_MORE: Final = 1
"""Workers beyond one a CPU: tests of servers wait for half of their time and more, but two a CPU
made some of them miss what they waited for."""

LONGEST_FIRST: Final = tuple(
    f"tests/{name}.py"
    for name in """
        simulation/test_chaos simulation/test_crash deploy/test_image rebuild/test_sigkill
        contract/test_kafka_source contract/test_librdkafka_source contract/test_kafka_publisher
        commands/test_demo_kafka rebuild/test_postgres_kafka kafka/test_processes
        kafka/test_security contract/test_kafka_closes dead_letters/test_replay test_wheel
        test_readme test_bench rebuild/test_commands properties/test_fold_properties
        reference/test_second_reading deploy/test_spark deploy/test_compose_runs
    """.split()
)
"""Files that take longest, so that none of them begins when all others are done."""


TOGETHER: Final = ("tests/explore/browser",)
"""Folders whose files have more in common than a second worker would save: a browser, and the
screenshots of the run."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile`, but for `TOGETHER`."""
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - only where there are workers

    made = LoadFileScheduling(config, log)
    made._split_scope = unit_of
    return made


def unit_of(nodeid: str) -> str:
    """What goes to one worker, of all that this test is in."""
    file = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if file.startswith(f"{folder}/")), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means here."""
    return (os.cpu_count() or 1) + WORKERS_MORE


def pytest_collection_finish() -> None:
    """All that was collected stays: looking for garbage among it, as the tests of Kafka do at their
    ends, would take a third of a second each time."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without workers the order is that of the files' names."""
    if hasattr(config, "workerinput"):
        places = {name: place for place, name in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))
