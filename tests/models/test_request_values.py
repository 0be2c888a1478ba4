"""What holds for every value of a body, known key or not (docs/http.md "Body")."""

import json
from typing import Any

import pytest

from tests.ingest.bodies import dumps, event, start
from tests.models.refusals import STANDARD, errors, nested


@pytest.mark.parametrize(
    ("number", "is_valid"),
    [
        (2**53 - 1, True),
        (-(2**53) + 1, True),
        (2**53, False),
        (-(2**53), False),
        (10**400, False),
        (1e15, True),
        (-1e15, True),
        (1.1e15, False),
    ],
)
def test_numbers_are_bounded_wherever_they_stand(number: float, is_valid: bool) -> None:
    bodies = {
        "params.mine": event(params={"mine": number}),
        "params.mine.deep[1]": event(params={"mine": {"deep": [0, number]}}),
        "qoeData.bitrate": event(qoeData={"bitrate": number}),
        "mine": event(mine=number),
        "mine[0]": event(mine=[number]),
        'params["media.length"]': start(**{"media.length": number}),
    }
    for path, body in bodies.items():
        if is_valid:
            STANDARD.read_event(dumps(body))
        else:
            assert set(errors(body)) == {path}


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999"])
@pytest.mark.parametrize("place", ["params", "qoeData", "playhead"])
def test_numbers_are_finite(number: bytes, place: str) -> None:
    body = dumps(
        event(playhead=77, params={"a": 77}) if place != "qoeData" else event(qoeData={"a": 77})
    )
    body = body.replace(b'"playhead": 77', b'"playhead": 1') if place != "playhead" else body
    path = "playerTime.playhead" if place == "playhead" else f"{place}.a"
    if place == "playhead":
        body = body.replace(b'"playhead": 77', b'"playhead": ' + number).replace(
            b'"a": 77', b'"a": 1'
        )
    else:
        body = body.replace(b'"a": 77', b'"a": ' + number)
    assert set(errors(body)) == {path}


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\udc00", "\\ud800\\ud800", "a\\u0000b"])
@pytest.mark.parametrize(
    ("template", "path"),
    [
        (event(params={"mine": "@"}), "params.mine"),
        (event(params={"mine": ["@"]}), "params.mine[0]"),
        (event(qoeData={"x": "@"}), "qoeData.x"),
        (event(customMetadata={"x": "@"}), "customMetadata.x"),
        (event("error", params={"media.errorId": "@"}), 'params["media.errorId"]'),
        (event(mine="@"), "mine"),
    ],
)
def test_strings_are_storable(text: str, template: Any, path: str) -> None:
    body = json.dumps(template).replace("@", text).encode()
    assert set(errors(body)) == {path}


def test_names_are_storable() -> None:
    for text in ("\\u0000", "\\ud800"):
        assert len(errors(json.dumps(event(params={"a@": 1})).replace("@", text).encode())) == 1


def test_surrogate_pairs_and_other_text_are_fine() -> None:
    body = json.dumps(event(params={"mine": "\U0001f600 ä \\u0000 \u2028"}))
    assert STANDARD.read_event(body.encode()).params == {"mine": "\U0001f600 ä \\u0000 \u2028"}


@pytest.mark.parametrize("key", ["params", "qoeData", "mine"])
def test_nesting_goes_eight_levels_deep(key: str) -> None:
    # The event is the first level, what it holds the second.
    STANDARD.read_event(dumps({**event(), key: {"b": nested(6)}}))
    (path,) = errors({**event(), key: {"b": nested(7)}})
    assert path.startswith(key)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_the_deepest_nesting_is_refused_like_any(opening: bytes) -> None:
    assert set(errors(opening * 10_000)) == {"body"}


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"{", "is not JSON"),
        (b"{} {}", "is not JSON"),
        (b"{'a': 1}", "is not JSON"),
        (b'{"a": 01}', "is not JSON"),
        (b'{"a": "\n"}', "is not JSON"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b'{"a": "\xff"}', "is not UTF-8: byte 7"),
        ('{"a": "ä"}'.encode("latin-1"), "is not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "is not UTF-8"),
        (b"null", "must be a JSON object, but is null"),
        (b"5", "must be a JSON object, but is the number 5"),
        (b'"ping"', 'must be a JSON object, but is the string "ping"'),
        (b"[]", "must be a JSON object, but is an array"),
        (b"playerTime=1&ts=2", "is not JSON"),
    ],
)
def test_what_is_no_json_object(body: bytes, part: str) -> None:
    found = errors(body)
    assert set(found) == {"body"}
    assert part in found["body"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (
            b'{"playerTime":{"playhead":1,"ts":1},"eventType":"ping","eventType":"ping"}',
            "eventType",
        ),
        (b'{"playerTime":{"ts":1,"playhead":1,"ts":1},"eventType":"ping"}', "playerTime.ts"),
        (
            b'{"playerTime":{"playhead":1,"ts":1},"eventType":"ping","params":{"a":{"b":1,"b":1}}}',
            "params.a.b",
        ),
        (
            (
                b'{"playerTime":{"playhead":1,"ts":1},"eventType":"ping",'
                b'"customMetadata":{"a":"","a":""}}'
            ),
            "customMetadata.a",
        ),
    ],
)
def test_a_key_that_comes_twice_is_refused(body: bytes, path: str) -> None:
    assert errors(body) == {path: "comes twice in the same object"}


def test_a_colon_in_a_string_is_no_key() -> None:
    body = event(params={"url": "https://example.com:8080/:"}, customMetadata={"at": "10:30"})
    read = STANDARD.read_event(dumps(body))
    assert (read.params, read.custom) == (body["params"], body["customMetadata"])
