"""Every page is asked for over real HTTP, on both databases."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.explore.served import Site, serving
from tests.reports.rows import Rows
from tests.sqlite import new_sqlite


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with the newest schema and no rows."""
    if request.param == "postgresql":
        yield request.getfixturevalue("postgres_engine")
        return
    engine = new_sqlite(tmp_path / "analytics.db")
    yield engine
    engine.dispose()


@pytest.fixture
def rows(engine: Engine) -> Rows:
    return Rows(engine)


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    """Starts the explorer on a database; it ends with the test."""
    with ExitStack() as stack:
        yield lambda engine, **more: stack.enter_context(serving(engine, **more))


@pytest.fixture
def site(engine: Engine, serve: Callable[..., Site]) -> Site:
    """The explorer on the test's database, for people on this machine."""
    return serve(engine)
