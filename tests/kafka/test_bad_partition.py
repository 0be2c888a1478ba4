"""A topic that something else writes to, over a real broker: the processor stops and says so."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from commands.kafka_topics import migrate_topics
from deploy.local import LocalKafka
from models.kafka_log import KafkaLog
from models.placement import Placement, parse_partition_counts
from processor.memory import JUDGED_RECORDS
from tests.commands.processes import PATIENCE_S, Cli, Server
from tests.kafka.broker import collect_sockets, new_topic, producer

TWO = Placement(parse_partition_counts("2"))


@pytest.fixture
def log(broker: LocalKafka) -> Iterator[KafkaLog]:
    """One partition with nothing but nonsense in it, one that is empty."""
    made = new_topic(broker.bootstrap, TWO.partitions)
    migrate_topics(made, TWO, None)
    client = producer(made)
    for _ in range(JUDGED_RECORDS + 1):
        client.send(made.topic, b"nonsense", b"key", partition=1)
    client.close()
    yield made
    collect_sockets()


def test_it_stops_and_goes_on_when_told_to(log: KafkaLog, tmp_path: Path) -> None:
    settings = {"BOOKENDED_LOG": str(log), "BOOKENDED_PARTITIONS": "2"}
    # All of them lie in memory when it stops: its next start meets them again.
    unhurried = ("--checkpoint-interval", "1m")
    cli = Cli(tmp_path)
    for _ in range(2):
        done = cli("process", *unhurried, **settings)
        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert last.startswith(
            f"bookended: {JUDGED_RECORDS} of the latest {JUDGED_RECORDS} records"
        )
        assert "partition 1 break the contract" in last
        assert last.endswith("once with --accept-bad-records if there are more of them ahead.")
        assert dead_letters(tmp_path) == 0
    server = Server(tmp_path, ("process", "--accept-bad-records"), settings)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while dead_letters(tmp_path) <= JUDGED_RECORDS:
            assert time.monotonic() < deadline, server.lines
            time.sleep(0.1)
        assert server.stop() == 0
    finally:
        server.end()


def dead_letters(folder: Path) -> int:
    path = folder / "bookended-data" / "analytics.db"
    with closing(sqlite3.connect(path)) as connection:
        count: int = connection.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
        return count
