"""Many simulated sessions, folded by the real rules and written by the real projection.

Only for tests and benchmarks. The audience is that of `bookended simulate`, with its faults; it
watches more contents, with more players, and its ads belong to campaigns.
"""

import json
from collections.abc import Iterator
from itertools import chain, repeat
from operator import itemgetter
from random import Random
from typing import Any, Final

from sqlalchemy import Engine

from commands.audience import session
from commands.faults import FAULTS, spoil
from models.avro import encode
from models.policy import DEFAULT_POLICY
from models.records import Event, LogRecord, playhead_to_ms
from models.requests import RequestReader
from processor.projection import Projection, ensure_live_projection
from tests.bench.mix import session_ids
from tests.processor_shell.world import clean_batch

_LOG: Final = ("crowd", "crowd")
_BUILDS: Final = (("web player", "4.1"), ("web player", "4.2"), ("tv app", "2.0"), ("phone", "9.7"))
_EDITIONS: Final = 20
"""So many contents are made of each one of the simulated library."""
_READER: Final = RequestReader("standard")
_DELAY_MS_MAX: Final = 300
_LATE_EACH: Final = 20
_LATE_MS: Final = 180_000

Arrived = tuple[int, bytes, bytes]
"""Arrival time, key, value of a record."""


def write_crowd(engine: Engine, seed: int, count: int, start_ms: int, spread_ms: int) -> int:
    """Writes `count` sessions that begin within `spread_ms` of `start_ms`, as they are at its end.
    Every twentieth begins within its last three minutes, so that some are live. Returns the live
    projection's number."""
    chance = Random(seed)
    tails = session_ids(chance, count)
    until_ms = start_ms + spread_ms
    begins = [start_ms + chance.randrange(spread_ms) for _ in tails]
    for number in range(0, count, _LATE_EACH):
        begins[number] = until_ms - chance.randrange(_LATE_MS)
    # As a collector makes them (`ingest.sids`): the time, then what nobody can guess.
    ids = [f"{begin:012x}{tail[12:]}" for begin, tail in zip(begins, tails, strict=True)]
    records = chain.from_iterable(map(_records, repeat(chance), range(count), ids, begins))
    arrived = sorted((r for r in records if r[0] < until_ms), key=itemgetter(0))
    log = [LogRecord(0, offset, *record) for offset, record in enumerate(arrived, 1)]
    batch, _ = clean_batch(log, until_ms, DEFAULT_POLICY)
    number = ensure_live_projection(engine, DEFAULT_POLICY, start_ms)
    projection = Projection(engine, number)
    claim = projection.claim(0, _LOG, 1)
    projection.checkpoint("crowd", [batch._replace(claim=claim, next_offset=len(log) + 1)])
    return number


def _records(chance: Random, number: int, session_id: str, start_ms: int) -> Iterator[Arrived]:
    simulated = session(number, chance)
    sent, _ = spoil(simulated.sent, FAULTS if chance.random() < 0.3 else (), 1.0, chance)
    build, edition = chance.choice(_BUILDS), chance.randrange(_EDITIONS)
    received_at = 0
    for item in sent:
        event = _event(item.body, start_ms, build, edition)
        arrives_at = start_ms + item.at_ms + chance.randrange(20, _DELAY_MS_MAX)
        received_at = max(received_at + 1, arrives_at)
        yield received_at, session_id.encode(), encode(session_id, (event,))


def _event(body: dict[str, Any], start_ms: int, build: tuple[str, str], edition: int) -> Event:
    kind, time = body["eventType"], body["playerTime"]
    if kind == "ping":
        return Event("ping", start_ms + time["ts"], playhead_to_ms(time["playhead"]))
    params = dict(body.get("params", {}))
    if kind == "sessionStart":
        params["media.id"] = f"{params['media.id']}-{edition}"
        params["media.playerName"], params["media.sdkVersion"] = build
    elif kind == "adStart":
        spot = int(params["media.ad.id"].removeprefix("spot-"))
        params |= {"media.ad.campaignId": f"campaign-{spot % 7}", "media.ad.creativeId": f"{spot}"}
    told = {**body, "playerTime": {**time, "ts": start_ms + time["ts"]}}
    told |= {"params": params} if params else {}
    return _READER.read_event(json.dumps(told).encode())
