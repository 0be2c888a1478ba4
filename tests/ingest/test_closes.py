"""410: what the collector knows of closed sessions, where from, and what it says."""

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from ingest import closes as closes_module
from ingest.closes import Close, ClosesFollower, EmbeddedCloses, KnownCloses
from ingest.log_file import LogFault, prepare_log
from ingest.sids import SID_AGE_MS_MAX, Sids
from tests.ingest.bodies import TS, downloaded, event
from tests.ingest.servers import KEY, TIMEOUT_S, FakeCloses, Running, running

SIDS = Sids((KEY,), lambda: TS)


def sid_of(location: str) -> str:
    return location.rsplit("/", 1)[1]


def test_only_what_is_later_than_the_close_is_gone(own: Running) -> None:
    location = own.open()
    own.closes.learned(Close(sid_of(location), TS + 1_000))
    assert own.send(location, event(ts=TS + 1_000)).status == 204
    assert own.send(location, event(ts=TS)).status == 204
    before = len(own.log.records)
    answer = own.send(location, event(ts=TS + 1_001))
    assert answer.status == 410
    assert answer.document["type"] == "urn:bookended:problem:closed-session"
    assert len(own.log.records) == before
    assert own.metric("bookended_collector_closes_known") == 1


def test_a_close_that_is_taken_back_is_forgotten(own: Running) -> None:
    location = own.open()
    own.closes.learned(Close(sid_of(location), TS))
    assert own.send(location, event(ts=TS + 1)).status == 410
    own.closes.learned(Close(sid_of(location), None))
    assert own.send(location, event(ts=TS + 1)).status == 204


def test_other_sessions_are_not_touched(own: Running) -> None:
    own.closes.learned(Close(sid_of(own.open()), TS), Close("x" * 64, TS), Close("", TS))
    assert own.send(own.open(), event(ts=TS + 1)).status == 204


def test_a_bad_event_of_a_closed_session_is_400(own: Running) -> None:
    location = own.open()
    own.closes.learned(Close(sid_of(location), TS))
    assert own.send(location, event("nope", ts=TS + 1)).status == 400


def test_an_offline_session_is_closed_like_any(own: Running) -> None:
    location = own.post("/api/v1/downloaded", downloaded()).headers["location"]
    assert own.send(location, event(ts=TS + 9_001)).status == 204
    own.closes.learned(Close(sid_of(location), TS + 9_000))
    assert own.send(location, event(ts=TS + 9_001)).status == 410
    # A retry of the list still gets its 201: nothing may make the client keep it for ever.
    assert own.post("/api/v1/downloaded", downloaded()).status == 201


def test_a_session_id_older_than_48_h_is_gone(own: Running) -> None:
    location = own.open()
    own.clock.now_ms += SID_AGE_MS_MAX
    assert own.send(location).status == 204
    own.clock.now_ms += 1
    answer = own.send(location)
    assert answer.status == 410
    assert answer.document["type"] == "urn:bookended:problem:expired-session"


def test_not_ready_until_the_closes_are_read() -> None:
    closes = FakeCloses()
    closes.may_read.clear()
    with running(closes=closes) as own:
        answer = own.ask("GET", "/readyz")
        assert answer.status == 503
        assert answer.document["message"] == "learning which sessions are closed"
        assert own.metric("bookended_collector_ready") == 0
        # Events are taken all the same.
        assert own.send(own.open()).status == 204
        closes.may_read.set()
        closes.learned()
        assert own.ask("GET", "/readyz").status == 200
        assert own.metric("bookended_collector_ready") == 1


def test_ready_after_a_while_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = threading.Event()

    class Slow:
        def read(self, closes_max: int) -> Sequence[Close]:
            stopped.wait(TIMEOUT_S)
            return []

        def close(self) -> None:
            pass

    async def main() -> list[bool]:
        follower = ClosesFollower(Slow(), KnownCloses())
        follower.start()
        found = [follower.is_ready]
        while not follower.is_ready and len(found) < 1_000:
            await asyncio.sleep(0.01)
            found.append(follower.is_ready)
        stopped.set()
        await follower.stop()
        return found

    monkeypatch.setattr(closes_module, "READY_AFTER_S", 0.05)
    found = asyncio.run(main())
    assert (found[0], found[-1]) == (False, True)


def test_the_newest_closes_are_kept() -> None:
    known = KnownCloses(closes_max=100)
    sids = [SIDS.make() for _ in range(250)]
    for number, sid in enumerate(sids):
        known.learn(Close(sid, number))
        assert len(known) <= 100
    assert len(known) > 90
    assert all(known.is_closed_before(sid, 1_000) for sid in sids[-90:])
    assert not any(known.is_closed_before(sid, 1_000) for sid in sids[:150])


def test_a_close_told_again_counts_as_new() -> None:
    known = KnownCloses(closes_max=16)
    first = SIDS.make()
    for _ in range(100):
        known.learn(Close(first, TS))
        known.learn(Close(SIDS.make(), TS))
    assert known.is_closed_before(first, TS + 1)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.db"
    prepare_log(path)
    return path


def tell(path: Path, *closes: Close) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO closes (session_id, closed_at, published_at) VALUES (?, ?, 0)", closes
        )


def test_the_embedded_log_gives_closes_in_order(log: Path) -> None:
    source = EmbeddedCloses(log)
    assert source.read(10) == []
    told = [Close(SIDS.make(), TS + number) for number in range(5)]
    tell(log, *told, Close(told[0].session_id, None))
    assert [*source.read(4), *source.read(4), *source.read(4)] == [
        *told,
        Close(told[0].session_id, None),
    ]
    source.close()


def test_only_the_newest_are_read(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closes_module, "CLOSES_MAX", 3)
    told = [Close(SIDS.make(), TS + number) for number in range(5)]
    tell(log, *told)
    source = EmbeddedCloses(log)
    assert source.read(10) == told[2:]
    source.close()


def test_a_log_that_is_away_comes_back(log: Path) -> None:
    source = EmbeddedCloses(log)
    tell(log, Close(SIDS.make(), TS))
    assert len(source.read(10)) == 1
    source.close()
    log.rename(log.with_name("away.db"))
    with pytest.raises(LogFault):
        source.read(10)
    log.with_name("away.db").rename(log)
    tell(log, Close(SIDS.make(), TS + 1))
    assert [close.closed_at for close in source.read(10)] == [TS + 1]
    source.close()


def test_the_follower_goes_on_after_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class Faulty:
        reads = 0

        def read(self, closes_max: int) -> Sequence[Close]:
            self.reads += 1
            if self.reads in (2, 3):
                raise LogFault(Path("log.db"), "it is away")
            return [Close(SIDS.make(), TS)] if self.reads in (1, 4) else []

        def close(self) -> None:
            pass

    async def main() -> None:
        follower = ClosesFollower(Faulty(), KnownCloses())
        follower.start()
        for _ in range(1_000):
            if len(follower.known) == 2:
                break
            await asyncio.sleep(0.01)
        assert len(follower.known) == 2
        await follower.stop()

    monkeypatch.setattr(closes_module, "_POLL_INTERVAL_S", 0.01)
    monkeypatch.setattr(closes_module, "_RETRY_INTERVAL_S", 0.01)
    asyncio.run(main())
