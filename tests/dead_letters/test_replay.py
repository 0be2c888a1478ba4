"""Replaying dead letters: into the log, once, whatever happens in between; on both logs and both
databases."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update

from commands.errors import Failure
from commands.replaying import Replayed, sole_replay
from ingest.publisher import PublishError
from models.avro import encode
from models.tables import progress, session_starts, sessions_closed, sessions_live
from models.views import view_queries
from processor.database import reading, writing
from processor.dead_letters import Wanted
from processor.source import OtherLogError
from tests.dead_letters.sites import Killed, Mortal, Site, older_release, site_of
from tests.golden.loading import load_golden
from tests.kafka.broker import collect_sockets
from tests.reference.arrivals import Arrival

KINDS = [
    ("embedded", "sqlite"),
    ("embedded", "postgres"),
    ("kafka", "sqlite"),
    ("kafka", "postgres"),
]


@pytest.fixture(params=KINDS, ids="-".join)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    log, database = request.param
    url = request.getfixturevalue("postgres_url") if database == "postgres" else None
    broker = request.getfixturevalue("broker") if log == "kafka" else None
    with site_of(tmp_path, url, broker) as made:
        yield made
    collect_sockets()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Site]:
    """The embedded one, for what has nothing to do with the log or the database."""
    with site_of(tmp_path, None, None) as made:
        made.claim()
        yield made


def test_a_session_that_was_put_aside_becomes_a_row(site: Site) -> None:
    """With the figures that it would have had: its records come in their order."""
    aside, other = f"{1:064x}", f"{2:064x}"
    golden = load_golden("bookends-both", aside)
    for session_id in (aside, other):
        for step in load_golden("bookends-both", session_id).steps:
            assert isinstance(step, Arrival)
            value = encode_of(step)
            site.append(2 if site.kafka else 0, session_id.encode(), value)
    with older_release(lambda key: key == aside.encode()):
        site.process()
    records = site.log()
    letters = site.letters()
    assert len(letters) == len(golden.steps) == len(records) / 2
    assert figures(site, aside) is None
    assert asyncio.run(site.replay()) == Replayed(published=len(letters))
    assert site.letters() == []
    assert site.log() == in_place(records, letters)
    site.process()
    row, other_row = figures(site, aside), figures(site, other)
    assert row == other_row
    assert row is not None
    assert {name: row[name] for name in golden.expected if name in row} == {
        name: value for name, value in golden.expected.items() if name in row
    }
    assert row["content_ms"] == golden.expected["content_ms"] > 0


def encode_of(step: Arrival) -> bytes:
    return encode(step.record.session_id, step.record.events, offline=step.record.offline)


def in_place(records: list[Any], letters: list[Any]) -> list[Any]:
    """The log with the letters' bytes behind what it had, each in its partition."""
    added = [(letter.log_partition, letter.key, letter.value) for letter in letters]
    return sorted([*records, *added], key=lambda record: record[0])


def figures(site: Site, session_id: str) -> dict[str, Any] | None:
    query = view_queries()["sessions"].subquery()
    with reading(site.engine) as connection:
        row = connection.execute(select(query).where(query.c.session_id == session_id)).first()
    if row is None:
        return None
    place = ("session_id", "log_partition", "first_offset", "last_offset")
    return {name: value for name, value in row._mapping.items() if name not in place}


def test_what_no_release_can_read_stays_and_is_not_published(site: Site) -> None:
    site.claim()
    site.put_aside_bytes(b"k", b"nonsense")
    values = site.put_aside(1, 2)
    records = site.log()
    assert asyncio.run(site.replay()) == Replayed(published=2, unreadable=1)
    assert [letter.value for letter in site.letters()] == [b"nonsense"]
    assert [value for _, _, value in site.log()] == [*(r[2] for r in records), *values]


def test_killed_at_any_point_it_publishes_each_record_once(site: Site) -> None:
    """Two batches, two sessions, and two records that are alike to the byte."""
    site.claim()
    point = 0
    killed_at = []
    while True:
        values = site.put_aside(2, 1, partition=1)
        letter = site.letters()[-1]
        site.put_aside_bytes(letter.key, letter.value, partition=letter.log_partition)
        with pytest.MonkeyPatch.context() as patch:
            mortal = Mortal(patch, point)
            try:
                asyncio.run(site.replay(letters_max=2))
                break
            except Killed:
                killed_at.append(mortal.points[point])
        done = asyncio.run(site.replay(letters_max=2))
        assert done.unreadable == 0
        check_published_once(site, values)
        point += 1
    assert {"before publish", "published, not told", "before remove", "before begin_replay"} <= {
        *killed_at
    }
    assert len(killed_at) > 12
    check_published_once(site, values)


