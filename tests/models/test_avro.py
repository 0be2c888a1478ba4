"""The log record: what goes in comes out, released bytes decode for ever, the rest is refused."""

import json
import random
from io import BytesIO

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import fingerprint, to_parsing_canonical_form

from models import limits
from models.avro import BARE_START, UndecodableRecord, decode, encode, schema_text
from models.bare import read_bare
from models.records import EVENT_TYPES, Event, LogRecord, Record, SchemaFinding

SESSION_ID = "0123456789abcdef" * 4
KEY = SESSION_ID.encode()
SCHEMA = parse_schema(json.loads(schema_text()))
HEADER = bytes.fromhex(
    "c301" + fingerprint(to_parsing_canonical_form(json.loads(schema_text())), "CRC-64-AVRO")
)

# Bytes of released versions. They stay here for ever: no later release may fail to read them.
RELEASED = {
    "v1 bare": (
        "c3014dca6e66dabc738f80013031323334353637383961626364656630313233343536373839616263646566"
        "30313233343536373839616263646566303132333435363738396162636465660002068080e682b966a09c01"
        "0000"
    ),
    "v1 full": (
        "c3014dca6e66dabc738f80013031323334353637383961626364656630313233343536373839616263646566"
        "3031323334353637383961626364656630313233343536373839616263646566010412f681e682b966f2c001"
        "020298017b2264656570223a7b226572223a5b312c6e756c6c2c747275652c22c3a9225d7d2c226d65646961"
        "2e61642e6964223a226131222c226d656469612e61642e6c656e677468223a31352e357d02387b226d656469"
        "612e716f652e62697472617465223a2233303030227d022a7b2263616d706169676e223a2273756d6d657222"
        "7d021a756e6b6e6f776e5f706172616d08646565700028c0a9ed82b966c0a9070000"
    ),
}


def log_record(value: bytes, key: bytes = KEY, received_at: int = 7) -> LogRecord:
    return LogRecord(3, 42, received_at, key, value)


def raw(record: dict[str, object], header: bytes = HEADER) -> bytes:
    """A record as a producer with an Avro library of its own would write it."""
    out = BytesIO()
    schemaless_writer(out, SCHEMA, record)
    return header + out.getvalue()


def raw_event(**changes: object) -> dict[str, object]:
    event = {"type": "ping", "ts": 1_760_000_000_000, "playhead_ms": 1000, "details": None}
    return event | changes


def raw_record(*events: dict[str, object], session_id: str = SESSION_ID) -> bytes:
    return raw({"session_id": session_id, "offline": False, "events": list(events)})


def details(**changes: object) -> dict[str, object]:
    return {"params": None, "qoe": None, "custom": None, "findings": []} | changes


FULL = Event(
    "adStart",
    1_760_000_000_123,
    12_345,
    {"media.ad.id": "a1", "media.ad.length": 15.5, "deep": {"er": [1, None, True, "é"]}},
    {"media.qoe.bitrate": "3000"},
    {"campaign": "summer"},
    (SchemaFinding("unknown_param", "deep"),),
    7,
)


def test_full_event_comes_back_as_it_went_in() -> None:
    assert decode(log_record(encode(SESSION_ID, [FULL]))) == Record(SESSION_ID, False, (FULL,))


def test_offline_list_keeps_order_and_flag() -> None:
    events = tuple(Event(kind, 5, 6, received_at=7) for kind in EVENT_TYPES)
    assert decode(log_record(encode(SESSION_ID, events, offline=True))) == Record(
        SESSION_ID, True, events
    )


def test_arrival_time_is_the_logs_own() -> None:
    value = encode(SESSION_ID, [Event("ping", 1, 2, received_at=999)])
    assert decode(log_record(value, received_at=5)).events[0].received_at == 5


def test_empty_maps_count_as_absent() -> None:
    value = encode(SESSION_ID, [Event("play", 1, 2, {}, {}, {}, ())])
    assert decode(log_record(value)).events == (Event("play", 1, 2, received_at=7),)


def test_same_params_in_another_order_give_the_same_bytes() -> None:
    one = encode(SESSION_ID, [Event("error", 1, 2, {"a": 1, "b": 2})])
    other = encode(SESSION_ID, [Event("error", 1, 2, {"b": 2, "a": 1})])
    assert one == other


BARE = Event("ping", 1_760_000_000_000, 10_000, received_at=7)
END = Event("sessionEnd", 1_760_000_060_000, 60_000, received_at=7)
SAID = {
    "v1 bare": Record(SESSION_ID, False, (BARE,)),
    "v1 full": Record(SESSION_ID, True, (FULL, END)),
}


@pytest.mark.parametrize("name", RELEASED)
def test_released_bytes_decode_for_ever(name: str) -> None:
    assert decode(log_record(bytes.fromhex(RELEASED[name]))) == SAID[name]


@pytest.mark.parametrize("kind", EVENT_TYPES)
@pytest.mark.parametrize("playhead_ms", [0, 63, 64, 8191, 8192, 2**27 - 1, 2**27, 10**13])
@pytest.mark.parametrize("ts", [0, 2**34 - 1, 2**34, 2**41 - 1, 2**41, limits.TS_MS_MAX])
def test_short_way_reads_what_the_library_reads(kind: str, playhead_ms: int, ts: int) -> None:
    value = raw_record(raw_event(type=kind, ts=ts, playhead_ms=playhead_ms))
    event = decode(log_record(value)).events[0]
    assert event[:3] == (kind, ts, playhead_ms)
    bare = read_bare(BARE_START, 7, KEY, value)
    assert bare in (None, event)
    assert (bare is not None) == (2**34 <= ts < 2**41 and playhead_ms < 2**27)


