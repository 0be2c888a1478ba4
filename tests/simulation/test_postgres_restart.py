"""PostgreSQL stopped, killed and started again under traffic: the rows come out right.

Real processes, real HTTP, a real server of the test's own, since the others' must not go away.
"""

import signal
import time
from collections import Counter
from pathlib import Path
from random import Random

from deploy.local import LocalPostgres
from tests.commands.processes import Cli, Server
from tests.simulation.log_and_rows import clean_fold, last_tick, log_records, logged_events, views
from tests.simulation.test_crash import Players, free_port

SEED = 20_261_124
RESTARTS = 6


def test_rows_are_right_after_postgres_was_away_again_and_again(tmp_path: Path) -> None:
    rng = Random(SEED)
    with LocalPostgres(tmp_path / "postgres") as postgres:
        settings = {"BOOKENDED_DATABASE": postgres.url}
        assert Cli(tmp_path)("migrate", **settings).returncode == 0
        port = free_port(rng)
        args = ("run", "--listen", f"127.0.0.1:{port}", "--checkpoint-interval", "200ms")
        server = Server(tmp_path, args, settings)
        server.wait_for("processor_running")
        players = Players(tmp_path, f"http://127.0.0.1:{port}")
        try:
            players.wait_until_playing()
            for number in range(RESTARTS):
                time.sleep(rng.uniform(0.3, 1.0))
                (postgres.kill if number % 2 else postgres.stop)()
                server.wait_for("processor_retrying")
                postgres.start()
                server.wait_for("processor_running")
            report = players.stop()
            assert server.stop(signal.SIGTERM) == 0
        finally:
            players.end()
            server.end()
        assert report.accepted == report.acknowledged.total() > 300
        assert report.unanswered == 0, "the collector does not need the database"
        log = log_records(tmp_path / "bookended-data" / "log.db")
        assert report.acknowledged - logged_events(log) == Counter()
        found = views(postgres.url)
        expected = clean_fold(log, last_tick(postgres.url))
        for name, rows in expected.items():
            assert found[name] == rows, f"{name} differs from a clean fold of the log"
        assert all(found[name] for name in ("sessions", "ads", "ad_breaks", "findings"))
