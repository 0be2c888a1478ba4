"""What must hold after a chaos run: nothing lost, nothing doubled, every row as in a clean fold.

Only for tests. Tables are compared with those of a second database that one fold of the topic was
written to: all that there are, by `models.tables`. Public views are compared with the same fold
without any of the code that writes rows.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, select

import migrations
from models.kafka_log import KafkaLog
from models.policy import DEFAULT_POLICY
from models.records import LogRecord
from models.tables import progress
from processor.database import open_database
from processor.projection import Projection, ensure_live_projection
from processor.step import decode_records
from tests.contract.tables import Content, content
from tests.kafka.broker import all_records
from tests.processor_shell.world import clean_batch
from tests.simulation.cluster import Cluster
from tests.simulation.crowd import Fates, bare
from tests.simulation.log_and_rows import Views, clean_fold, logged_events, views

_SHOWN_MAX: Final = 5
_numbers: Final = itertools.count(1)


class Stand(NamedTuple):
    """Where SQL is in a partition: all before `next_offset` is in, ticked up to `tick`."""

    next_offset: int
    tick: int | None
    log_id: str


class Truth(NamedTuple):
    """The topic from its start to its end, by partition, and where SQL stands in it."""

    records: dict[int, list[LogRecord]]
    stands: dict[int, Stand]

    @property
    def readable(self) -> dict[int, list[LogRecord]]:
        """Without what became a dead letter."""
        found = {}
        for partition, records in self.records.items():
            spoilt = {letter.offset for letter in decode_records(records).dead_letters}
            found[partition] = [record for record in records if record.offset not in spoilt]
        return found


def verdict(cluster: Cluster, fates: Fates) -> list[str]:
    """All that is wrong, a line each; nothing when all is as it must be."""
    engine = open_database(cluster.postgres.url)
    try:
        truth = Truth(_topic(cluster.log), _stands(engine))
        return [
            *_unread(truth),
            *_events(truth, fates),
            *_tables(cluster, content(engine), truth),
            *_views(cluster.postgres.url, truth),
        ]
    finally:
        engine.dispose()


def _topic(log: KafkaLog) -> dict[int, list[LogRecord]]:
    found: defaultdict[int, list[LogRecord]] = defaultdict(list)
    for r in all_records(log):
        record = LogRecord(r.partition, r.offset, r.timestamp, r.key or b"", r.value or b"")
        found[r.partition].append(record)
    return dict(found)


def _stands(engine: Engine) -> dict[int, Stand]:
    columns = progress.c
    query = select(columns.log_partition, columns.next_offset, columns.tick, columns.log_id)
    with engine.connect() as connection:
        return {row[0]: Stand(*row[1:]) for row in connection.execute(query)}


def _unread(truth: Truth) -> Iterator[str]:
    for partition, records in truth.records.items():
        end = records[-1].offset + 1
        stand = truth.stands.get(partition)
        if stand is None or stand.next_offset != end:
            yield f"partition {partition} ends at {end}, SQL stands at {stand}"


def _events(truth: Truth, fates: Fates) -> Iterator[str]:
    logged = logged_events([r for records in truth.readable.values() for r in records])
    lost = fates.acknowledged - logged
    if lost:
        yield f"{lost.total()} events were acknowledged and are not in the topic: {_some(lost)}"
    unexplained = Counter[Any]()
    for known, count in (logged - fates.acknowledged).items():
        unexplained[bare(known)] += count
    unexplained -= fates.doubtful
    if unexplained:
        yield (
            f"{unexplained.total()} events are in the topic more often than they were sent: "
            f"{_some(unexplained)}"
        )


def _tables(cluster: Cluster, found: Content, truth: Truth) -> Iterator[str]:
    engine = open_database(cluster.postgres.database(f"clean_{next(_numbers)}"))
    try:
        closes = _fold_cleanly(engine, cluster.log, truth)
        expected = content(engine)
    finally:
        engine.dispose()
    for name, rows in expected.items():
        yield from _differences(f"table {name}", _counted(found[name]), _counted(rows))
    yield from _differences("the topic of closes", Counter(_closes(cluster.log)), Counter(closes))


def _fold_cleanly(engine: Engine, log: KafkaLog, truth: Truth) -> dict[str, int]:
    """Writes one fold of each partition; returns the closes that collectors should know."""
    migrations.upgrade(engine)
    projection = Projection(engine, ensure_live_projection(engine, DEFAULT_POLICY, 0))
    all_closes: dict[str, int] = {}
    for partition, stand in truth.stands.items():
        records = truth.records.get(partition, [])
        batch, closes = clean_batch(records, stand.tick, DEFAULT_POLICY)
        claim = projection.claim(partition, (str(log), stand.log_id), 0)
        whole = batch._replace(claim=claim, next_offset=stand.next_offset, tick=stand.tick)
        projection.checkpoint(log.topic, [whole])
        all_closes |= closes
    return all_closes


def _closes(log: KafkaLog) -> dict[str, int]:
    """What a collector knows that has read the topic of closes."""
    known: dict[str, int] = {}
    for record in all_records(log, log.closes_topic):
        session_id = record.key.decode()
        if record.value is None:
            known.pop(session_id, None)
        else:
            known[session_id] = int(record.value)
    return known


def _views(url: str, truth: Truth) -> Iterator[str]:
    expected: Views = defaultdict(Counter)
    for partition, records in truth.readable.items():
        tick = truth.stands[partition].tick
        for name, rows in clean_fold(records, tick).items():
            expected[name] += rows
    found = views(url)
    for name, rows in expected.items():
        yield from _differences(f"view {name}", found[name], rows)


def _counted(rows: list[dict[str, Any]]) -> Counter[tuple[tuple[str, str], ...]]:
    return Counter(tuple((name, repr(value)) for name, value in row.items()) for row in rows)


def _differences(what: str, found: Mapping[Any, int], expected: Mapping[Any, int]) -> Iterator[str]:
    missing = Counter(expected) - Counter(found)
    surplus = Counter(found) - Counter(expected)
    if missing or surplus:
        yield (
            f"{what} has {sum(found.values())} rows instead of {sum(expected.values())}: "
            f"{missing.total()} are missing or other, {_some(missing)}; "
            f"{surplus.total()} should not be there, {_some(surplus)}"
        )


def _some(rows: Counter[Any]) -> str:
    return f"such as {[*rows][:_SHOWN_MAX]}" if rows else "none"
