"""Every row of docs/http.md "Routes": what each path does, and what it answers."""

import json
import re

import pytest

from ingest.app import AppConfig
from ingest.routes import ROUTES
from models.records import EVENT_TYPES, Event, EventType
from models.request_schemas import event_schema
from tests.ingest.bodies import TS, downloaded, dumps, event, start, valid
from tests.ingest.servers import NO_SESSION, Running, running

LOCATION = re.compile(r"/api/v1/sessions/[0-9a-f]{64}")
CLIENT_PATTERN = re.compile(r"^/api/(.*)/sessions/(.*)")


def test_a_session_is_opened(shared: Running) -> None:
    answer = shared.post("/api/v1/sessions", start())
    assert answer.status == 201
    assert answer.body == b""
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-length"] == "0"
    location = answer.headers["location"]
    assert LOCATION.fullmatch(location)
    match = CLIENT_PATTERN.match(location)
    assert match is not None
    record = shared.log.records[-1]
    assert (record.session_id, record.offline) == (match[2], False)
    assert record.events == (Event("sessionStart", TS, 0, start()["params"]),)


def test_each_session_has_an_id_of_its_own(shared: Running) -> None:
    assert shared.open() != shared.open()


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_an_event_of_any_type_is_taken(shared: Running, event_type: EventType) -> None:
    location = shared.open()
    answer = shared.send(location, valid(event_type))
    assert (answer.status, answer.body) == (204, b"")
    assert "content-length" not in answer.headers
    record = shared.log.records[-1]
    assert location.endswith(record.session_id)
    assert [one.type for one in record.events] == [event_type]


@pytest.mark.parametrize(
    "sid",
    [NO_SESSION, "x", "A" * 64, "0" * 63, "0" * 65, "%30" * 64, "%C3%A4", "%00"],
)
def test_an_unknown_session_is_404(shared: Running, sid: str) -> None:
    answer = shared.post(f"/api/v1/sessions/{sid}/events", event())
    assert answer.status == 404
    assert answer.document["type"] == "urn:bookended:problem:unknown-session"


def test_an_altered_session_id_is_404(shared: Running) -> None:
    location = shared.open()
    before, sid = location.rsplit("/", 1)
    for place in (0, 11, 12, 31, 32, 63):
        digit = "0" if sid[place] != "0" else "1"
        altered = f"{before}/{sid[:place]}{digit}{sid[place + 1 :]}"
        assert shared.send(altered).status == 404
    assert shared.send(f"{before}/{sid.upper()}").status == 404
    assert shared.send(location).status == 204


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_the_schema_of_an_event_type(shared: Running, event_type: str) -> None:
    answer = shared.ask("GET", f"/api/v1/schemas/{event_type}")
    assert answer.status == 200
    assert answer.document == event_schema(event_type, "standard")  # type: ignore[arg-type]


@pytest.mark.parametrize("event_type", ["Ping", "ping2", "%00"])
def test_an_unknown_schema_is_404_with_the_known_ones(shared: Running, event_type: str) -> None:
    answer = shared.ask("GET", f"/api/v1/schemas/{event_type}")
    assert answer.status == 404
    assert all(name in answer.document["message"] for name in EVENT_TYPES)


@pytest.mark.parametrize("path", ["/api/v1/downloaded", "/api/v1/sessions"])
def test_an_offline_session_is_one_record(shared: Running, path: str) -> None:
    answer = shared.post(path, downloaded())
    assert (answer.status, answer.body) == (201, b"")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert LOCATION.fullmatch(answer.headers["location"])
    record = shared.log.records[-1]
    assert record.offline
    assert [one.type for one in record.events] == ["sessionStart", "play", "sessionEnd"]


def test_a_retry_of_an_offline_session_is_the_same_session(shared: Running) -> None:
    body = dumps(downloaded())
    locations = {
        shared.post(path, body).headers["location"]
        for path in ("/api/v1/downloaded", "/api/v1/sessions", "/api/v1/downloaded")
    }
    assert len(locations) == 1
    assert shared.post("/api/v1/downloaded", body + b" ").headers["location"] not in locations


@pytest.mark.parametrize("path", ["/api/v1/downloaded", "/api/v1/sessions"])
@pytest.mark.parametrize(
    "body",
    [
        [],
        [start()],
        [start(**{"media.downloaded": False}), event("sessionEnd")],
        downloaded()[1:],
        downloaded(event("nope")),
        downloaded(event(playhead=-1), event("play")),
    ],
)
def test_a_bad_offline_session_is_400_and_not_published(
    shared: Running, path: str, body: object
) -> None:
    before = len(shared.log.records)
    assert shared.post(path, body).status == 400
    assert len(shared.log.records) == before


def test_downloaded_takes_no_single_object(shared: Running) -> None:
    answer = shared.post("/api/v1/downloaded", start(**{"media.downloaded": True}))
    assert answer.status == 400
    assert answer.document["errors"][0]["path"] == "body"


