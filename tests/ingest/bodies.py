"""Request bodies for the tests of the collector: small, valid, to be spoiled."""

import json
from typing import Any

from models.records import EventType

TS = 1_768_507_200_000


def event(event_type: str = "ping", *, ts: int = TS, playhead: float = 0, **more: Any) -> Any:
    """An event of any type; `more` adds `params`, `qoeData`, `customMetadata` or anything."""
    return {"playerTime": {"playhead": playhead, "ts": ts}, "eventType": event_type, **more}


def start(**params: Any) -> Any:
    """A `sessionStart` without findings; `params` adds to its params, with `_` for a dot."""
    return event("sessionStart", params={**START_PARAMS, **params})


START_PARAMS = {
    "media.id": "m1",
    "media.length": 60.5,
    "media.contentType": "VOD",
    "media.playerName": "tests",
    "media.channel": "web",
    "analytics.trackingServer": "track.example.com",
    "analytics.reportSuite": "suite",
    "visitor.marketingCloudOrgId": "org",
}
PARAMS: dict[EventType, dict[str, Any]] = {
    "sessionStart": START_PARAMS,
    "adBreakStart": {"media.ad.podIndex": 1, "media.ad.podSecond": 10.5},
    "adStart": {
        "media.ad.id": "ad1",
        "media.ad.length": 15,
        "media.ad.podPosition": 1,
        "media.ad.playerName": "tests",
    },
    "chapterStart": {
        "media.chapter.index": 1,
        "media.chapter.offset": 0,
        "media.chapter.length": 30,
    },
    "stateStart": {"media.state.name": "mute"},
    "stateEnd": {"media.state.name": "mute"},
    "statesUpdate": {"statesStart": [{"media.state.name": "mute"}]},
}
"""The required params of each event type that has some, in the strict profile."""


def valid(event_type: EventType) -> Any:
    """An event of the type that both profiles accept without a finding."""
    params = PARAMS.get(event_type)
    return event(event_type, params=dict(params)) if params else event(event_type)


def downloaded(*events: Any) -> Any:
    """A finished offline session."""
    first = start(**{"media.downloaded": True})
    return [first, *(events or (event("play", ts=TS + 1), event("sessionEnd", ts=TS + 9_000)))]


def dumps(document: Any) -> bytes:
    """As a client would send it."""
    return json.dumps(document).encode()
