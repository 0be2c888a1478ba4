"""The log record as bytes: Avro single-object encoding of `schemas/session_record.v1.avsc`.

On the record's way: `ingest` encodes what it accepted, `processor` decodes what a log hands over.
`decode` is also the contract for producers that write to the log themselves: whatever breaks it is
refused with a reason and becomes a dead letter. Imports nothing of the project but models.
"""

import json
from collections.abc import Callable, Sequence
from importlib import resources
from io import BytesIO
from operator import itemgetter
from typing import Any, Final, NoReturn

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import fingerprint, to_parsing_canonical_form

from models import limits
from models.bare import KEY_LENGTH, read_bare, write_bare
from models.records import Event, Fields, LogRecord, Record, SchemaFinding

MARKER: Final = b"\xc3\x01"
_HEADER_BYTES: Final = 10
_ID_LENGTH: Final = limits.SESSION_ID_LENGTH
_FINDING_CODES: Final = frozenset(("unknown_param", "missing_param"))
# What fastavro raises on bytes that are no record of the schema (measured by fuzzing).
_DECODE_ERRORS: Final = (
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    MemoryError,
    StopIteration,
)


class UndecodableRecord(Exception):
    """A log record that breaks the contract. `reason` says in one line what is wrong."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


SCHEMA_VERSIONS: Final = (1,)
"""Every released version of the schema, for ever: records of each decode. The last is written."""


def schema_text(version: int = SCHEMA_VERSIONS[-1]) -> str:
    """The `.avsc` text of a released version of the record, as producers get it."""
    path = resources.files("models").joinpath("schemas", f"session_record.v{version}.avsc")
    return path.read_text(encoding="utf-8")


def schema_fingerprint(version: int = SCHEMA_VERSIONS[-1]) -> str:
    """The schema's CRC-64-AVRO in hex, in the order of bytes in which it stands in a record."""
    return fingerprint(to_parsing_canonical_form(json.loads(schema_text(version))), "CRC-64-AVRO")


def _load(version: int) -> tuple[bytes, Any]:
    header = MARKER + bytes.fromhex(schema_fingerprint(version))
    return header, parse_schema(json.loads(schema_text(version)))


_WRITERS: Final[dict[bytes, Any]] = dict(map(_load, SCHEMA_VERSIONS))
_HEADER, _SCHEMA = [*_WRITERS.items()][-1]
BARE_START: Final = _HEADER + KEY_LENGTH
"""How the records start that `bare` reads and writes."""

_hot: Final = itemgetter("type", "ts", "playhead_ms", "details")


def encode(session_id: str, events: Sequence[Event], *, offline: bool = False) -> bytes:
    """The bytes of one record. Maps are written as compact JSON with sorted keys."""
    if len(events) == 1 and not offline:
        bare = write_bare(BARE_START, session_id, events[0])
        if bare is not None:
            return bare
    out = BytesIO()
    out.write(_HEADER)
    record = {
        "session_id": session_id,
        "offline": offline,
        "events": [event_to_fields(event) for event in events],
    }
    schemaless_writer(out, _SCHEMA, record)
    return out.getvalue()


def event_to_fields(event: Event) -> dict[str, Any]:
    """One event as the schema's record `Event`."""
    findings = event.findings
    details: dict[str, Any] | None = None
    if event.params or event.qoe or event.custom or findings:
        details = {
            "params": _json_text(event.params),
            "qoe": _json_text(event.qoe),
            "custom": _json_text(event.custom),
            "findings": [finding._asdict() for finding in findings or ()],
        }
    return {
        "type": event.type,
        "ts": event.ts,
        "playhead_ms": event.playhead_ms,
        "details": details,
    }


def _json_text(fields: Fields | None) -> str | None:
    if not fields:
        return None
    return _JSON.encode(fields)


def decode(record: LogRecord) -> Record:
    """The record's events, each with the log's own time of the record as `received_at`.

    Raises `UndecodableRecord` for bytes that are no record of a known schema version and for values
    outside the contract (docs/http.md "Body" gives the bounds).
    """
    _, _, received_at, key, value = record
    bare = read_bare(BARE_START, received_at, key, value)
    if bare is not None:
        return Record(key.decode(), False, (bare,))
    writer = _WRITERS.get(value[:_HEADER_BYTES])
    if writer is None:
        _refuse_header(value)
    body = BytesIO(value[_HEADER_BYTES:])
    try:
        fields: Any = schemaless_reader(body, writer, None)
    except _DECODE_ERRORS as error:
        raise UndecodableRecord(f"not a valid Avro record: {error}") from error
    if body.read(1):
        raise UndecodableRecord("bytes follow the end of the Avro record")
    session_id = fields["session_id"]
    if key != session_id.encode():
        raise UndecodableRecord("the record's key is not its session_id")
    if not (len(session_id) == _ID_LENGTH and session_id.isascii() and session_id.isalnum()):
        raise UndecodableRecord("session_id is not 64 ASCII letters or digits")
    events = fields["events"]
    if not events:
        raise UndecodableRecord("the record has no events")
    return Record(
        session_id,
        fields["offline"],
        tuple([event_from_fields(event, received_at) for event in events]),
    )


