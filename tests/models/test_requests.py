"""Bodies by the rules of docs/http.md "Body": what is accepted, kept, found odd, and refused."""

from typing import Any

import pytest

from models.limits import DETAIL_LENGTH_MAX
from models.records import EVENT_TYPES, Event, EventType, SchemaFinding
from models.request_fields import PARAMS as KNOWN
from models.request_fields import Kind, Need
from models.requests import FINDINGS_MAX, PROFILES, InvalidBody, Profile, RequestReader
from tests.ingest.bodies import PARAMS, TS, dumps, event, start, valid
from tests.models.refusals import STANDARD, STRICT, errors


def findings(body: Any) -> list[tuple[str, str]]:
    found = STANDARD.read_event(dumps(body)).findings or ()
    return [(one.code, one.detail) for one in found]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_event_type_is_accepted(event_type: EventType, profile: Profile) -> None:
    read = RequestReader(profile).read_event(dumps(valid(event_type)))
    assert read == Event(event_type, TS, 0, PARAMS.get(event_type))


def test_a_bare_ping() -> None:
    body = event(playhead=12.3456, ts=TS)
    assert STANDARD.read_event(dumps(body)) == Event("ping", TS, 12_346)


@pytest.mark.parametrize("key", ["params", "qoeData", "customMetadata"])
@pytest.mark.parametrize("absent", [None, {}])
@pytest.mark.parametrize("profile", PROFILES)
def test_null_and_empty_objects_count_as_absent(key: str, absent: object, profile: Profile) -> None:
    body = {**event(), key: absent}
    read = RequestReader(profile).read_event(dumps(body))
    assert read == Event("ping", TS, 0)


def test_values_are_kept_as_sent() -> None:
    params = {"media.ad.podIndex": 1.5, "media.ad.podSecond": 3, "mine": {"a": [1, None, True]}}
    read = STANDARD.read_event(
        dumps(event("adBreakStart", params=params, qoeData={"bitrate": "3000"}))
    )
    assert read.params == params
    assert type(read.params["media.ad.podSecond"]) is int
    assert read.qoe == {"bitrate": "3000"}


@pytest.mark.parametrize("event_type", PARAMS)
def test_each_required_param_is_asked_for(event_type: EventType) -> None:
    needed = {key.name for key in KNOWN[event_type] if key.need is Need.ALWAYS}
    ways: tuple[object, ...] = (None, {}, "left out")
    for absent in ways:
        body = event(event_type, params=absent)
        if absent == "left out":
            del body["params"]
        expected = {f'params["{name}"]' for name in needed} or {"params"}
        assert set(errors(body)) == expected
    for name in needed:
        body = valid(event_type)
        del body["params"][name]
        assert errors(body) == {f'params["{name}"]': "is required"}


@pytest.mark.parametrize("event_type", ["sessionStart", "adStart"])
def test_what_only_strict_requires_is_a_finding_in_standard(event_type: EventType) -> None:
    for key in KNOWN[event_type]:
        if key.need is not Need.STRICT:
            continue
        body = valid(event_type)
        del body["params"][key.name]
        path = f'params["{key.name}"]'
        assert errors(body, STRICT) == {path: "is required"}
        assert findings(body) == [("missing_param", f"{event_type}: {path} is missing")]


WRONG: dict[Kind, tuple[Any, ...]] = {
    Kind.TEXT: (60, True, None, [], {}),
    Kind.NUMBER: ("60", True, None, [], {}),
    Kind.INTEGER: ("60", True, None, [], {}),
    Kind.FLAG: ("true", 1, 0, None, [], {}),
    Kind.STATE_NAME: ("", "a b", "a" * 65, "ä", "mute\n", 1, None),
    Kind.STATES: ({}, "mute", None, ["mute"], [{}], [{"media.state.name": "a b"}]),
    Kind.CUSTOMER_IDS: (
        [],
        "a",
        None,
        {"a": "b"},
        {"a": {"id": 5}},
        {"a": {"id": "x", "authState": 3}},
        {"a": {"id": "x", "authState": -1}},
        {"a": {"id": "x", "authState": "1"}},
    ),
    Kind.ERROR_SOURCE: ("Player", "", 1, None),
    Kind.ANYTHING: (),
}


