"""What the tests of the local servers share: servers that end with their test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import LocalKafka
from deploy.local.postgres import LocalPostgres


@pytest.fixture
def local_kafka(tmp_path: Path) -> Iterator[LocalKafka]:
    """A broker that was started; the test may do with it what it likes."""
    with LocalKafka(tmp_path / "kafka") as server:
        yield server


@pytest.fixture
def local_postgres(tmp_path: Path) -> Iterator[LocalPostgres]:
    """A database server that was started; the test may do with it what it likes."""
    with LocalPostgres(tmp_path / "postgres") as server:
        yield server