def test_a_single_downloaded_object_opens_an_ordinary_session(shared: Running) -> None:
    location = shared.open(**{"media.downloaded": True})
    assert not shared.log.records[-1].offline
    assert shared.send(location).status == 204


def test_a_session_opens_with_session_start_only(shared: Running) -> None:
    answer = shared.post("/api/v1/sessions", event("play"))
    assert answer.status == 400
    assert answer.document["errors"][0]["path"] == "eventType"


def test_session_level_rules_are_not_asked_here(shared: Running) -> None:
    location = shared.open()
    for name in ("sessionEnd", "sessionEnd", "adComplete", "sessionStart", "adBreakComplete"):
        assert shared.send(location, valid(name)).status == 204


def test_an_array_is_no_event(shared: Running) -> None:
    assert shared.send(shared.open(), [event()]).status == 400


def test_openapi_lists_all_routes(shared: Running) -> None:
    answer = shared.ask("GET", "/openapi.json")
    assert answer.status == 200
    assert answer.document["openapi"].startswith("3.1")
    assert set(answer.document["paths"]) == {route.path for route in ROUTES}
    for route in ROUTES:
        assert route.method.lower() in answer.document["paths"][route.path]


def test_health(shared: Running) -> None:
    for path in ("/healthz", "/readyz"):
        assert shared.ask("GET", path).status == 200


PATHS = [
    (
        route.path.replace("{sid}", NO_SESSION).replace("{eventType}", "ping"),
        route.method,
    )
    for route in ROUTES
]


@pytest.mark.parametrize(("path", "method"), PATHS)
@pytest.mark.parametrize("asked", ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"])
def test_any_other_method_is_405(shared: Running, path: str, method: str, asked: str) -> None:
    if asked == method:
        return
    answer = shared.ask(asked, path)
    assert answer.status == 405
    assert answer.headers["allow"] == f"{method}, OPTIONS"


@pytest.mark.parametrize(("path", "method"), PATHS)
@pytest.mark.parametrize("suffix", ["", "/", "?a=b", "/?a=b"])
def test_trailing_slash_and_query_change_nothing(
    shared: Running, path: str, method: str, suffix: str
) -> None:
    if method == "GET":
        assert shared.ask(method, path + suffix).status == 200
    elif "events" in path:
        assert shared.send(shared.open() + "", event()).status == 204
        location = shared.open()
        assert shared.post(f"{location}/events{suffix}", event()).status == 204
    else:
        answer = shared.post(path + suffix, downloaded())
        assert answer.status == 201
        assert LOCATION.fullmatch(answer.headers["location"])


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v1",
        "/api/v2/sessions",
        "/api/v1/session",
        "/API/v1/sessions",
        "/api/v1/sessions//",
        "/api/v1/sessions/x",
        "/api/v1/sessions//events",
        "/api/v1/sessions/x/y/events",
        "/api/v1/schemas",
        "/collect/api/v1/sessions",
        "/healthz/x",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_any_other_path_is_404(shared: Running, path: str, method: str) -> None:
    assert shared.ask(method, path).status == 404


def test_a_prefix_is_accepted_and_never_shown() -> None:
    with running(AppConfig(path_prefix="/collect/ma")) as own:
        for prefix in ("", "/collect/ma"):
            answer = own.post(f"{prefix}/api/v1/sessions/", start())
            location = answer.headers["location"]
            assert LOCATION.fullmatch(location)
            assert own.post(f"{prefix}{location}/events", event()).status == 204
            assert own.ask("GET", f"{prefix}/api/v1/schemas/ping").status == 200
            assert own.post(f"{prefix}/api/v1/downloaded", downloaded()).status == 201
        for path in ("/collect/ma/healthz", "/collect/api/v1/sessions", "/ma/api/v1/sessions"):
            assert own.ask("OPTIONS", path).status == 404


def test_the_strict_profile() -> None:
    with running(AppConfig(profile="strict")) as own:
        location = own.open()
        assert own.send(location, event(params={"mine": 1})).status == 400
        schema = own.ask("GET", "/api/v1/schemas/adStart").document
        assert "media.ad.playerName" in schema["$defs"]["AdStartParams"]["required"]


def test_odd_things_are_said_to_the_log(shared: Running) -> None:
    shared.send(shared.open(), event(params={"mine": 1}))
    (found,) = shared.log.records[-1].events[0].findings or ()
    assert found.code == "unknown_param"


def test_a_body_in_any_content_type(shared: Running) -> None:
    for content_type in ("application/x-www-form-urlencoded", "text/plain", "image/png", ""):
        answer = shared.ask("POST", "/api/v1/sessions", dumps(start()), Content_Type=content_type)
        assert answer.status == 201
    assert shared.ask("POST", "/api/v1/sessions", json.dumps(start()).encode()).status == 201
