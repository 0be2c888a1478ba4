"""Several partitions in one processor: one checkpoint for all, one lost claim stops only one."""

import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from models.avro import decode, encode
from models.records import LogRecord
from processor.embedded_source import EmbeddedCloses
from processor.projection import Projection
from tests.contract.tables import Content
from tests.processor_shell.eventful import TINY, write_eventful
from tests.processor_shell.world import StoppingSource, World

NAMES = ("two", "log-of-two")


class TwoPartitions:
    """A log in memory; partition 1 has the same sessions as partition 0 under other ids."""

    def __init__(self, records: Sequence[LogRecord]) -> None:
        self._records = {0: list(records), 1: [on_partition_1(record) for record in records]}
        self._next_offsets: dict[int, int] = {}

    def name(self) -> str:
        return NAMES[0]

    def topic(self) -> str:
        return NAMES[0]

    def log_id(self) -> str:
        return NAMES[1]

    def partitions(self) -> Sequence[int]:
        return (0, 1)

    def gone(self) -> Sequence[int]:
        return ()

    def doubt(self, partition: int) -> None:
        """Nobody assigns these partitions."""

    def end_offsets(self, partitions: Collection[int]) -> dict[int, int]:
        return {partition: self.end_offset(partition) for partition in partitions}

    def checkpointed(self, next_offsets: Mapping[int, int]) -> None:
        """Nobody looks at the readers of this log."""

    def start_offset(self, partition: int) -> int:
        del partition
        return 1

    def start_offsets(self, partitions: Collection[int]) -> dict[int, int]:
        return {partition: self.start_offset(partition) for partition in partitions}

    def end_offset(self, partition: int) -> int:
        return len(self._records[partition]) + 1

    def seek(self, partition: int, next_offset: int) -> None:
        self._next_offsets[partition] = next_offset

    def next_offsets(self) -> Mapping[int, int]:
        return self._next_offsets

    def idle(self) -> None:
        """Nobody counts the readers of this log."""

    def poll(self, timeout_s: float, records_max: int) -> list[LogRecord]:
        del timeout_s
        found: list[LogRecord] = []
        for partition, next_offset in self._next_offsets.items():
            some = self._records[partition][next_offset - 1 :][:records_max]
            self._next_offsets[partition] += len(some)
            found += some
        return found

    def close(self) -> None:
        return


def on_partition_1(record: LogRecord) -> LogRecord:
    if len(record.key) != 64:
        return record._replace(partition=1)
    decoded = decode(record)
    twin = "f" + decoded.session_id[1:]
    value = encode(twin, decoded.events, offline=decoded.offline)
    return record._replace(partition=1, key=twin.encode(), value=value)


def run_two(world: World, stolen: dict[int, int]) -> Content:
    """Processes both partitions; at the polls in `stolen` another processor claims one."""
    other = Projection(world.engine, world.projection)

    def steal(poll: int) -> None:
        if poll in stolen:
            other.claim(stolen[poll], NAMES, 1)

    stop = threading.Event()
    sink = EmbeddedCloses(world.log_path, lambda: 0)
    source = StoppingSource(TwoPartitions(world.log_records()), stop, steal)
    world.runner(source, sink).run(stop)
    sink.close()
    return world.content()


def without_place(row: dict[str, Any]) -> dict[str, Any]:
    return {name: v for name, v in row.items() if name not in ("session_id", "log_partition")}


def test_both_partitions_give_the_same(world: World) -> None:
    world.settings = TINY
    write_eventful(world)
    rows = run_two(world, {})
    by_partition = [
        [without_place(row) for row in rows["sessions_closed"] if row["log_partition"] == partition]
        for partition in (0, 1)
    ]
    assert by_partition[0] == by_partition[1]
    assert len(by_partition[0]) == 5
    assert [row["next_offset"] for row in rows["progress"]] == [len(world.log_records()) + 1] * 2


def test_a_lost_partition_does_not_hold_up_the_others(world: World) -> None:
    """The checkpoint that fails for one is written for the other, from what was in memory."""
    world.settings = TINY
    write_eventful(world)
    expected = run_two(world, {})
    for table in ("progress", "sessions_closed"):
        assert len(expected[table]) > 1
    world.start_anew()
    stolen = {3: 1, 5: 0, 6: 1}
    assert run_two(world, stolen) == expected
    lost = world.registry.get_sample_value("bookended_processor_claims_lost_total")
    assert lost == len(stolen)
