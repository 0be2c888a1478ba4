"""The recorded requests of a real player connector, replayed against a collector.

Session ids in the recording are the recorder's: a replay takes the `Location` that it gets.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.commands.http import request

FILE = Path(__file__).parents[1] / "data" / "traffic" / "web-connector.jsonl"
UNKNOWN = "/api/v1/sessions/" + "0" * 64


class Recorded(NamedTuple):
    """One request. `situation`: what was driven; `answer`: the recorder's status."""

    situation: str
    path: str
    body: dict[str, Any]
    answer: int


class Replayed(NamedTuple):
    """What a collector answered: statuses beside the recorder's, and session ids by situation."""

    statuses: list[tuple[int, int]]
    sessions: dict[str, list[str]]


def recorded() -> Iterator[Recorded]:
    """All requests in the order in which they were sent."""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        yield Recorded(entry["session"], entry["path"], json.loads(entry["body"]), entry["answer"])


def replay(url: str) -> Replayed:
    """Sends all of it.

    A start that the recorder failed never reached a collector; an event that it did not know the
    session of goes to one that is not known here either.
    """
    statuses: list[tuple[int, int]] = []
    sessions: dict[str, list[str]] = {}
    locations: dict[str, str] = {}
    for entry in recorded():
        if entry.answer == 500:
            continue
        if entry.path == "/api/v1/sessions":
            answer = request(url + entry.path, entry.body)
            locations[entry.situation] = answer.location
            sessions.setdefault(entry.situation, []).append(answer.location.rsplit("/", 1)[-1])
        else:
            location = UNKNOWN if entry.answer == 404 else locations[entry.situation]
            answer = request(f"{url}{location}/events", entry.body)
        statuses.append((answer.status, entry.answer))
    return Replayed(statuses, sessions)
