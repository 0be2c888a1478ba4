"""The event and the log record, as every part of bookended holds them in memory.

On the record's way: `ingest` makes events from requests, `models.avro` turns them into bytes and
back, `processor` folds them. Imports nothing of the project but the bounds.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, get_args

EventType = Literal[
    "sessionStart",
    "play",
    "ping",
    "pauseStart",
    "bufferStart",
    "bitrateChange",
    "adBreakStart",
    "adBreakComplete",
    "adStart",
    "adComplete",
    "adSkip",
    "chapterStart",
    "chapterComplete",
    "chapterSkip",
    "stateStart",
    "stateEnd",
    "statesUpdate",
    "error",
    "sessionComplete",
    "sessionEnd",
]
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)

Fields = Mapping[str, Any]
"""A JSON object as it was sent. Read only: it is shared between copies of a state."""


class SchemaFinding(NamedTuple):
    """What the collector found odd in one event's body without refusing it (docs/http.md)."""

    code: Literal["unknown_param", "missing_param"]
    detail: str


class Event(NamedTuple):
    """One event of a session. Times are ms since the epoch; absent maps are `None`, never empty.

    `playhead_ms` is the playhead in seconds as sent, rounded to whole ms (docs/rules.md).
    `received_at` is the log's own time of the record that carried the event.
    """

    type: EventType
    ts: int
    playhead_ms: int
    params: Fields | None = None
    qoe: Fields | None = None
    custom: Fields | None = None
    findings: tuple[SchemaFinding, ...] | None = None
    received_at: int = 0


class Record(NamedTuple):
    """One decoded log record: one or more events of one session, in order.

    `offline`: the events are a whole finished session, so the record is all or nothing.
    """

    session_id: str
    offline: bool
    events: tuple[Event, ...]


class LogRecord(NamedTuple):
    """One record as a log hands it over: its place, the log's own time of it (ms), its bytes."""

    partition: int
    offset: int
    received_at: int
    key: bytes
    value: bytes


class AcceptedGap(NamedTuple):
    """Records that are gone from a partition of the log, the first and the last, and that somebody
    gave up. `read_until`: the tick before them (ms); `accepted_at`: ms, None where nobody wrote it
    down."""

    first_offset: int
    last_offset: int
    read_until: int | None
    accepted_at: int | None


def playhead_to_ms(playhead_s: float) -> int:
    """Whole milliseconds of a playhead in seconds (docs/rules.md: rounded before anything else)."""
    return round(playhead_s * 1000)
