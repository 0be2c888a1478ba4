"""A log and a database with dead letters in them: embedded or Kafka, SQLite or PostgreSQL.

Only for tests. The letters are records that this release can read: an older one put them aside.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import insert, select

from commands.dead_letters import Replaying
from commands.kafka_topics import migrate_topics
from commands.log_again import log_again
from commands.replaying import Replay, Replayed
from deploy.local import LocalKafka
from models.avro import UndecodableRecord, decode, encode
from models.bare import read_bare
from models.kafka_log import KafkaLog
from models.placement import Placement, parse_partition_counts
from models.records import Event, LogRecord, Record
from models.tables import dead_letters, progress
from processor.database import reading, writing
from processor.dead_letters import BatchBounds, StoredLetter, Wanted
from processor.projection import Projection
from tests.commands.processes import PATIENCE_S
from tests.kafka.broker import all_records, new_topic, producer
from tests.kafka.test_kafka_to_sql import Processor
from tests.processor_shell.postgres_world import PostgresWorld
from tests.processor_shell.world import World

PARTITIONS: Final = 3
READ_WITHIN_S: Final = 120.0
REASON: Final = "unknown schema fingerprint 0011223344556677"
EVERYTHING: Final = Wanted()

_numbers = itertools.count(1)


class Site:
    """One of each. `kafka` None: the log is the world's file."""

    def __init__(self, world: World, database: str | None, kafka: KafkaLog | None) -> None:
        self.world = world
        self.kafka = kafka
        self.engine = world.engine
        self.projection = world.projection
        log = str(kafka) if kafka else f"sqlite:///{world.log_path}"
        database = database or f"sqlite:///{world.database_path}"
        self.settings = Replaying(log=log, database=database, data=world.folder)

    def append(self, partition: int, key: bytes, value: bytes) -> int:
        """Appends a record; its offset."""
        if self.kafka is None:
            self.world.append_bytes(key.decode(), value, 1)
            return self.world.log_records()[-1].offset
        client = producer(self.kafka)
        offset: int = (
            client.send(self.kafka.topic, value, key, partition=partition).get(PATIENCE_S).offset
        )
        client.close()
        return offset

    def log(self) -> list[tuple[int, bytes, bytes]]:
        """Partition, key and value of every record."""
        if self.kafka is None:
            return [(0, r.key, r.value) for r in self.world.log_records()]
        return [(r.partition, r.key, r.value) for r in all_records(self.kafka)]

    def put_aside(self, sessions: int, events: int, partition: int = 0) -> list[bytes]:
        """Sessions' records, one after the other in turn, in the log and among the dead letters;
        the values."""
        partition = partition if self.kafka else 0
        ids = [f"{next(_numbers):064x}" for _ in range(sessions)]
        values = []
        for number in range(events):
            for session_id in ids:
                event = Event("ping", 1_760_000_000_000 + number * 1_000, number * 1_000)
                values.append(encode(session_id, [event]))
                self.put_aside_bytes(session_id.encode(), values[-1], partition)
        return values

    def put_aside_bytes(self, key: bytes, value: bytes, partition: int = 0, **more: Any) -> None:
        """One record, in the log and among the dead letters."""
        offset = self.append(partition, key, value)
        row = {
            "projection": self.projection,
            "log_partition": partition,
            "offset": offset,
            "topic": "media-events",
            "received_at": 1_760_000_000_000,
            "reason": REASON,
            "key": key,
            "value": value,
        }
        with writing(self.engine) as connection:
            connection.execute(insert(dead_letters).values(row | more))

    def claim(self) -> None:
        """The rows in `progress` that a processor of this log leaves."""
        with log_again(self.settings) as log:
            projection = Projection(self.engine, self.projection)
            for partition in range(PARTITIONS if self.kafka else 1):
                projection.claim(partition, (log.name(), log.log_id()), 0)

    def letters(self) -> list[StoredLetter]:
        with reading(self.engine) as connection:
            columns = [dead_letters.c[name] for name in StoredLetter._fields]
            rows = connection.execute(
                select(*columns).order_by(dead_letters.c.log_partition, dead_letters.c.offset)
            )
            return [StoredLetter(*row) for row in rows]

    async def replay(
        self, wanted: Wanted = EVERYTHING, limit: int | None = None, letters_max: int = 500
    ) -> Replayed:
        with log_again(self.settings) as log:
            bounds = BatchBounds(letters_max)
            replay = Replay(self.engine, self.projection, log, lambda _: None, bounds)
            return await replay.run(wanted, limit)

    def process(self) -> None:
        """Runs a processor over all that the log has."""
        if self.kafka is None:
            self.world.process()
            return
        ends = dict.fromkeys(range(PARTITIONS), 0)
        for partition, _, _ in self.log():
            ends[partition] += 1
        self.world.registry = CollectorRegistry()
        processor = Processor(self.world, self.kafka)
        try:
            deadline = time.monotonic() + READ_WITHIN_S
            while self._next_offsets() != ends:
                assert time.monotonic() < deadline, (self._next_offsets(), ends)
                time.sleep(0.05)
        finally:
            processor.stop()

    def _next_offsets(self) -> dict[int, int]:
        query = select(progress.c.log_partition, progress.c.next_offset)
        with reading(self.engine) as connection:
            return {row.log_partition: row.next_offset for row in connection.execute(query)}