def check_published_once(site: Site, values: list[bytes]) -> None:
    """Once as they came and once more; the last of them twice as often."""
    assert site.letters() == []
    counts = Counter(value for _, _, value in site.log())
    assert [counts[value] for value in values] == [2] * (len(values) - 1) + [4]


def test_an_acknowledgement_that_is_lost_doubles_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has the record, the replay is told that it has not."""
    site.claim()
    values = site.put_aside(2, 2, partition=1)
    kind = (
        "kafka_publisher.KafkaPublisher" if site.kafka else "embedded_publisher.EmbeddedPublisher"
    )
    module, name = kind.split(".")
    publisher = getattr(__import__(f"ingest.{module}", fromlist=[name]), name)
    publish = publisher.publish

    async def lossy(self: Any, key: str, value: bytes) -> None:
        await publish(self, key, value)
        if value == values[0]:
            raise PublishError("log_timeout", "the log does not answer in time", 1)

    with monkeypatch.context() as patch:
        patch.setattr(publisher, "publish", lossy)
        with pytest.raises(Failure, match=r"does not answer in time.*2 of this batch are left"):
            asyncio.run(site.replay())
    # The session with the fault was left where it stood, the other one went on.
    assert [letter.value for letter in site.letters()] == [values[0], values[2]]
    assert asyncio.run(site.replay()) == Replayed(published=1, found=1)
    assert site.letters() == []
    assert Counter(value for _, _, value in site.log()) == Counter(dict.fromkeys(values, 2))


def test_one_replay_at_a_time(site: Site) -> None:
    for _ in range(20):  # the next may come at once
        with (
            sole_replay(site.settings, site.engine),
            pytest.raises(Failure, match="another replay"),
            sole_replay(site.settings, site.engine),
        ):
            pass


def test_another_log_is_refused(site: Site) -> None:
    site.claim()
    site.put_aside(1, 1)
    with writing(site.engine) as connection:
        connection.execute(update(progress).values(log_id="another"))
    with pytest.raises(OtherLogError, match="from another log"):
        asyncio.run(site.replay())


def test_filters_and_limit_choose(small: Site) -> None:
    small.put_aside_bytes(b"k", b"1", received_at=1_000, reason="It is 100% BAD")
    values = small.put_aside(1, 3)
    assert asyncio.run(small.replay(Wanted(reason="100% bad"))) == Replayed(unreadable=1)
    assert asyncio.run(small.replay(Wanted(reason="100_ bad"))) == Replayed()
    assert asyncio.run(small.replay(Wanted(to_ms=1_760_000_000_000))) == Replayed(unreadable=1)
    assert asyncio.run(small.replay(Wanted(log_partition=1))) == Replayed()
    assert asyncio.run(small.replay(limit=2)) == Replayed(published=2, unreadable=1)
    assert [letter.value for letter in small.letters()] == [b"1", values[2]]
    assert asyncio.run(small.replay(Wanted(from_ms=1_001), limit=5)) == Replayed(published=1)


def test_what_was_begun_before_the_log_starts_is_not_guessed(small: Site) -> None:
    small.put_aside(1, 2)
    with pytest.MonkeyPatch.context() as patch:
        Mortal(patch, 6)
        with pytest.raises(Killed):
            asyncio.run(small.replay())
    assert {letter.replay_from for letter in small.letters()} == {3}
    small.append(0, b"k", b"other")
    small.world.log.execute('DELETE FROM log_records WHERE "offset" <= 3')
    with pytest.raises(Failure, match=r"began at offset 3 of partition 0, but the log starts at"):
        asyncio.run(small.replay())
    assert len(small.letters()) == 2


def test_the_tables_of_the_fold_are_left_alone(small: Site) -> None:
    """A replay publishes, it never folds."""
    small.put_aside(2, 2)
    asyncio.run(small.replay())
    with reading(small.engine) as connection:
        for table in (sessions_live, sessions_closed, session_starts):
            assert connection.execute(select(table)).first() is None
        assert connection.execute(text("SELECT count(*) FROM dead_letters")).scalar_one() == 0
