"""`bookended explore`, and the same pages under `/explore` of `bookended run`."""

import asyncio
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import create_engine, text

from commands.exploring import ExplorerServer
from commands.values import Address
from ingest.protocol import ConnectionBounds
from tests.commands.http import Answer, request, start
from tests.commands.processes import Cli, Server
from tests.documents import read

TOKEN: Final = "0123456789abcdef-only-for-tests"


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a server in the test's directory; all of them end with the test."""
    servers: list[Server] = []

    def begin(*args: str, **settings: str) -> Server:
        servers.append(Server(tmp_path, args, settings))
        return servers[-1]

    yield begin
    for server in servers:
        server.end()


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


def test_beside_the_collector_and_alone(
    begin: Callable[..., Server], cli: Cli, tmp_path: Path
) -> None:
    running = begin("run", "--listen", "127.0.0.1:0")
    url = f"http://127.0.0.1:{running.wait_for('collector_listening')['port']}"
    session_id = request(f"{url}/api/v1/sessions", start()).location.rpartition("/")[2]
    assert request(f"{url}/explore").status == 200
    assert request(f"{url}/explorer").status == 404
    archive = ("--explore-archive", str(tmp_path / "archive"))
    alone = begin("explore", "--explore-listen", "127.0.0.1:0", *archive)
    pages = alone.wait_for("explorer_listening")["url"]
    assert request(f"{pages}/sessions?range=all").status == 200
    assert request(pages.replace("/explore", "/api/v1/sessions"), start()).status == 404
    assert running.stop(signal.SIGTERM) == 0
    assert cli("archive", "--to", str(tmp_path / "archive")).returncode == 0
    with closing(sqlite3.connect(tmp_path / "bookended-data" / "log.db")) as log, log:
        log.execute("DELETE FROM log_records")  # as retention does
    answer = request(f"{pages}/session/events?id={session_id}")
    assert answer.status == 200, answer.body
    assert b"sessionStart" in answer.body
    assert alone.stop(signal.SIGTERM) == 0


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_alone_it_waits_for_no_request_for_ever() -> None:
    async def ask() -> tuple[bytes, bytes]:
        server = ExplorerServer(_nothing, Address("127.0.0.1", 0), ConnectionBounds(silence_s=0.1))
        serving = asyncio.create_task(server.serve())
        slow, to_slow = await asyncio.open_connection(*server.address)
        to_slow.write(b"GET / HTTP/1.1\r\nHost: a\r\n")  # and never the rest
        refused = await asyncio.wait_for(slow.read(), 60)
        quick, to_quick = await asyncio.open_connection(*server.address)
        to_quick.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answered = await asyncio.wait_for(quick.readline(), 60)
        for writer in (to_slow, to_quick):
            writer.close()
            await writer.wait_closed()
        signal.raise_signal(signal.SIGTERM)
        await serving
        return refused, answered

    refused, answered = asyncio.run(ask())
    assert refused.startswith(b"HTTP/1.1 408 ")
    assert answered.startswith(b"HTTP/1.1 204 ")


def test_a_user_who_may_read_the_views_alone(
    begin: Callable[..., Server], postgres_url: str
) -> None:
    url = f"{postgres_url}?options=-crole%3Dbookended_reader"
    server = begin("explore", "--explore-listen", "127.0.0.1:0", BOOKENDED_DATABASE=url)
    pages = server.wait_for("explorer_listening")["url"]
    answer = request(f"{pages}/sessions")
    assert answer.status == 200, answer.body
    assert b"No session yet" in answer.body


def test_the_log_is_looked_into_by_a_user_who_may_know_the_rules(
    begin: Callable[..., Server], cli: Cli, postgres_url: str
) -> None:
    """The right to read the views alone is not enough; docs/operations.md says what is."""
    assert cli("migrate", BOOKENDED_DATABASE=postgres_url).returncode == 0
    running = begin("run", "--listen", "127.0.0.1:0", BOOKENDED_DATABASE=postgres_url)
    url = f"http://127.0.0.1:{running.wait_for('collector_listening')['port']}"
    session_id = request(f"{url}/api/v1/sessions", start()).location.rpartition("/")[2]
    reader = f"{postgres_url}?options=-crole%3Dbookended_reader"
    alone = begin("explore", "--explore-listen", "127.0.0.1:0", BOOKENDED_DATABASE=reader)
    page = f"{alone.wait_for('explorer_listening')['url']}/session"
    deadline = time.monotonic() + 30
    while request(f"{page}?id={session_id}").status == 404 and time.monotonic() < deadline:
        time.sleep(0.2)
    answers: list[Answer] = []
    (grant,) = [
        block
        for block in read("docs/operations.md").code_blocks("sql")
        if "forgotten_sessions" in block
    ]
    grant = grant.replace("bookended_explorer", "bookended_reader")
    engine = create_engine(postgres_url)
    for statement in (grant, grant.replace("GRANT", "REVOKE").replace(" TO ", " FROM ")):
        answers.append(request(f"{page}/events?id={session_id}"))
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
    engine.dispose()
    refused, answer = answers
    assert refused.status == 503
    assert b"GRANT SELECT ON" in refused.body
    assert answer.status == 200, answer.body
    assert b"sessionStart" in answer.body
    assert request(f"{page}/policy?id={session_id}").status == 503


def test_a_database_of_an_older_release(begin: Callable[..., Server], postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    engine.dispose()
    server = begin("explore", "--explore-listen", "127.0.0.1:0", BOOKENDED_DATABASE=postgres_url)
    answer = request(f"{server.wait_for('explorer_listening')['url']}/sessions")
    assert answer.status == 503
    assert b"bookended migrate" in answer.body


def test_no_database_is_one_line(cli: Cli) -> None:
    done = cli("explore")
    assert done.returncode == 1
    assert "there is no such file" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"])
def test_others_need_a_token(cli: Cli, address: str) -> None:
    done = cli("explore", "--explore-listen", address)
    assert done.returncode == 2
    assert "--explore-token-file" in done.stderr


def test_a_token_is_long_and_for_its_owner_alone(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("short\n")
    path.chmod(0o600)
    assert "16 characters" in cli("explore", "--explore-token-file", str(path)).stderr
    path.write_text(TOKEN)
    path.chmod(0o644)
    done = cli("explore", "--explore-token-file", str(path))
    assert "chmod 600" in done.stderr
    assert TOKEN not in done.stderr