@contextmanager
def older_release(refuses: Callable[[bytes], bool]) -> Iterator[None]:
    """In the block the processor is one that cannot read the records of some keys."""

    def older_decode(record: LogRecord) -> Record:
        if refuses(record.key):
            raise UndecodableRecord(REASON)
        return decode(record)

    def older_read_bare(start: bytes, received_at: int, key: bytes, value: bytes) -> Event | None:
        return None if refuses(key) else read_bare(start, received_at, key, value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("processor.step.decode", older_decode)
        for module in ("step", "by_session"):
            patch.setattr(f"processor.{module}.read_bare", older_read_bare)
        yield


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """Kills a replay at one point of its work. Once dead it writes nothing more, neither to SQL nor
    to the log."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int) -> None:
        self.points: list[str] = []
        self._at = at
        self._lock = threading.Lock()
        for name in ("begin_replay", "remove", "writing"):
            original = getattr(__import__("commands.replaying", fromlist=[name]), name)
            patch.setattr(f"commands.replaying.{name}", self._wrapped(name, original))
        for path in (
            "ingest.kafka_publisher.KafkaPublisher.publish",
            "ingest.embedded_publisher.EmbeddedPublisher.publish",
        ):
            module, kind, _ = path.rsplit(".", 2)
            original = getattr(__import__(module, fromlist=[kind]), kind).publish
            patch.setattr(path, self._wrapped_publish(original))

    def _wrapped(self, name: str, original: Any) -> Any:
        def wrapped(*args: Any) -> Any:
            self._point(f"before {name}")
            result = original(*args)
            if name != "writing":
                self._point(f"{name}, not committed")
            return result

        return wrapped

    def _wrapped_publish(self, original: Any) -> Any:
        async def publish(publisher: Any, key: str, value: bytes) -> None:
            self._point("before publish")
            await original(publisher, key, value)
            self._point("published, not told")

        return publish

    def _point(self, name: str) -> None:
        with self._lock:
            self.points.append(name)
            if len(self.points) > self._at:
                raise Killed(name)


@contextmanager
def site_of(folder: Path, postgres_url: str | None, broker: LocalKafka | None) -> Iterator[Site]:
    """Embedded where no server is given."""
    log = None
    if broker is not None:
        log = new_topic(broker.bootstrap, PARTITIONS)
        migrate_topics(log, Placement(parse_partition_counts(str(PARTITIONS))), None)
    world = PostgresWorld(folder, url=postgres_url) if postgres_url else World(folder)
    site = Site(world, postgres_url, log)
    try:
        yield site
    finally:
        world.close()
