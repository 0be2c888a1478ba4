"""The log record as an archive file keeps it: its place and time beside its events.

On the record's way: `processor.archiver` writes these to Avro container files, rebuilds read them
back, and any Avro tool can. The fields are those of the log record's schema with `offset` and
`received_at` before them; bytes that are no valid record are kept as they were, in `undecodable`,
so that an archive holds all that the log held. Imports nothing of the project but models.
"""

import json
from typing import Any, Final

from fastavro import parse_schema

from models.avro import UndecodableRecord, decode, event_from_fields, event_to_fields, schema_text
from models.records import LogRecord, Record

CODEC: Final = "zstandard"


def _schema() -> dict[str, Any]:
    """The archived record's schema, made from the log record's so that they cannot part."""
    record = json.loads(schema_text())
    undecodable = {
        "type": "record",
        "name": "Undecodable",
        "fields": [
            {"name": "key", "type": "bytes"},
            {"name": "value", "type": "bytes"},
            {"name": "reason", "type": "string", "doc": "Why the archiver could not decode it."},
        ],
    }
    return {
        "type": "record",
        "name": "ArchivedRecord",
        "namespace": record["namespace"],
        "doc": "One log record with its place in the log. Evolution as in SessionRecord.",
        "fields": [
            {"name": "offset", "type": "long", "doc": "Its offset in the partition."},
            {"name": "received_at", "type": "long", "doc": "The log's own time of it, ms."},
            *record["fields"],
            {
                "name": "undecodable",
                "type": ["null", undecodable],
                "default": None,
                "doc": "The bytes of what is no valid record; then there are no events.",
            },
        ],
    }


ARCHIVE_SCHEMA: Final[Any] = parse_schema(_schema())


def to_fields(log_record: LogRecord) -> dict[str, Any]:
    """A log record as the schema's record `ArchivedRecord`."""
    _, offset, received_at, key, value = log_record
    fields: dict[str, Any] = {"offset": offset, "received_at": received_at}
    try:
        session_id, offline, events = decode(log_record)
    except UndecodableRecord as error:
        kept = {"key": key, "value": value, "reason": error.reason}
        return fields | {
            "session_id": "",
            "offline": False,
            "events": [],
            "undecodable": kept,
        }
    return fields | {
        "session_id": session_id,
        "offline": offline,
        "events": [event_to_fields(event) for event in events],
        "undecodable": None,
    }


def from_fields(partition: int, fields: dict[str, Any]) -> Record | LogRecord:
    """The record of `to_fields`. What could not be decoded then comes back as it was: a later
    release may be able to. Errors: `UndecodableRecord`, for a file that was not written by us."""
    received_at, kept = fields["received_at"], fields["undecodable"]
    if kept is not None:
        return LogRecord(partition, fields["offset"], received_at, kept["key"], kept["value"])
    return Record(
        fields["session_id"],
        fields["offline"],
        tuple([event_from_fields(event, received_at) for event in fields["events"]]),
    )
