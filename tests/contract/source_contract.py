"""What every source must do, whatever log it reads; a subclass gives the log.

Only for tests. One class per interface: the embedded log is the first to run it.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import pytest

from models.records import LogRecord
from processor.source import Source

KEY = b"a" * 64
POLL_S = 1.0
READ_WITHIN_S = 60.0


class Log(Protocol):
    """A log that a test can write to and cut."""

    def append(self, value: bytes, received_at: int, key: bytes = KEY) -> int:
        """Appends one record, committed; its offset."""
        ...

    def cut(self, start_offset: int) -> None:
        """Deletes what lies below `start_offset`, as retention does."""
        ...

    def open(self) -> Source:
        """A source of its own, nothing sought."""
        ...

    def other(self) -> "Log":
        """A second, empty log."""
        ...


class SourceContract(ABC):
    """Subclasses give the fixture `log`: an empty log with partition 0."""

    @pytest.fixture
    @abstractmethod
    def log(self) -> Log:
        """What is tested, of one implementation."""

    def test_an_empty_log_ends_where_it_starts(self, log: Log) -> None:
        source = log.open()
        assert source.end_offset(0) == source.start_offset(0)
        source.seek(0, source.start_offset(0))
        assert source.poll(0, 10) == []

    def test_records_come_with_place_time_and_bytes(self, log: Log) -> None:
        offset = log.append(b"\x00\xff one", 1_000)
        log.append(b"two", 1_000)
        log.append(b"three", 2_500)
        source = log.open()
        source.seek(0, offset)
        assert read(source) == [
            LogRecord(0, offset, 1_000, KEY, b"\x00\xff one"),
            LogRecord(0, offset + 1, 1_000, KEY, b"two"),
            LogRecord(0, offset + 2, 2_500, KEY, b"three"),
        ]

    def test_a_poll_gives_no_more_than_asked_for(self, log: Log) -> None:
        first = append_all(log, [b"%d" % i for i in range(7)])
        source = log.open()
        source.seek(0, first)
        polls = polled(source, 3)
        assert max(len(records) for records in polls) <= 3
        assert [r.value for records in polls for r in records] == [b"%d" % i for i in range(7)]

    def test_nothing_sought_gives_nothing(self, log: Log) -> None:
        log.append(b"one", 1)
        assert log.open().poll(0, 10) == []

    def test_seek_goes_back_and_forth(self, log: Log) -> None:
        first = append_all(log, [b"%d" % i for i in range(5)])
        source = log.open()
        source.seek(0, first)
        assert len(read(source)) == 5
        source.seek(0, first + 3)
        assert [r.value for r in read(source)] == [b"3", b"4"]
        source.seek(0, first)
        assert len(read(source)) == 5

    def test_what_is_appended_later_comes_later(self, log: Log) -> None:
        source = log.open()
        source.seek(0, source.end_offset(0))
        assert source.poll(0, 10) == []
        log.append(b"one", 1)
        assert [r.value for r in read(source)] == [b"one"]
        assert source.poll(0, 10) == []

    def test_it_says_below_which_offset_all_was_given(self, log: Log) -> None:
        first = append_all(log, [b"%d" % i for i in range(5)])
        source = log.open()
        assert dict(source.next_offsets()) == {}
        source.seek(0, first + 1)
        assert dict(source.next_offsets()) == {0: first + 1}
        read(source)
        assert dict(source.next_offsets()) == {0: source.end_offset(0)}

    def test_idling_reads_nothing(self, log: Log) -> None:
        first = append_all(log, [b"one", b"two"])
        source = log.open()
        source.seek(0, first)
        for _ in range(3):
            source.idle()
        self.settle(source)
        source.seek(0, first)
        assert [r.value for r in read(source)] == [b"one", b"two"]

    def settle(self, source: Source) -> None:
        """Returns when the source says again that partition 0 is to be read."""
        deadline = time.monotonic() + READ_WITHIN_S
        while time.monotonic() < deadline:
            if list(source.partitions()) == [0]:
                return
            source.idle()
            time.sleep(0.01)
        raise AssertionError("the partition did not come back")

    def test_the_end_is_behind_the_last_record(self, log: Log) -> None:
        source = log.open()
        offset = log.append(b"one", 1)
        assert source.end_offset(0) == offset + 1
        assert source.start_offset(0) == offset

    def test_large_records_come_one_after_the_other(self, log: Log) -> None:
        values = [bytes([i]) * 5_000_000 for i in range(4)]
        first = append_all(log, values)
        source = log.open()
        source.seek(0, first)
        polls = polled(source, 500)
        assert max(len(records) for records in polls) < 4
        assert [r.value for records in polls for r in records] == values

    def test_retention_moves_the_start_and_nothing_else(self, log: Log) -> None:
        first = append_all(log, [b"%d" % i for i in range(5)])
        log.cut(first + 3)
        source = log.open()
        assert source.start_offset(0) == first + 3
        assert source.end_offset(0) == first + 5
        source.seek(0, first + 3)
        assert [r.offset for r in read(source)] == [first + 3, first + 4]

    def test_offsets_do_not_restart_in_an_emptied_log(self, log: Log) -> None:
        offset = log.append(b"one", 1)
        log.cut(offset + 1)
        source = log.open()
        assert source.start_offset(0) == source.end_offset(0) == offset + 1
        assert log.append(b"two", 2) == offset + 1

    def test_a_log_keeps_its_id_and_shares_it_with_no_other(self, log: Log) -> None:
        log_id = log.open().log_id()
        log.append(b"one", 1)
        assert log.open().log_id() == log_id
        assert log.other().open().log_id() != log_id

    def test_it_names_itself_and_its_partitions(self, log: Log) -> None:
        source = log.open()
        assert source.name()
        assert source.topic() in source.name()
        assert list(source.partitions()) == [0]

    def test_closing_twice_does_nothing(self, log: Log) -> None:
        source = log.open()
        source.close()
        source.close()


def append_all(log: Log, values: Sequence[bytes]) -> int:
    """Appends records that arrive at 0, 1, 2 … ms; the first one's offset."""
    offsets = [log.append(value, at) for at, value in enumerate(values)]
    return offsets[0]


def read(source: Source) -> list[LogRecord]:
    """All from where the source stands to the end of the log."""
    return [record for records in polled(source, 100) for record in records]


def polled(source: Source, records_max: int) -> list[list[LogRecord]]:
    """The polls it takes to the end of the log, empty ones left out."""
    polls: list[list[LogRecord]] = []
    end_offset = source.end_offset(0)
    deadline = time.monotonic() + READ_WITHIN_S
    while time.monotonic() < deadline:
        records = source.poll(POLL_S, records_max)
        if records:
            polls.append(records)
        if records and records[-1].offset + 1 >= end_offset:
            return polls
    raise AssertionError(f"the end of the log was not reached within {READ_WITHIN_S} s")
