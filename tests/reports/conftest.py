"""Every test of a report runs on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

import migrations
from processor.database import open_database
from tests.reports.rows import Rows


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with the newest schema and no rows."""
    if request.param == "postgresql":
        yield request.getfixturevalue("postgres_engine")
        return
    engine = open_database(f"sqlite:///{tmp_path}/analytics.db")
    migrations.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def rows(engine: Engine) -> Rows:
    return Rows(engine)
