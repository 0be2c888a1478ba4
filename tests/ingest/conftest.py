"""Fixtures of the collector's tests: one running collector for most of them."""

from collections.abc import Iterator

import pytest

from tests.ingest.servers import Running, running


@pytest.fixture(scope="session")
def shared() -> Iterator[Running]:
    """A collector for tests that leave nothing behind."""
    with running() as made:
        yield made


@pytest.fixture
def own() -> Iterator[Running]:
    """A collector that the test may spoil."""
    with running() as made:
        yield made
