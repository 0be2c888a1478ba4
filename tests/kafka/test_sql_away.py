"""PostgreSQL away for longer than Kafka waits for a silent reader: the processor stays a member."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import migrations
from commands.kafka_topics import migrate_topics
from deploy.local import LocalKafka, LocalPostgres
from models.avro import encode
from models.kafka_log import KafkaLog
from models.placement import Placement, parse_partition_counts
from processor.database import open_database
from processor.group import Membership
from processor.kafka_closes import KafkaCloses
from processor.kafka_source import KafkaSource
from processor.pace import RunnerSettings
from processor.projection import ensure_live_projection
from tests.commands.processes import PATIENCE_S
from tests.contract.tables import live_ids
from tests.kafka.broker import admin, collect_sockets, new_topic, producer
from tests.processor_shell.postgres_world import PostgresWorld
from tests.processor_shell.world import event, session_id
from tests.reference.plans import T0

DONE_WITHIN_S = 120.0
MEMBERSHIP = Membership(
    "away", session_timeout_ms=1_500, heartbeat_interval_ms=200, poll_interval_ms_max=3_000
)
AWAY_S = 8.0
"""Longer than both, and than two pauses of the greatest length."""


@pytest.fixture
def log(broker: LocalKafka) -> Iterator[KafkaLog]:
    made = new_topic(broker.bootstrap)
    migrate_topics(made, Placement(parse_partition_counts("1")), None)
    yield made
    collect_sockets()


class Steadily(PostgresWorld):
    """With a steady clock that is one."""

    def steady(self) -> float:
        return time.monotonic()


def members(log: KafkaLog) -> list[str]:
    with admin(log.servers[0]) as client:
        (group,) = client.describe_groups([MEMBERSHIP.group]).values()
    return [member["member_id"] for member in group["members"]]


def publish(client: Any, log: KafkaLog, number: int) -> None:
    value = encode(session_id(number), (event("play", 0),))
    client.send(log.topic, value, session_id(number).encode(), partition=0).get(PATIENCE_S)


def until_live(world: PostgresWorld, numbers: range) -> None:
    deadline = time.monotonic() + DONE_WITHIN_S
    while live_ids(world.engine) != {session_id(number) for number in numbers}:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_processor_that_cannot_write_stays_a_member(tmp_path: Path, log: KafkaLog) -> None:
    stop = threading.Event()
    with LocalPostgres(tmp_path / "postgres") as postgres:
        engine = open_database(postgres.url)
        migrations.upgrade(engine)
        ensure_live_projection(engine, replace(PostgresWorld.policy), T0)
        engine.dispose()
        world = Steadily(tmp_path, settings=RunnerSettings(backoff_max_s=4.0), url=postgres.url)
        world.now_ms = T0
        with closing(KafkaSource(log, MEMBERSHIP)) as source, closing(KafkaCloses(log)) as sink:
            thread = threading.Thread(target=world.runner(source, sink).run, args=(stop,))
            thread.start()
            try:
                with closing(producer(log)) as client:
                    publish(client, log, 1)
                    until_live(world, range(1, 2))
                    before = members(log)
                    assert len(before) == 1
                    postgres.stop()
                    for number in range(2, 6):
                        publish(client, log, number)
                        time.sleep(AWAY_S / 4)
                    assert members(log) == before
                    postgres.start()
                    until_live(world, range(1, 6))
                    assert members(log) == before
            finally:
                stop.set()
                thread.join(30)
        world.close()
