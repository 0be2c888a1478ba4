"""The same requests through Kafka into PostgreSQL and through the embedded default: the same rows.

Worked sessions and recorded traffic over real HTTP. As in `tests.commands.test_http_to_sql` the
last checkpoint is the only one with rows, so that no close is told while they are sent.
"""

import time
import uuid
from collections import Counter
from pathlib import Path

from deploy.local import LocalKafka
from tests.commands.http import request
from tests.commands.processes import Server
from tests.commands.test_http_to_sql import GOLDEN, listening, play_golden
from tests.commands.traffic import replay
from tests.kafka.production import READ_WITHIN_S, Production
from tests.servers import PostgresServer
from tests.simulation.log_and_rows import TOLD_VIEWS, Views, views

OF_SESSIONS = (*TOLD_VIEWS, "spans")
"""The views with rows of sessions. Reports are sums of these, held on both databases elsewhere."""
OF_THE_PLACE = {"log_partition", "first_offset", "last_offset"}
LATER = 4_000_000_000_000
SELDOM = ("--checkpoint-interval", "1m")


def play(url: str) -> dict[str, str]:
    """Sends everything; what each session id stands for."""
    names = {play_golden(url, name): name for name in GOLDEN}
    for situation, ids in replay(url).sessions.items():
        names |= {session_id: f"{situation} {number}" for number, session_id in enumerate(ids)}
    return names


def comparable(found: Views, names: dict[str, str]) -> Views:
    """Sessions by what they stand for, and without their place in the log."""
    return {
        view: Counter(
            tuple(
                (k, names.get(v, v) if k == "session_id" else v)
                for k, v in row
                if k not in OF_THE_PLACE
            )
            for row in rows.elements()
        )
        for view, rows in found.items()
    }


def embedded(directory: Path) -> Views:
    server = Server(directory, ("run", "--listen", "127.0.0.1:0", *SELDOM), {})
    try:
        names = play(listening(server))
        assert server.stop() == 0
    finally:
        server.end()
    return comparable(views(f"sqlite:///{directory}/bookended-data/analytics.db"), names)


def test_kafka_and_postgres_give_the_rows_of_the_embedded_default(
    tmp_path: Path, broker: LocalKafka, postgres: PostgresServer
) -> None:
    """And both collectors answer 410 for what was closed: the one that was there, and a new one."""
    folders = [tmp_path / name for name in ("embedded", "production")]
    for folder in folders:
        folder.mkdir()
    name = f"e{uuid.uuid4().hex[:12]}"
    settings = {
        "BOOKENDED_LOG": f"kafka://{broker.bootstrap}/{name}",
        "BOOKENDED_DATABASE": postgres.database(name),
        "BOOKENDED_PARTITIONS": "4",
        "BOOKENDED_GROUP": name,
    }
    expected = embedded(folders[0])
    production = Production(folders[1], settings, SELDOM)
    try:
        names = play(production.urls[-1])
        production.wait_until_read()
        assert [server.stop() for server in production.processors] == [0, 0]
        found = comparable(views(settings["BOOKENDED_DATABASE"]), names)
        for view in OF_SESSIONS:
            assert found[view] == expected[view], f"{view} differs"
            assert expected[view], view
        assert expected["sessions"].total() == len(names) > 30
        closed = next(sid for sid, golden in names.items() if golden == "bookends-both")
        answers_410(production.urls[-1], closed)
        assert production.collectors[-1].stop() == 0
        production.collect()
        answers_410(production.urls[-1], closed)
        assert production.collectors[-1].stop() == 0
    finally:
        production.end()


def answers_410(url: str, session_id: str) -> None:
    late = {"eventType": "ping", "playerTime": {"ts": LATER, "playhead": 999}}
    deadline = time.monotonic() + READ_WITHIN_S
    while request(f"{url}/api/v1/sessions/{session_id}/events", late).status != 410:
        assert time.monotonic() < deadline
        time.sleep(0.2)
