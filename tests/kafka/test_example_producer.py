"""The example of a producer that leaves out HTTP, and what docs/producers.md says, run for real."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from commands.kafka_topics import migrate_topics
from deploy.examples import producer as example
from deploy.local import LocalKafka
from models.avro import SCHEMA_VERSIONS, decode, schema_fingerprint, schema_text
from models.kafka_log import KafkaLog
from models.placement import Placement, murmur2, parse_partition_counts
from models.records import LogRecord
from tests.commands.processes import Cli
from tests.documents import read, table_rows
from tests.kafka.broker import all_records, collect_sockets, new_topic
from tests.processor_shell.world import World

ROOT = Path(__file__).resolve().parents[2]
FOUR = Placement(parse_partition_counts("4"))
DOCUMENT = "docs/producers.md"


@pytest.fixture
def log(broker: LocalKafka) -> Iterator[KafkaLog]:
    made = new_topic(broker.bootstrap, FOUR.partitions)
    migrate_topics(made, FOUR, None)
    yield made
    collect_sockets()


def test_its_records_are_valid_and_in_their_partition(log: KafkaLog, tmp_path: Path) -> None:
    """With the schema as `bookended schema` prints it."""
    schema = tmp_path / "session_record.avsc"
    schema.write_text(Cli(tmp_path)("schema").stdout, encoding="utf-8")
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


def test_the_example_in_the_document_is_ten_seconds_of_a_film(tmp_path: Path) -> None:
    (text,) = read(DOCUMENT).code_blocks("json")
    events: list[dict[str, Any]] = json.loads(text)
    encode = example.encoder(json.loads(schema_text()))
    session_id = example.new_session_id()
    world = World(tmp_path)
    for event in events:
        value = encode({"session_id": session_id, "offline": False, "events": [event]})
        world.append_bytes(session_id, value, 1_760_000_010_000)
    world.process()
    rows = world.content()
    assert rows["dead_letters"] == []
    (row,) = rows["sessions_live"]
    assert (row["content_ms"], row["close_reason"]) == (10_000, "session_end")
    assert rows["session_starts"][0]["content_id"] == "film-1"
    world.close()


def test_the_partitions_in_the_document_are_right() -> None:
    rows = [row for row in table_rows(read(DOCUMENT).section("Partition")) if len(row[0]) == 66]
    assert len(rows) >= 3
    for key, number, partition in rows:
        value = murmur2(key.strip("`").encode()) & 0x7FFFFFFF
        assert (int(number), int(partition)) == (value, value % 8)


def test_the_fingerprint_in_the_document_is_the_newest() -> None:
    said = re.search(r"version (\d+) of (\d+), fingerprint (\w+)", read(DOCUMENT).text)
    assert said
    newest = SCHEMA_VERSIONS[-1]
    assert said.groups() == (str(newest), str(len(SCHEMA_VERSIONS)), schema_fingerprint(newest))