@pytest.mark.parametrize(
    ("event_type", "key"),
    [(name, key) for name in EVENT_TYPES for key in KNOWN[name]],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_wrong_type_of_a_known_key_is_refused_with_its_path(
    event_type: EventType, key: Any
) -> None:
    for wrong in WRONG[key.kind]:
        body = valid(event_type)
        body["params"] = {**(body.get("params") or {}), key.name: wrong}
        for reader in (STANDARD, STRICT):
            found = errors(body, reader)
            assert all(key.name in path for path in found), found


@pytest.mark.parametrize("value", [23.5, 5, 5.0, -1, 0])
def test_an_integer_field_takes_a_float(value: float) -> None:
    body = event("adBreakStart", params={"media.ad.podIndex": value, "media.ad.podSecond": 1})
    params = STANDARD.read_event(dumps(body)).params or {}
    assert params["media.ad.podIndex"] == value
    if value == 23.5:
        assert errors(body, STRICT) == {
            'params["media.ad.podIndex"]': "must be a whole number, but is the number 23.5"
        }
    else:
        STRICT.read_event(dumps(body))


def test_the_message_names_path_and_value() -> None:
    body = start()
    body["params"]["media.length"] = "60"
    assert errors(body) == {
        'params["media.length"]': 'must be a number, but is the string "60"',
    }


def test_all_errors_come_at_once() -> None:
    body = {
        "playerTime": {"playhead": -1},
        "eventType": "sessionStart",
        "params": {"media.id": 5, "media.resume": "yes"},
        "qoeData": [],
        "customMetadata": {"a b": "x", "ok": 5},
    }
    assert errors(body) == {
        "playerTime.playhead": "must be a number from 0 to 10000000000, but is the number -1",
        "playerTime.ts": "is required",
        'params["media.id"]': "must be a string, but is the number 5",
        'params["media.length"]': "is required",
        'params["media.contentType"]': "is required",
        'params["media.playerName"]': "is required",
        'params["media.channel"]': "is required",
        'params["media.resume"]': 'must be true or false, but is the string "yes"',
        "qoeData": "must be an object, but is an array",
        'customMetadata["a b"]': "this name must consist of letters, digits, underscores and dots",
        "customMetadata.ok": "must be a string, but is the number 5",
    }


def test_faults_of_values_come_with_those_of_types() -> None:
    body = (
        b'{"playerTime":{"playhead":"1","ts":1,"ts":2},"eventType":"ping",'
        b'"qoeData":{"a":NaN,"b":1e300,"c":"\\u0000","d":"\\ud800","e":9007199254740992}}'
    )
    assert set(errors(body)) == {
        "playerTime.playhead",
        "playerTime.ts",
        "qoeData.a",
        "qoeData.b",
        "qoeData.c",
        "qoeData.d",
        "qoeData.e",
    }


@pytest.mark.parametrize(
    ("player_time", "path"),
    [
        ({"ts": 1}, "playerTime.playhead"),
        ({"playhead": 1}, "playerTime.ts"),
        ({"playhead": "1", "ts": 1}, "playerTime.playhead"),
        ({"playhead": True, "ts": 1}, "playerTime.playhead"),
        ({"playhead": None, "ts": 1}, "playerTime.playhead"),
        ({"playhead": -0.1, "ts": 1}, "playerTime.playhead"),
        ({"playhead": 1e10 + 1, "ts": 1}, "playerTime.playhead"),
        ({"playhead": 10**10 + 1, "ts": 1}, "playerTime.playhead"),
        ({"playhead": 1, "ts": "1"}, "playerTime.ts"),
        ({"playhead": 1, "ts": -1}, "playerTime.ts"),
        ({"playhead": 1, "ts": 253_402_300_800_000}, "playerTime.ts"),
        (None, "playerTime"),
        ([], "playerTime"),
        (5, "playerTime"),
    ],
)
def test_player_time(player_time: object, path: str) -> None:
    body = {"playerTime": player_time, "eventType": "ping"}
    assert set(errors(body)) == {path}


@pytest.mark.parametrize("ts", [0, 1, 253_402_300_799_999])
@pytest.mark.parametrize("playhead", [0, 0.0004, 10**10, 1e10])
def test_the_ends_of_the_ranges_are_in_them(ts: int, playhead: float) -> None:
    read = STANDARD.read_event(dumps(event(ts=ts, playhead=playhead)))
    assert (read.ts, read.playhead_ms) == (ts, round(playhead * 1000))


def test_a_fractional_ts_is_rounded() -> None:
    body = event(ts=TS + 0.6)  # type: ignore[arg-type]
    assert STANDARD.read_event(dumps(body)).ts == TS + 1
    assert set(errors(body, STRICT)) == {"playerTime.ts"}


@pytest.mark.parametrize(
    ("event_type", "part"),
    [
        ("Ping", "is ping meant?"),
        ("SESSIONSTART", "is sessionStart meant?"),
        ("resume", "bitrateChange"),
        (5, "the number 5"),
        (None, "null"),
        ([], "an array"),
        ({}, "an object"),
    ],
)
def test_an_unknown_event_type_lists_the_known_ones(event_type: object, part: str) -> None:
    body = event(playhead="x")  # type: ignore[arg-type]
    body["eventType"] = event_type
    found = errors(body)
    assert set(found) == {"eventType", "playerTime.playhead"}
    assert part in found["eventType"]


def test_a_missing_event_type_lists_the_known_ones() -> None:
    found = errors({"playerTime": {"playhead": 1, "ts": 1}})
    assert set(found) == {"eventType"}
    assert all(name in found["eventType"] for name in EVENT_TYPES)


def test_unknown_keys_are_kept_and_found() -> None:
    body = event(
        "statesUpdate",
        params={
            "mine": 1,
            "statesEnd": [{"media.state.name": "mute", "since": 5}],
            "media.qoe.bitrate": 5,
            "bitrate": "x",
        },
        qoeData={"custom": "x", "media.qoe.droppedFrames": 1, "errorID": "e"},
        extra={"a": 1},
    )
    body["playerTime"]["zone"] = "UTC"
    read = STANDARD.read_event(dumps(body))
    assert read.params == body["params"]
    assert read.findings == (
        SchemaFinding("unknown_param", 'statesUpdate: extra is not a known key; it is {"a": 1}'),
        SchemaFinding(
            "unknown_param", 'statesUpdate: playerTime.zone is not a known key; it is "UTC"'
        ),
        SchemaFinding("unknown_param", "statesUpdate: params.mine is not a known key; it is 1"),
        SchemaFinding(
            "unknown_param", 'statesUpdate: qoeData.custom is not a known key; it is "x"'
        ),
        SchemaFinding(
            "unknown_param", "statesUpdate: params.statesEnd[0].since is not a known key; it is 5"
        ),
    )


def test_unknown_keys_of_customer_ids_are_found() -> None:
    body = start(**{"visitor.customerIDs": {"crm": {"id": "1", "authState": 1, "x": None}}})
    (found,) = findings(body)
    assert found == (
        "unknown_param",
        'sessionStart: params["visitor.customerIDs"].crm.x is not a known key; it is null',
    )


def test_strict_refuses_unknown_keys_but_in_qoe_data() -> None:
    body = event(params={"mine": 1}, extra=1, qoeData={"custom": 1})
    body["playerTime"]["zone"] = 1
    told = "is not a known key; the strict profile refuses those"
    assert errors(body, STRICT) == {"params.mine": told, "extra": told, "playerTime.zone": told}
    assert errors(event(params={"bitrate": 1}), STRICT) == {"params.bitrate": told}
    STRICT.read_event(dumps(event(qoeData={"custom": 1}, params={"media.qoe.bitrate": "x"})))


def test_findings_of_one_event_are_bounded() -> None:
    found = findings(event(params={f"k{i}": "x" * 500 for i in range(1_000)}))
    assert len(found) == FINDINGS_MAX
    assert found[-1] == ("unknown_param", "985 more, not named one by one")
    assert all(len(detail) <= DETAIL_LENGTH_MAX for _, detail in found)


@pytest.mark.parametrize(
    "qoe",
    [
        {"media.qoe.bitrate": "many"},
        {"media.qoe.bitrate": None, "media.qoe.errorSource": 5},
        {"media.qoe.droppedFrames": [1], "media.qoe.timeToStart": {"a": True}},
    ],
)
def test_what_is_in_qoe_data_is_never_refused(qoe: Any) -> None:
    for reader in (STANDARD, STRICT):
        assert reader.read_event(dumps(event("bitrateChange", qoeData=qoe))).qoe == qoe
    if "media.qoe.errorSource" not in qoe:
        assert STANDARD.read_event(dumps(event("bitrateChange", params=qoe))).params == qoe


@pytest.mark.parametrize("qoe", [5, "x", [], True])
def test_qoe_data_must_be_an_object(qoe: object) -> None:
    assert set(errors(event(qoeData=qoe))) == {"qoeData"}


def test_custom_metadata() -> None:
    custom = {"a": "", "A_1.b": "x", "0": "ä"}
    assert STANDARD.read_event(dumps(event(customMetadata=custom))).custom == custom
    for name in ("", "a b", "a-b", "ä", "a\n"):
        assert len(errors(event(customMetadata={name: "x"}))) == 1
    wrong: tuple[object, ...] = (1, None, True, [], {})
    for value in wrong:
        assert set(errors(event(customMetadata={"a": value}))) == {"customMetadata.a"}


def test_states_update_needs_one_of_two() -> None:
    assert errors(event("statesUpdate", params={"mine": 1})) == {
        "params": 'must have "statesStart" or "statesEnd"'
    }
    for key in ("statesStart", "statesEnd"):
        STANDARD.read_event(dumps(event("statesUpdate", params={key: []})))


def test_a_session_opens_with_session_start_alone() -> None:
    assert STANDARD.read_session_start(dumps(start())).type == "sessionStart"
    found = errors(event("ping", params={"x": "\x00"}), read="read_session_start")
    assert set(found) == {"eventType", "params.x"}
    assert "must be sessionStart" in found["eventType"]


def test_the_summary_is_one_line() -> None:
    with pytest.raises(InvalidBody) as caught:
        STANDARD.read_event(dumps(event("nope")))
    assert caught.value.summary().startswith('eventType is the string "nope"')
    with pytest.raises(InvalidBody) as caught:
        STANDARD.read_event(dumps({}))
    assert caught.value.summary().startswith("2 errors, the first: eventType is required")
