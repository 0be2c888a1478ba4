"""Every page is asked for over real HTTP, on both databases."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import Engine

from tests.explore.served import Site, serving
from tests.reports.conftest import engine, rows

__all__ = ["engine", "rows", "serve", "site"]


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    """Starts the explorer on a database; it ends with the test."""
    with ExitStack() as stack:
        yield lambda engine, **more: stack.enter_context(serving(engine, **more))


@pytest.fixture
def site(engine: Engine, serve: Callable[..., Site]) -> Site:
    """The explorer on the test's database, for people on this machine."""
    return serve(engine)
