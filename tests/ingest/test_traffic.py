"""The recorded requests of a real player connector, replayed over HTTP.

Events go to the `Location`s that this collector gives, not to the stub's.
What the recording stub answered 404 goes to a session that nobody knows here either; what it
answered 500 the log refuses here. All else must be taken.
"""

import json
from typing import Any

import pytest

from ingest.publisher import PublishError
from models.requests import RequestReader
from tests.documents import ROOT
from tests.ingest.servers import NO_SESSION, running

FILE = ROOT / "tests" / "data" / "traffic" / "web-connector.jsonl"
RECORDED: list[dict[str, Any]] = [
    json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()
]
EXPECTED = {201: 201, 204: 204, 404: 404, 500: 503}


def test_every_recorded_request_gets_what_its_situation_calls_for() -> None:
    locations: dict[str, str] = {}
    with running() as own:
        for request in RECORDED:
            stub = request["answer"]
            own.log.fault = PublishError("log_away", "refused", 1) if stub == 500 else None
            path = request["path"]
            if path.endswith("/events"):
                known = f"/api/v1/sessions/{NO_SESSION}"
                path = f"{known if stub == 404 else locations[request['session']]}/events"
            headers = {name.replace("-", "_"): value for name, value in request["headers"].items()}
            answer = own.ask(request["method"], path, request["body"].encode(), **headers)
            assert answer.status == EXPECTED[stub], (request, answer.body)
            if stub == 201:
                locations[request["session"]] = answer.headers["location"]
        assert len(own.log.records) == sum(one["answer"] < 300 for one in RECORDED)


@pytest.mark.parametrize("request_", RECORDED, ids=lambda one: f"{one['session']}-{one['at_ms']}")
def test_every_recorded_body_is_accepted(request_: dict[str, Any]) -> None:
    event = RequestReader("standard").read_event(request_["body"].encode())
    sent = json.loads(request_["body"])
    assert (event.params or {}) == sent.get("params", {})
    assert (event.qoe or {}) == sent["qoeData"]
    assert (event.custom or {}) == sent.get("customMetadata", {})
    odd = [found.detail for found in event.findings or ()]
    assert [detail.split(": ", 1)[1] for detail in odd] in (
        [],
        ['qoeData.customKey is not a known key; it is "customValue"'],
    )
