"""Partitions added to the topic under load: every session stays in the one that it began in."""

import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from deploy.local import LocalKafka
from models.kafka_log import parse_kafka_url
from models.records import LogRecord
from tests.commands.http import event, request, start
from tests.kafka.broker import all_records
from tests.kafka.production import Production
from tests.servers import PostgresServer
from tests.simulation.log_and_rows import clean_fold, views

BEFORE, AFTER = 2, 6
SESSIONS_AT_ONCE = 6
EVENTS_A_SESSION = 12
GROWS_AFTER_S = 30
"""Time for the migration and for new collectors, before sessions begin in the new partitions."""
GOES_ON_S = 6


class Players:
    """Sessions one after the other, each over whatever collector is there now."""

    def __init__(self, urls: list[str]) -> None:
        self._urls = urls
        self._stop = threading.Event()
        self.acknowledged: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._play) for _ in range(SESSIONS_AT_ONCE)]
        for thread in self._threads:
            thread.start()

    def _play(self) -> None:
        while not self._stop.is_set():
            path, session_id = "/api/v1/sessions", ""
            began_ms = round(time.time() * 1000)
            for number in range(EVENTS_A_SESSION):
                kind = {1: "play", EVENTS_A_SESSION - 1: "sessionEnd"}
                at_ms = began_ms + number * 100
                body = (
                    event(kind.get(number, "ping"), at_ms, number / 10) if number else start(at_ms)
                )
                location = self._send(path, body)
                if number == 0:
                    path, session_id = f"{location}/events", location.rsplit("/", 1)[-1]
                self.acknowledged[session_id] += 1
                time.sleep(0.1)

    def _send(self, path: str, body: dict[str, object]) -> str:
        """Until it is taken: a collector may be on its way out."""
        for attempt in count():
            answer = request(self._urls[-1] + path, body)
            if answer.status in (201, 204):
                return answer.location
            assert answer.status == 503
            assert attempt < 100
            time.sleep(0.1)
        raise AssertionError

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture
def production(
    tmp_path: Path, broker: LocalKafka, postgres: PostgresServer
) -> Iterator[Production]:
    name = f"g{uuid.uuid4().hex[:12]}"
    settings = {
        "BOOKENDED_LOG": f"kafka://{broker.bootstrap}/{name}",
        "BOOKENDED_DATABASE": postgres.database(name),
        "BOOKENDED_PARTITIONS": f"{BEFORE}",
        "BOOKENDED_GROUP": name,
        "BOOKENDED_DRAIN_GRACE": "1s",
    }
    made = Production(tmp_path, settings, ("--checkpoint-interval", "200ms"))
    yield made
    made.end()


def test_sessions_stay_whole_when_partitions_are_added_under_load(production: Production) -> None:
    players = Players(production.urls)
    grows_at = time.time() + GROWS_AFTER_S
    instant = datetime.fromtimestamp(grows_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    production.settings["BOOKENDED_PARTITIONS"] = f"{BEFORE}, {AFTER} from {instant}"
    production.migrate()
    production.collect()
    assert production.collectors[0].stop() == 0
    assert time.time() < grows_at, "this machine is too slow for GROWS_AFTER_S"
    while time.time() < grows_at + GOES_ON_S:
        time.sleep(0.1)
    players.stop()
    production.wait_until_read()
    assert [server.stop() for server in production.processors] == [0, 0]
    records = [
        LogRecord(r.partition, r.offset, r.timestamp, r.key, r.value)
        for r in all_records(parse_kafka_url(production.settings["BOOKENDED_LOG"]))
    ]
    partitions = defaultdict(set)
    for record in records:
        partitions[record.key.decode()].add(record.partition)
    assert partitions.keys() == players.acknowledged.keys()
    assert {len(of_one) for of_one in partitions.values()} == {1}
    for session_id, (partition,) in partitions.items():
        began_at = int(session_id[:12], 16) / 1000
        assert began_at >= grows_at - 1 or partition < BEFORE
    assert len({partition for (partition,) in partitions.values()}) > BEFORE + 1
    assert Counter(record.key.decode() for record in records) == players.acknowledged
    found = views(production.settings["BOOKENDED_DATABASE"])
    for name, rows in clean_fold(records, None).items():
        assert found[name] == rows, f"{name} differs from a clean fold of the topic"
