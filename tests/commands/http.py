"""A player's side of the tests: plain requests to a collector that a test started."""

import json
import ssl
import urllib.error
import urllib.request
from typing import Any, NamedTuple

TIMEOUT_S = 20


class Answer(NamedTuple):
    """What came back."""

    status: int
    location: str
    body: bytes


def request(
    url: str, body: object = None, *, context: ssl.SSLContext | None = None, token: str = ""
) -> Answer:
    """GET, or POST of a body as JSON. A refused connection is raised, a status never."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    made = urllib.request.Request(url, data, headers)  # noqa: S310
    try:
        got = urllib.request.urlopen(made, timeout=TIMEOUT_S, context=context)  # noqa: S310
        with got as response:
            return Answer(response.status, response.headers.get("Location", ""), response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, "", error.read())


def start(ts: int = 1_760_000_000_000, **params: Any) -> dict[str, Any]:
    """A `sessionStart`."""
    required = {
        "media.id": "m1",
        "media.length": 600,
        "media.contentType": "VOD",
        "media.playerName": "test",
        "media.channel": "web",
    }
    return event("sessionStart", ts, 0, params=required | params)


def event(name: str, ts: int, playhead: float, **more: Any) -> dict[str, Any]:
    """Any event."""
    return {"eventType": name, "playerTime": {"ts": ts, "playhead": playhead}, **more}
