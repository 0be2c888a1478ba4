"""The body of a finished offline session: an array of events, all or nothing."""

from typing import Any

import pytest

from models.requests import InvalidBody
from tests.ingest.bodies import downloaded, dumps, event, start
from tests.models.refusals import STANDARD, errors, nested


def test_an_offline_session() -> None:
    body = downloaded()
    read = STANDARD.read_offline(dumps(body))
    assert [one.type for one in read] == ["sessionStart", "play", "sessionEnd"]
    assert read[0].params == body[0]["params"]


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        (downloaded()[0], {"body"}),
        ([], {"body"}),
        (5, {"body"}),
        ([5], {"[0]"}),
        (downloaded()[1:], {"[0].eventType", '[0].params["media.downloaded"]'}),
        ([start()], {'[0].params["media.downloaded"]'}),
        ([start(**{"media.downloaded": False})], {'[0].params["media.downloaded"]'}),
        ([start(**{"media.downloaded": "true"})], {'[0].params["media.downloaded"]'}),
        (
            [{"eventType": []}],
            {"[0].eventType", "[0].playerTime", '[0].params["media.downloaded"]'},
        ),
        (
            downloaded(event("nope"), event(playhead=-1)),
            {"[1].eventType", "[2].playerTime.playhead"},
        ),
        (downloaded(event(params={"a": "\x00"})), {"[1].params.a"}),
        (downloaded(event(params={"a": 1e300})), {"[1].params.a"}),
        (downloaded(event(params=nested(9))), {"[1].params.a[0].a[0].a[0].a"}),
        (downloaded([event()]), {"[1]"}),
        (downloaded(None), {"[1]"}),
    ],
)
def test_a_bad_element_rejects_the_list(body: Any, paths: set[str]) -> None:
    assert set(errors(body, read="read_offline")) == paths


def test_doubled_keys_in_a_list_are_found() -> None:
    body = dumps(downloaded()).replace(
        b'"eventType": "play"', b'"eventType":"play","eventType":"play"'
    )
    assert errors(body, read="read_offline") == {"[1].eventType": "comes twice in the same object"}


def test_a_list_with_colons_in_strings_is_read() -> None:
    body = downloaded(event(params={"url": "https://example.com"}))
    assert len(STANDARD.read_offline(dumps(body))) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1," * 1_000_000 + b"1]",
        dumps([start(**{"media.downloaded": True})])[:-1] + b"," + b"{}," * 500_000 + b"{}]",
    ],
)
def test_the_errors_of_a_hopeless_list_are_bounded(body: bytes) -> None:
    with pytest.raises(InvalidBody) as caught:
        STANDARD.read_offline(body)
    assert len(caught.value.errors) == 1_000
    assert caught.value.summary().startswith("over 1000 errors")


def test_an_event_of_a_list_is_no_larger_than_one_online() -> None:
    huge = event(customMetadata={f"k{i}": 1 for i in range(40_000)})
    assert errors(downloaded(huge), read="read_offline") == {
        "[1]": "is too large: an event holds at most 32768 values"
    }
