"""`bookended check`: the effective settings, and whether log and database are as they must be.

Not on the record's way; changes nothing. All that is wrong is told at once, each with the next
step. Imports the composition root.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from commands.database import known_database, must_exist
from commands.embedded import now_ms
from commands.errors import EXIT_FAILED, Failure
from commands.kafka_clients import check_client
from commands.known import KNOWN, known_failure
from commands.logs import configure
from commands.options import (
    Origin,
    Setting,
    current_flags,
    origin,
    settings_of,
    takes,
    unknown_variables,
    value_text,
)
from commands.settings import Checking
from commands.storage import must_be_writable, storage_failure
from commands.tables import stdout, table
from commands.takers import TAKEN_BY
from commands.topics import describe_topic, faults_of_topics
from ingest.sids import load_key_file
from migrations import head
from models.kafka_log import KafkaLog
from models.placement import Placement
from models.tables import progress
from models.tables_log import LOG_SCHEMA_VERSION
from processor.claim import read_rules
from processor.database import reading
from processor.embedded_source import EmbeddedSource
from processor.postgres_engine import is_standby
from processor.projection import find_live_projection
from processor.source import OtherLogError

FREE_BYTES_MIN: Final = 100 * 1024**2


class Finding(NamedTuple):
    """One thing that was looked at: what is known of it, or what is wrong with it."""

    thing: str
    detail: str
    is_wrong: bool = False


@takes(Checking)
def command(settings: Checking) -> None:
    """Shows the effective settings, and whether log and database are as they must be.

    Changes nothing. Exits 1 when something is wrong, and tells all of it at once.
    """
    configure(settings.log_level, settings.log_format)
    origins = _origins(settings)
    findings = [
        _look("log", lambda: _log(settings)),
        _look("database", lambda: _database(settings)),
        _look("session id keys", lambda: _keys(settings)),
        _look("disk", lambda: _disk(settings)),
    ]
    remarks = unknown_variables(tuple(TAKEN_BY.values()))
    if settings.json_output:
        print(json.dumps(_as_json(origins, findings, remarks)))
    else:
        _show(origins, findings, remarks)
    if any(finding.is_wrong for finding in findings):
        raise click.exceptions.Exit(EXIT_FAILED)


def _origins(settings: Checking) -> list[tuple[Setting, str, Origin]]:
    flags = current_flags()
    followed = {
        "log": settings.log if settings.kafka else f"sqlite:///{settings.log_path}",
        "database": settings.database_url,
    }
    return [
        (
            setting,
            value_text(setting, followed.get(setting.field, getattr(settings, setting.field))),
            origin(setting, flags),
        )
        for setting in settings_of(Checking)
    ]


def _look(thing: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(thing, look())
    except Failure as failure:
        return Finding(thing, str(failure), is_wrong=True)
    except (*KNOWN, OSError, sqlite3.Error, DBAPIError) as error:
        told = known_failure(error) or storage_failure(thing, "", error)
        return Finding(thing, str(told or error), is_wrong=True)


def _log(settings: Checking) -> str:
    kafka = settings.kafka
    if kafka is not None:
        return _topics(kafka, settings.placement)
    path = settings.log_path
    with closing(EmbeddedSource(path)) as source:
        records = source.end_offset(0) - source.start_offset(0)
    _both_writable("log", path)
    return f"{path}: {records:,} records, schema {LOG_SCHEMA_VERSION}, writable"


def _topics(kafka: KafkaLog, placement: Placement) -> str:
    check_client(kafka)
    faults = faults_of_topics(kafka, placement)
    if faults:
        raise Failure(
            f"{kafka}: {'; '.join(faults)}",
            "Correct the topics, with Kafka's own tools if need be.",
        )
    topic = describe_topic(kafka)
    return f"{kafka}: {topic.partitions} partitions, {topic.replicas} replicas each"


def _database(settings: Checking) -> str:
    name = settings.database_name
    must_exist(settings, "Run `bookended migrate` to make it.")
    with known_database(settings, read_only=True) as engine:
        projection = find_live_projection(engine)
        with reading(engine) as connection:
            policy = read_rules(connection, projection).policy
            place = select(progress.c.log_id, progress.c.next_offset)
            row = connection.execute(place.where(progress.c.projection == projection)).first()
        standby = is_standby(engine)
    if settings.is_database_embedded:
        _both_writable("database", settings.database_path)
    elif standby:
        raise Failure(f"database {name} is a standby", "Give the address of the primary.")
    text = f"{name}: schema {head()}, projection {projection}, writable"
    if policy != settings.policy:
        text += f"; it keeps the rules it was made with ({policy}), not those of the settings"
    if row is None or settings.kafka is not None:
        return text
    return f"{text}, {_lag(settings, row.log_id, row.next_offset)}"


def _lag(settings: Checking, log_id: str, next_offset: int) -> str:
    """How far behind the log the database is; they must belong together."""
    with closing(EmbeddedSource(settings.log_path)) as source:
        if source.log_id() != log_id:
            raise OtherLogError(source.name(), 0, log_id, source.log_id())
        behind = source.end_offset(0) - next_offset
    return f"{behind:,} records behind the log"


def _keys(settings: Checking) -> str:
    if settings.sid_keys is not None:
        return "given by the settings"
    path = settings.sid_key_file or settings.data / "sid.key"
    if settings.sid_key_file is None and not path.exists():
        return f"{path}: made at the first start"
    return f"{path}: {len(load_key_file(path))} of them"


def _disk(settings: Checking) -> str:
    if settings.kafka is not None and not settings.is_database_embedded:
        return "neither log nor database is on this machine's"
    path = (settings.database_path if settings.kafka else settings.log_path).parent
    if not path.is_dir():
        raise Failure(f"{path} is no directory", "Run `bookended migrate` to make it.")
    free = shutil.disk_usage(path).free
    if free < FREE_BYTES_MIN:
        raise Failure(f"{path}: only {free // 1024**2} MiB are free", "Free some space.")
    return f"{path}: {free // 1024**2:,} MiB free"


def _both_writable(thing: str, path: Path) -> None:
    """SQLite makes files of its own beside the one that it writes to."""
    must_be_writable(thing, path)
    must_be_writable("data directory", path.parent)


def _as_json(
    origins: list[tuple[Setting, str, Origin]], findings: list[Finding], remarks: list[str]
) -> dict[str, Any]:
    return {
        "settings": {
            setting.flag.removeprefix("--"): {"value": value, "from": source}
            for setting, value, source in origins
        },
        "checks": [finding._asdict() for finding in findings],
        "remarks": remarks,
        "at_ms": now_ms(),
    }


def _show(
    origins: list[tuple[Setting, str, Origin]], findings: list[Finding], remarks: list[str]
) -> None:
    console = stdout()
    sheet = table("setting", "value", "from")
    for setting, value, source in origins:
        name = setting.variable if source is Origin.VARIABLE else setting.flag
        sheet.add_row(name, value, source)
    console.print(sheet)
    checks = table("check", "", "detail")
    for finding in findings:
        mark = "[red]wrong[/red]" if finding.is_wrong else "[green]good[/green]"
        checks.add_row(finding.thing, mark, finding.detail)
    console.print(checks)
    for remark in remarks:
        console.print(remark, highlight=False)
