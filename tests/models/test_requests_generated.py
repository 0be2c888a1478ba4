"""Generated bodies: the quick reading and the slow one, which explains, say the same."""

import json
import math
from collections.abc import Callable
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.avro import decode, encode
from models.records import EVENT_TYPES, EventType, LogRecord
from models.request_errors import explain
from models.request_fields import PARAMS, QOE_KEYS
from models.requests import PROFILES, InvalidBody, Profile, RequestReader, event_of
from tests.ingest.bodies import valid

READERS = {profile: RequestReader(profile) for profile in PROFILES}
SID = "a" * 64

numbers = st.one_of(
    st.integers(-(2**54), 2**54),
    st.floats(),
    st.sampled_from([0, 0.5, 1, 60, 2**53 - 1, 2**53, 1e15, -1e15, 1e16, 10**30]),
)
texts = st.one_of(
    st.text(max_size=8), st.sampled_from(["", "N/A", "mute", "player", "a:b", "\x00"])
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


def known_names(event_type: str) -> st.SearchStrategy[str]:
    names = [key.name for key in PARAMS[event_type]]  # type: ignore[index]
    return st.one_of(st.sampled_from([*names, *sorted(QOE_KEYS)]), texts)


@st.composite
def bodies(draw: st.DrawFn) -> Any:
    """A valid event with a few things changed, or anything at all."""
    event_type = draw(st.sampled_from(EVENT_TYPES))
    body = json.loads(json.dumps(valid(event_type)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(["top", "playerTime", "params", "qoeData", "customMetadata"]))
        if place == "top":
            body[draw(st.one_of(st.sampled_from(sorted(body)), texts))] = draw(values)
            continue
        inner = body.setdefault(place, {})
        if not isinstance(inner, dict):
            continue
        if place == "customMetadata":
            inner[draw(texts)] = draw(st.one_of(texts, values))
        else:
            name = st.sampled_from(["ts", "playhead"])
            inner[draw(name if place == "playerTime" else known_names(event_type))] = draw(values)
    return body


def outcome(read: Callable[[bytes], Any], body: bytes) -> Any:
    """What came of a body: an event, events, or the refusal."""
    try:
        return read(body)
    except InvalidBody as refused:
        return refused


def is_plain(value: Any) -> bool:
    """Whether the standard library can write the value as JSON that means the same."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(is_plain(item) for item in value.values())
    return all(is_plain(item) for item in value) if isinstance(value, list) else True


@settings(max_examples=600)
@given(bodies(), st.sampled_from(PROFILES))
def test_both_readings_agree(body: Any, profile: Profile) -> None:
    sent = json.dumps(body).encode()
    errors = explain(sent, profile, lambda fields: iter(()))
    event = outcome(READERS[profile].read_event, sent)
    if isinstance(event, InvalidBody):
        assert list(event.errors) == errors
        assert errors
        assert all(error.path and error.message for error in errors)
        return
    assert errors == []
    assert is_plain(body)
    assert event == event_of(json.loads(sent))
    # What the collector accepts is never a dead letter.
    record = decode(LogRecord(0, 0, 0, SID.encode(), encode(SID, (event,))))
    assert record.events == (event,)


@settings(max_examples=250)
@given(st.lists(bodies(), max_size=3))
def test_a_list_is_read_like_its_events(events: list[Any]) -> None:
    first = valid("sessionStart")
    first["params"]["media.downloaded"] = True
    read = READERS["standard"]
    single = [outcome(read.read_event, json.dumps(one).encode()) for one in (first, *events)]
    together = outcome(read.read_offline, json.dumps([first, *events]).encode())
    bad = {f"[{place}]" for place, one in enumerate(single) if isinstance(one, InvalidBody)}
    if isinstance(together, InvalidBody):
        assert {error.path.split("]")[0] + "]" for error in together.errors} == bad
    else:
        assert together == single


@settings(max_examples=400)
@given(st.one_of(st.binary(max_size=60), values.map(lambda value: json.dumps(value).encode())))
@example(b"-" * 9)
@example(b"1" * 6_000)
@example(b'{"a":' + b"1" * 5_000 + b"}")
@example(b'{"eventType":' + b'"\\ud8' + b'"}')
def test_anything_else_is_refused_in_words(body: bytes) -> None:
    for reader in READERS.values():
        for read in (reader.read_event, reader.read_session_start, reader.read_offline):
            refused = outcome(read, body)
            assert isinstance(refused, InvalidBody)
            assert refused.errors
            assert refused.summary()


@settings(max_examples=250)
@given(st.sampled_from(EVENT_TYPES), st.data())
def test_bytes_that_were_damaged_never_pass_unseen(
    event_type: EventType, data: st.DataObject
) -> None:
    sent = bytearray(json.dumps(valid(event_type)).encode())
    place = data.draw(st.integers(0, len(sent) - 1))
    sent[place] = data.draw(st.integers(0, 255))
    event = outcome(READERS["standard"].read_event, bytes(sent))
    if isinstance(event, InvalidBody):
        assert event.errors
    else:
        assert event == event_of(json.loads(bytes(sent)))
