"""Every test of a report runs on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

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
