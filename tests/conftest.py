"""What all tests share: hypothesis without a clock, and async tests on asyncio.

Fixtures of one part stand in the conftest.py of that part's folder.
"""

import logging

import hypothesis
import pytest
import structlog

pytest_plugins = ["tests.servers", "tests.kafka.broker", "tests.postgres", "tests.workers"]

# A slow or busy machine must not fail a test: no deadline, no health check that measures time.
hypothesis.settings.register_profile(
    "bookended",
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("bookended")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests marked `anyio` run on asyncio, as the program does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def logging_as_at_the_start() -> None:
    """A command run inside the test process sends all logs to its own stderr, for good; undone."""
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(handler)
    root.setLevel(logging.WARNING)
