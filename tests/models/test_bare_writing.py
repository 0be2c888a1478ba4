"""A bare record is the same, byte by byte, whoever writes it: `models.bare` or the Avro library."""

import random

import pytest

from models import limits
from models.avro import BARE_START, decode, encode
from models.bare import write_bare
from models.records import EVENT_TYPES, Event, LogRecord, SchemaFinding
from tests.models.test_avro import SESSION_ID, raw_event, raw_record

EDGES = [0, 1, 63, 64, 8_191, 8_192, 2**20 - 1, 2**20, 2**27 - 1, 2**27, limits.PLAYHEAD_MS_MAX]
INSTANTS = [0, 2**34 - 1, 2**34, 1_768_507_200_000, 2**41 - 1, 2**41, limits.TS_MS_MAX]


def library(event: Event) -> bytes:
    fields = raw_event(type=event.type, ts=event.ts, playhead_ms=event.playhead_ms)
    return raw_record(fields)


@pytest.mark.parametrize("event_type", EVENT_TYPES)
@pytest.mark.parametrize("ts", INSTANTS)
def test_the_edges_are_written_as_the_library_does(event_type: str, ts: int) -> None:
    for playhead_ms in EDGES:
        event = Event(event_type, ts, playhead_ms)  # type: ignore[arg-type]
        assert encode(SESSION_ID, (event,)) == library(event)
        bare = write_bare(BARE_START, SESSION_ID, event)
        assert bare in (None, library(event))


def test_what_is_usual_is_written_here() -> None:
    chance = random.Random(3)
    for _ in range(2_000):
        event = Event("ping", 1_700_000_000_000 + chance.randrange(10**11), chance.randrange(10**8))
        assert write_bare(BARE_START, SESSION_ID, event) == library(event)


@pytest.mark.parametrize(
    "event",
    [
        Event("ping", 1_768_507_200_000, 1, {"a": 1}),
        Event("ping", 1_768_507_200_000, 1, None, {"a": 1}),
        Event("ping", 1_768_507_200_000, 1, None, None, {"a": "1"}),
        Event("ping", 1_768_507_200_000, 1, findings=(SchemaFinding("unknown_param", "x"),)),
        Event("ping", 1_768_507_200_000, -1),
    ],
)
def test_anything_more_is_left_to_the_library(event: Event) -> None:
    assert write_bare(BARE_START, SESSION_ID, event) is None


def test_ids_of_another_form_are_left_to_the_library() -> None:
    event = Event("ping", 1_768_507_200_000, 1)
    for session_id in ("a" * 63, "ä" * 64, "ä" * 32 + "a" * 32):
        assert write_bare(BARE_START, session_id, event) is None


def test_empty_maps_count_as_absent() -> None:
    event = Event("ping", 1_768_507_200_000, 1, {}, {}, {}, ())
    value = encode(SESSION_ID, (event,))
    assert value == library(event)
    read = decode(LogRecord(0, 0, 5, SESSION_ID.encode(), value))
    assert read.events == (Event("ping", 1_768_507_200_000, 1, received_at=5),)
