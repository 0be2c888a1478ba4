"""The example of a producer that leaves out HTTP, run against a real broker."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import LocalKafka
from models.avro import decode
from models.kafka_log import KafkaLog
from models.placement import Placement, parse_partition_counts
from models.records import LogRecord
from tests.kafka.broker import all_records, collect_sockets, new_topic

ROOT = Path(__file__).resolve().parents[2]
FOUR = Placement(parse_partition_counts("4"))


@pytest.fixture
def log(broker: LocalKafka) -> Iterator[KafkaLog]:
    yield new_topic(broker.bootstrap, FOUR.partitions)
    collect_sockets()


def test_its_records_are_valid_and_in_their_partition(log: KafkaLog, tmp_path: Path) -> None:
    schema = ROOT / "models/schemas/session_record.v1.avsc"
    program = ROOT / "deploy/examples/producer.py"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", program, log.servers[0], log.topic, schema],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    session_id = done.stdout.strip()
    found = all_records(log)
    assert {record.partition for record in found} == {FOUR.of(session_id)}
    records = [decode(LogRecord(r.partition, r.offset, r.timestamp, r.key, r.value)) for r in found]
    assert {record.session_id for record in records} == {session_id}
    events = [record.events[0] for record in records]
    assert [event.type for event in events] == ["sessionStart", "play", "sessionComplete"]
    assert (events[0].params or {})["media.id"] == "film-1"
