"""What both demos have in common: a directory, the samples over HTTP, the wait for their rows.

Before the record's way. Imports the samples, the client and `results`.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

from rich.status import Status

from commands.embedded import now_ms
from commands.errors import Failure
from commands.http_client import Answer, CollectorClient, client
from commands.results import arrived
from commands.samples import Sample, samples

LATE_AFTER_S: Final = 5.3
"""A little more than the reorder window: what comes after it is late (docs/rules.md)."""
ROWS_WITHIN_S: Final = 30.0
CONNECTIONS: Final = 16

Played = dict[str, tuple[str, int]]
"""Title and number of events by session id."""


def demo_directory(chosen: Path | None) -> Path:
    """The directory of a demo's data. Errors: `Failure` for one with something in it."""
    if chosen is None:
        return Path(tempfile.mkdtemp(prefix="bookended-demo-"))
    if chosen.is_dir() and any(chosen.iterdir()):
        raise Failure(f"{chosen} is not empty", "Give the demo a directory of its own.")
    return chosen


async def play(url: str, status: Status) -> Played:
    """Plays all samples at once. Errors: `Failure`."""
    async with client(url, CONNECTIONS) as http:
        playing = [asyncio.create_task(_play_one(http, item)) for item in samples(now_ms())]
        status.update("Playing sample sessions over HTTP; one event is late on purpose ...")
        return {sid: (title, events) for sid, title, events in await asyncio.gather(*playing)}


async def _play_one(http: CollectorClient, sample: Sample) -> tuple[str, str, int]:
    bodies = [item.body for item in sample.sent]
    if sample.offline:
        location = _accepted(await http.downloaded(bodies)).location
    else:
        location = _accepted(await http.open(bodies[0])).location
        for body in bodies[1:]:
            _accepted(await http.event(location, body))
    if sample.late:
        await asyncio.sleep(LATE_AFTER_S)
    for item in sample.late:
        _accepted(await http.event(location, item.body))
    return location.rsplit("/", 1)[-1], sample.title, len(bodies) + len(sample.late)


def _accepted(answer: Answer) -> Answer:
    if not answer.is_accepted:
        raise Failure(
            f"the demo's own collector answered {answer.status or 'nothing'}: {answer.message}",
            "Run it again with --log-level debug, and report what it says.",
        )
    return answer


def wait_for_rows(database: Path | str, played: Played) -> None:
    """Returns when SQL has all events of all sessions. `database`: a file or an address.

    Errors: `Failure`.
    """
    deadline = time.monotonic() + ROWS_WITHIN_S
    wanted = {sid: events for sid, (_, events) in played.items()}
    while arrived(database) != wanted:
        if time.monotonic() > deadline:
            raise Failure(
                f"the rows of the demo did not come within {ROWS_WITHIN_S:.0f} s",
                "Run it again with --log-level debug, and report what it says.",
            )
        time.sleep(0.05)
