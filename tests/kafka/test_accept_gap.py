"""Records deleted from a topic before they were read: told, then accepted, and rebuilt so too."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from models.avro import encode
from models.kafka_log import Client, KafkaLog
from models.records import Record
from tests.commands.processes import Cli, Server
from tests.kafka.broker import collect_sockets, delete_below, new_topic, producer
from tests.processor_shell.world import event, session_id
from tests.rebuild.test_postgres_kafka import read_on_to, rows
from tests.servers import KafkaServer

SESSIONS = 4


@pytest.fixture
def log(kafka: KafkaServer) -> Iterator[KafkaLog]:
    yield new_topic(kafka.bootstrap)
    collect_sockets()


def publish(log: KafkaLog, kind: str, at_s: float) -> None:
    """An event of each session."""
    with closing(producer(log)) as client:
        for number in range(SESSIONS):
            record = Record(session_id(number), False, (event(kind, at_s),))
            value = encode(record.session_id, record.events)
            client.send(log.topic, value, record.session_id.encode(), partition=0)
        client.flush(10)


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
def test_a_gap_is_told_then_accepted_and_rebuilt(
    log: KafkaLog, client: Client, postgres_url: str, postgres_engine: Engine, tmp_path: Path
) -> None:
    place = {
        "BOOKENDED_LOG": f"kafka://{log.servers[0]}/{log.topic}?client={client}",
        "BOOKENDED_DATABASE": postgres_url,
        "BOOKENDED_PARTITIONS": "1",
        "BOOKENDED_GROUP": log.topic,
    }
    cli = Cli(tmp_path)

    def run(*arguments: str) -> str:
        done = cli(*arguments, **place)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def process(count: int, *arguments: str) -> None:
        """Until so many records have been read."""
        processor = Server(tmp_path, ("process", *arguments), place)
        try:
            processor.wait_for("processor_running")
            read_on_to(postgres_engine, count)
            assert processor.stop() == 0
        finally:
            processor.end()

    run("migrate")
    publish(log, "play", 0)
    process(4)
    run("archive", "--to", "archive")
    publish(log, "ping", 10)
    publish(log, "ping", 20)
    delete_below(log, 0, 9)
    stopped = cli("process", **place)
    assert stopped.returncode == 1
    (told,) = [line for line in stopped.stderr.splitlines() if "gone" in line and line[0] != "{"]
    assert "partition 0" in told
    assert "records 4 to 8 are gone" in told
    assert "--accept-gap" in told
    assert "Traceback" not in stopped.stderr

    process(12, "--accept-gap")
    with postgres_engine.connect() as connection:
        gaps = connection.execute(text("SELECT * FROM log_gaps")).mappings().all()
        found = "SELECT session_id, detail FROM findings WHERE code = 'log_gap' ORDER BY 1"
        findings = [tuple(row) for row in connection.execute(text(found))]
    (gap,) = gaps
    assert (gap["log_partition"], gap["first_offset"], gap["last_offset"]) == (0, 4, 8)
    assert gap["session_count"] == SESSIONS
    detail = "records 4 to 8 of partition 0 are gone"
    assert findings == [(session_id(number), detail) for number in range(SESSIONS)]

    run("archive", "--to", "archive", "--accept-gap")
    told = run("rebuild", "--jobs", "1", "--archive", "archive")
    assert "Records 4 to 8 of partition 0 are gone" in told
    assert rows(postgres_engine, 2) == rows(postgres_engine, 1)
