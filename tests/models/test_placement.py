"""The partition of a session: Kafka's own for the count of its time, and the same for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2 as murmur2_of_kafka_python

from models.placement import (
    PartitionCount,
    Placement,
    made_at,
    murmur2,
    parse_partition_counts,
    partition_counts_text,
)

# From the tests of Kafka's own client, as signed numbers.
OF_THE_JAVA_CLIENT = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
MARCH = 1_772_323_200_000  # 2026-03-01T00:00:00Z


def session_id(made_at_ms: int, rest: str = "a") -> str:
    return f"{made_at_ms:012x}" + rest * 52


@pytest.mark.parametrize(("key", "value"), OF_THE_JAVA_CLIENT.items())
def test_the_hash_is_that_of_the_java_client(key: bytes, value: int) -> None:
    assert murmur2(key) == value & 0xFFFFFFFF


@given(st.binary(max_size=80))
def test_the_hash_is_that_of_kafka_python(key: bytes) -> None:
    assert murmur2(key) == murmur2_of_kafka_python(key)


@given(st.text("0123456789abcdef", min_size=64, max_size=64), st.integers(1, 10_000))
def test_with_one_count_it_is_the_default_partitioner(key: str, count: int) -> None:
    expected = (murmur2_of_kafka_python(key.encode()) & 0x7FFFFFFF) % count
    partitions = Placement([PartitionCount(0, count)])
    assert partitions.of(key) == expected
    assert partitions.of(key) == expected


def test_a_session_stays_when_partitions_are_added() -> None:
    before = Placement(parse_partition_counts("8"))
    after = Placement(parse_partition_counts("8, 32 from 2026-03-01T00:00:00Z"))
    old = [session_id(MARCH - 1, f"{n:04x}"[:4]) for n in range(200)]
    new = [session_id(MARCH, f"{n:04x}"[:4]) for n in range(200)]
    assert [after.of(key) for key in old] == [before.of(key) for key in old]
    assert {after.of(key) for key in old} == set(range(8))
    assert len({after.of(key) for key in new}) == 32
    assert after.partitions == 32


def test_an_id_without_a_time_has_the_first_count() -> None:
    assert made_at("x" * 64) == 0
    assert made_at("") == 0
    assert made_at(session_id(MARCH)) == MARCH
    counts = Placement(parse_partition_counts("1, 32 from 2026-03-01T00:00:00Z"))
    assert {counts.of(f"Z{n:063}") for n in range(50)} == {0}


def test_the_memory_of_ids_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.placement._KNOWN_MAX", 10)
    partitions = Placement(parse_partition_counts("8"))
    found = [partitions.of(session_id(n)) for n in range(25)]
    assert len(partitions._known) <= 10
    assert [partitions.of(session_id(n)) for n in range(25)] == found


def test_counts_read_back() -> None:
    text = "8, 32 from 2026-03-01T00:00:00Z, 64 from 2026-04-01T12:30:00.250000Z"
    counts = parse_partition_counts(text)
    assert counts[:2] == ((0, 8), (MARCH, 32))
    assert partition_counts_text(counts) == text
    assert parse_partition_counts(" 8 ,32 from 2026-03-01T01:00:00+01:00") == counts[:2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no list of partition counts"),
        ("eight", "no list of partition counts"),
        ("8, 32 from spring", "spring is no instant"),
        ("8, 32 from 2026-03-01T00:00:00", "no time zone"),
        ("8 from 2026-03-01T00:00:00Z", "begins with a dated count"),
        ("8, 32", "not in order"),
        ("8, 32 from 2026-03-01T00:00:00Z, 64 from 2026-02-01T00:00:00Z", "not in order"),
        ("32, 8 from 2026-03-01T00:00:00Z", "only be added"),
        ("0", "not within 1 to"),
        ("8, 10001 from 2026-03-01T00:00:00Z", "not within 1 to"),
        ("8" + ", 8 from 2026-03-01T00:00:00Z" * 100, "more than 100"),
    ],
)
def test_what_is_no_list_of_counts_is_told(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_partition_counts(text)