def test_short_way_never_reads_what_the_library_reads_differently() -> None:
    """Damaged bytes: either way, or only the library, but never two readings."""
    rng = random.Random(11)
    read = 0
    for _ in range(20_000):
        ts, playhead_ms = 1_760_000_000_000 + rng.randrange(10**9), 10 ** rng.randrange(8)
        value = bytearray(raw_record(raw_event(ts=ts, playhead_ms=playhead_ms)))
        for _ in range(rng.randint(1, 3)):
            value[rng.randrange(76, len(value))] = rng.choice((0, 1, 2, 128, rng.randrange(256)))
        bare = read_bare(BARE_START, 7, KEY, bytes(value))
        if bare is None:
            continue
        read += 1
        body = BytesIO(bytes(value[10:]))
        fields = schemaless_reader(body, SCHEMA, None)
        assert body.read() == b""
        assert fields == {
            "session_id": SESSION_ID,
            "offline": False,
            "events": [
                {"type": bare.type, "ts": bare.ts, "playhead_ms": bare.playhead_ms, "details": None}
            ],
        }
    assert read > 500


BROKEN = {
    "not Avro": (b'{"eventType": "ping"}', "C3 01"),
    "empty": (b"", "C3 01"),
    "other schema": (b"\xc3\x01" + bytes(8) + raw_record(raw_event())[10:], "fingerprint"),
    "cut off": (raw_record(raw_event())[:-3], "not a valid Avro record"),
    "bytes behind": (raw_record(raw_event()) + b"\0", "follow"),
    "no events": (raw_record(), "no events"),
    "other key": (raw_record(raw_event(), session_id="f" * 64), "key"),
    "unknown type": (raw_record(raw_event(type="unknown")), "type"),
    "ts below 1970": (raw_record(raw_event(ts=-1)), "ts -1"),
    "ts beyond 9999": (raw_record(raw_event(ts=limits.TS_MS_MAX + 1)), "ts"),
    "negative playhead": (raw_record(raw_event(playhead_ms=-1)), "playhead_ms"),
    "huge playhead": (raw_record(raw_event(playhead_ms=10**13 + 1)), "playhead_ms"),
    "params no JSON": (raw_record(raw_event(details=details(params="{"))), "params"),
    "params no object": (raw_record(raw_event(details=details(params="[]"))), "params"),
    "NaN": (raw_record(raw_event(details=details(qoe='{"a":NaN}'))), "NaN"),
    "Infinity": (raw_record(raw_event(details=details(qoe='{"a":-Infinity}'))), "Infinity"),
    "big integer": (raw_record(raw_event(details=details(params=f'{{"a":{2**53}}}'))), "2^53"),
    "big number": (raw_record(raw_event(details=details(params='{"a":1e16}'))), "10^15"),
    "U+0000": (raw_record(raw_event(details=details(params='{"a":"\\u0000"}'))), "U+0000"),
    "U+0000 in a finding": (
        raw_record(
            raw_event(details=details(findings=[{"code": "unknown_param", "detail": "a\0"}]))
        ),
        "U+0000",
    ),
    "U+0000 in a key": (raw_record(raw_event(details=details(params='{"\\u0000":1}'))), "U+0000"),
    "surrogate": (raw_record(raw_event(details=details(params='{"a":"\\ud800"}'))), "surrogate"),
    "deep": (raw_record(raw_event(details=details(params='{"a":' * 9 + "1" + "}" * 9))), "nested"),
    "very deep": (
        raw_record(raw_event(details=details(params='{"a":' + "[" * 50_000 + "]" * 50_000 + "}"))),
        "params",
    ),
    "custom number": (raw_record(raw_event(details=details(custom='{"a":1}'))), "custom"),
    "finding code": (
        raw_record(raw_event(details=details(findings=[{"code": "x", "detail": ""}]))),
        "findings",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_record_that_breaks_the_contract_is_refused_with_a_reason(name: str) -> None:
    value, reason = BROKEN[name]
    with pytest.raises(UndecodableRecord, match=r".+") as refused:
        decode(log_record(value))
    assert reason in refused.value.reason
    assert "\n" not in refused.value.reason


@pytest.mark.parametrize("session_id", ["", "a" * 63, "a" * 65, "é" * 64, "a" * 63 + "-"])
def test_session_id_is_64_letters_or_digits(session_id: str) -> None:
    value = raw_record(raw_event(), session_id=session_id)
    with pytest.raises(UndecodableRecord):
        decode(log_record(value, key=session_id.encode()))


def test_damaged_bytes_are_refused_and_nothing_else_is_raised() -> None:
    rng = random.Random(5)
    value = encode(SESSION_ID, [FULL, FULL])
    refused = 0
    for _ in range(20_000):
        damaged = bytearray(value)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(10, len(damaged))] = rng.randrange(256)
        try:
            decode(log_record(bytes(damaged[: rng.randrange(10, len(damaged) + 1)])))
        except UndecodableRecord:
            refused += 1
    assert refused > 15_000
