"""docs/http.md says what is: every key, status, reason and limit of the code stands in it."""

import re
from typing import Final

import pytest

from ingest import app, closes, embedded_publisher, problems, protocol, sids
from ingest.publisher import PublishError
from models import limits
from models.records import EVENT_TYPES
from models.request_errors import ERRORS_MAX
from models.request_fields import PARAMS, QOE_KEYS
from models.request_values import VALUES_MAX
from tests.documents import read

TEXT: Final = read("docs/http.md").text
PREFIXES: Final = ("media.ad.", "media.chapter.", "media.qoe.", "media.", "")


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_known_key_is_named(event_type: str) -> None:
    words = set(re.findall(r"[\w.]+", TEXT))
    assert event_type in words
    for key in PARAMS[event_type]:  # type: ignore[index]
        short = [
            key.name.removeprefix(prefix) for prefix in PREFIXES if key.name.startswith(prefix)
        ]
        assert words.intersection(short), key.name
    assert {name.removeprefix("media.qoe.") for name in QOE_KEYS} <= words


def test_every_reason_and_status_is_named() -> None:
    rows = [line for line in TEXT.splitlines() if re.match(r"\| \d{3} \|", line)]
    named = {
        (int(status), reason)
        for row in rows
        for status, reasons in re.findall(r"^\| (\d{3}) \| ([^|]+)\|", row)
        for reason in re.findall(r"`([a-z-]+)`", reasons)
    }
    expected = {
        (answer.status, answer.reason.replace("_", "-"))
        for error, answer in problems._ANSWERS.items()
        if error is not PublishError
    }
    expected |= {(503, "log-busy"), (503, "log-timeout"), (503, "log-away"), (500, "defect")}
    assert named == expected
    reasons = {reason.replace("_", "-") for _, reason in expected} | {"client-gone"}
    assert {reason.replace("_", "-") for reason in problems.REASONS} == reasons


def test_the_limits_are_those_of_the_code() -> None:
    section = TEXT.split("\n## Limits\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", section, re.MULTILINE))
    bounds = protocol.ConnectionBounds()
    publishing = embedded_publisher.PublishBounds()
    mib = 1024 * 1024
    assert rows["body of an event"] == f"{limits.BODY_BYTES_MAX // 1024} KiB"
    assert rows["array of events"] == (
        f"{limits.OFFLINE_BODY_BYTES_MAX // mib} MiB; {VALUES_MAX:,} values in one event"
    )
    assert rows["request line and headers"] == f"{bounds.head_bytes_max // 1024} KiB"
    assert rows["pause within a request"] == f"{bounds.silence_s:.0f} s"
    assert rows["a request, from first to last byte"] == f"{bounds.request_s / 60:.0f} min"
    assert rows["pause between requests"] == f"{bounds.idle_s} s"
    assert rows["connections"].startswith(f"{bounds.connections_max:,},")
    config = app.AppConfig()
    assert rows["requests in flight"] == f"`--requests-max`, {config.requests_max:,}"
    assert rows["bytes of bodies in flight"] == (
        f"`--request-bytes-max`, {config.body_bytes_max // mib} MiB"
    )
    assert rows["offline sessions in flight"] == str(app._OFFLINE_MAX)
    assert rows["records on their way to the log"] == (
        f"{publishing.records_max:,} and {publishing.bytes_max // mib} MiB"
    )
    assert rows["answer of the log"] == f"{publishing.deadline_s:.0f} s"
    assert rows["one record in the log"] == f"{limits.RECORD_BYTES_MAX // mib} MiB"
    assert f"up to {ERRORS_MAX:,} things" in TEXT
    assert f"at most {closes.CLOSES_MAX:,}" in TEXT
    assert f"more\n  than {sids.SID_AGE_MS_MAX // 3_600_000} hours" in TEXT