def _refuse_header(value: bytes) -> NoReturn:
    if value[:2] != MARKER:
        raise UndecodableRecord("not Avro single-object encoding: it does not start with C3 01")
    raise UndecodableRecord(f"unknown schema fingerprint {value[2:_HEADER_BYTES].hex()}")


def event_from_fields(fields: dict[str, Any], received_at: int) -> Event:
    """The event in a schema record `Event`, checked against the contract's bounds.

    Raises `UndecodableRecord`.
    """
    kind, ts, playhead_ms, details = _hot(fields)
    if kind == "unknown":
        raise UndecodableRecord("an event has a type that this release does not know")
    if not 0 <= ts <= limits.TS_MS_MAX:
        raise UndecodableRecord(f"ts {ts} is outside 1970 to 9999")
    if not 0 <= playhead_ms <= limits.PLAYHEAD_MS_MAX:
        raise UndecodableRecord(f"playhead_ms {playhead_ms} is outside 0 to 10^13")
    if details is None:
        return Event(kind, ts, playhead_ms, None, None, None, None, received_at)
    return Event(
        kind,
        ts,
        playhead_ms,
        _json_fields("params", details["params"]),
        _json_fields("qoe", details["qoe"]),
        _custom_fields(details["custom"]),
        _findings(details["findings"]),
        received_at,
    )


def _json_fields(name: str, text: str | None) -> Fields | None:
    if text is None:
        return None
    try:
        fields = _READ_JSON(text)
    except (ValueError, RecursionError) as error:
        raise UndecodableRecord(f"{name} is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise UndecodableRecord(f"{name} is not a JSON object")
    _check_value(name, fields, 1)
    return fields or None


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


# Made once: `json.dumps` and `json.loads` make a new one for every call with options.
_JSON: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)
_READ_JSON: Final = json.JSONDecoder(parse_constant=_refuse_constant).decode


def _custom_fields(text: str | None) -> Fields | None:
    fields = _json_fields("custom", text)
    if fields and not all(isinstance(value, str) for value in fields.values()):
        raise UndecodableRecord("custom has a value that is not a string")
    return fields


def _findings(findings: list[dict[str, Any]] | None) -> tuple[SchemaFinding, ...] | None:
    if not findings:
        return None
    if not all(finding["code"] in _FINDING_CODES for finding in findings):
        raise UndecodableRecord("findings has a code other than unknown_param, missing_param")
    for finding in findings:
        _check_text("findings", finding["detail"], 1)
    length_max = limits.DETAIL_LENGTH_MAX
    return tuple([SchemaFinding(f["code"], f["detail"][:length_max]) for f in findings])


def _check_value(name: str, value: Any, depth: int) -> None:
    """Refuses what no SQL column or later reader could hold, however deep it sits."""
    check = _CHECKS.get(type(value))
    if check is not None:
        check(name, value, depth)


def _check_text(name: str, value: str, depth: int) -> None:
    if "\x00" in value or not _encodes(value):
        raise UndecodableRecord(f"{name} has a string with U+0000 or a lone surrogate")


def _encodes(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_integer(name: str, value: int, depth: int) -> None:
    if not -limits.INTEGER_MAX <= value <= limits.INTEGER_MAX:
        raise UndecodableRecord(f"{name} has an integer of 2^53 or more")


def _check_number(name: str, value: float, depth: int) -> None:
    if not -limits.NUMBER_MAX <= value <= limits.NUMBER_MAX:
        raise UndecodableRecord(f"{name} has a number beyond 10^15")


def _check_object(name: str, value: dict[str, Any], depth: int) -> None:
    if depth > limits.NESTING_MAX:
        raise UndecodableRecord(f"{name} is nested deeper than {limits.NESTING_MAX}")
    for key, item in value.items():
        _check_text(name, key, depth)
        _check_value(name, item, depth + 1)


def _check_array(name: str, value: list[Any], depth: int) -> None:
    if depth > limits.NESTING_MAX:
        raise UndecodableRecord(f"{name} is nested deeper than {limits.NESTING_MAX}")
    for item in value:
        _check_value(name, item, depth + 1)


_CHECKS: Final[dict[type, Callable[[str, Any, int], None]]] = {
    str: _check_text,
    int: _check_integer,
    float: _check_number,
    dict: _check_object,
    list: _check_array,
}
