"""An example: a session's events straight to Kafka, without the collector (docs/producers.md).

    python producer.py 127.0.0.1:9092 media-events session_record.v1.avsc

Needs `kafka-python`, `crc32c` and `fastavro`. Stands alone: imports nothing of bookended.
"""

import io
import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form
from kafka import KafkaProducer

MARKER = b"\xc3\x01"


def new_session_id() -> str:
    """The time in the first 12 characters, which decide the partition when partitions are added."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(26)}"


def encoder(schema: dict[str, Any]) -> Any:
    """From a record's fields to the bytes of its value."""
    parsed = fastavro.parse_schema(schema)
    canonical = to_parsing_canonical_form(schema)
    head = MARKER + bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))

    def encode(fields: dict[str, Any]) -> bytes:
        data = io.BytesIO()
        fastavro.schemaless_writer(data, parsed, fields)
        return head + data.getvalue()

    return encode


def event(kind: str, playhead_s: float, **params: Any) -> dict[str, Any]:
    """One event, now. `details` may be null: most events have nothing more to tell."""
    return {
        "type": kind,
        "ts": time.time_ns() // 1_000_000,
        "playhead_ms": round(playhead_s * 1000),
        "details": {"params": json.dumps(params)} if params else None,
    }


def main(servers: str, topic: str, schema_path: str) -> None:
    """Plays one very short session, and prints its id."""
    encode = encoder(json.loads(Path(schema_path).read_text(encoding="utf-8")))
    # With a key and no partition kafka-python places records as docs/producers.md wants it.
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    session_id = new_session_id()
    start = {"media.id": "film-1", "media.length": 60, "media.contentType": "vod"}
    start |= {"media.playerName": "example", "media.channel": "example"}
    for one in (event("sessionStart", 0, **start), event("play", 0), event("sessionComplete", 0)):
        value = encode({"session_id": session_id, "offline": False, "events": [one]})
        producer.send(topic, value, session_id.encode()).get(10)
    producer.close()
    print(session_id)


if __name__ == "__main__":
    main(*sys.argv[1:4])
