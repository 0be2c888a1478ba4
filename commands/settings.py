"""Every setting of every command: its default, its bounds, what it is for.

Beside the record's way. A setting `some_name` is the flag `--some-name` and the variable
`BOOKENDED_SOME_NAME`; the flag wins. Commands combine the groups below. Imports `values`,
`logs`, `faults`, the policy and what `ingest` knows of keys and certificates.
"""

import importlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue, SecretStr, ValidationInfo, field_validator

from commands.broker_settings import Secured
from commands.common import ENV_PREFIX, Common
from commands.logs import LogLevel
from commands.values import (
    Address,
    DatabaseUrl,
    DataPath,
    Duration,
    InstanceId,
    Listen,
    LogUrl,
    PartitionCounts,
    Prefix,
    Size,
    database_name,
    parse_address,
    read_password,
    sqlite_path,
    with_password,
)
from ingest.sids import KeyFault, load_key_file, parse_keys
from models.kafka_log import GROUP, KafkaLog, is_kafka_url, parse_kafka_url
from models.placement import Placement, parse_partition_counts
from models.policy import Policy

POSITIONAL: Final[dict[str, JsonValue]] = {"positional": True}
"""`json_schema_extra` of a setting that is given by its place on the command line."""
POSITIONAL_SEVERAL: Final[dict[str, JsonValue]] = {"positional": "several"}
"""The same, of one or more words."""

TOKEN_LENGTH_MIN: Final = 16

Profile = Literal["standard", "strict"]


def _usable(read: Callable[[], object]) -> None:
    try:
        read()
    except KeyFault as error:
        raise ValueError(error.reason) from error


class Logged(Secured):
    """Where the log is."""

    data: DataPath = Field(
        Path("bookended-data"),
        description="Directory of the embedded log, the embedded database and the session id key.",
    )
    log: LogUrl | None = Field(
        None,
        description="The log: kafka://HOST:PORT[,HOST:PORT]/TOPIC (add ?client=librdkafka for that "
        "client), or sqlite:///FILE. Default: log.db in the data directory.",
    )

    @property
    def kafka(self) -> KafkaLog | None:
        """The log in Kafka, if that is where it is."""
        if not self.log or not is_kafka_url(self.log):
            return None
        return parse_kafka_url(self.log)._replace(security=self.kafka_security)

    @property
    def log_path(self) -> Path:
        """The file of an embedded log."""
        is_given = self.log is not None and self.kafka is None
        return sqlite_path(self.log or "") if is_given else self.data / "log.db"


class Placed(Logged):
    """Which partition of the log a session's records go to."""

    partitions: PartitionCounts = Field(
        "8",
        description="Partitions of the topic in Kafka; once grown with the instant from which new "
        "sessions use the new ones: 8, 32 from 2026-03-01T00:00:00Z.",
    )

    @property
    def placement(self) -> Placement:
        return Placement(parse_partition_counts(self.partitions))


class Stored(Logged):
    """Where log and database are."""

    database: DatabaseUrl | None = Field(
        None,
        description="The database: sqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME with its "
        "password, better given as a variable. Default: analytics.db in the data directory.",
    )
    database_password_file: Path | None = Field(
        None,
        description="File with the password for the database, instead of one in its address.",
    )

    @property
    def is_database_embedded(self) -> bool:
        return self.database is None or self.database.startswith("sqlite:")

    @property
    def database_path(self) -> Path:
        """The file of an embedded database."""
        assert self.is_database_embedded
        return sqlite_path(self.database) if self.database else self.data / "analytics.db"

    @property
    def database_url(self) -> str:
        """The address, with the password that stands in the file."""
        if self.database is None:
            return f"sqlite:///{self.database_path}"
        if self.database_password_file is None:
            return self.database
        return with_password(self.database, read_password(self.database_password_file))

    @property
    def database_name(self) -> str:
        return database_name(self.database_url)

    @field_validator("database_password_file")
    @classmethod
    def _password_is_one(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        database = info.data.get("database")
        if path is not None and "database" in info.data:
            if database is None or database.startswith("sqlite:"):
                raise ValueError("a password is for PostgreSQL; give its address by --database")
            with_password(database, read_password(path))
        return path

    @property
    def processor_lock_path(self) -> Path:
        """The file beside which the processor keeps its lock: one processor an embedded file."""
        return self.database_path if self.is_database_embedded else self.log_path


class Collecting(Placed):
    """The collector: HTTP, session ids, bounds."""

    listen: Listen = Field(
        "127.0.0.1:8080", description="HOST:PORT to listen on; port 0 takes a free one."
    )
    path_prefix: Prefix = Field(
        "", description="Accepted in front of /api/v1 on requests; never part of Location."
    )
    profile: Profile = Field(
        "standard", description="How strictly bodies are checked; strict is for client QA."
    )
    tls_cert: Path | None = Field(
        None, description="PEM file with the certificate chain; with it the collector speaks HTTPS."
    )
    tls_key: Path | None = Field(
        None,
        description="PEM file with the certificate's key, without a passphrase.",
        validate_default=True,
    )
    sid_key_file: Path | None = Field(
        None,
        description="File with the keys of session ids, one a line, newest first (others still "
        "verify). Default: sid.key in the data directory, made at the first start.",
    )
    sid_keys: SecretStr | None = Field(
        None,
        description="The keys themselves, comma-separated, newest first; instead of a file. "
        "Better given as a variable: flags can be seen by other users of the machine.",
    )
    drain_grace: Annotated[Duration, Field(le=timedelta(minutes=10))] = Field(
        timedelta(0),
        description="Time to go on accepting after SIGTERM, not ready, until a load balancer has "
        "noticed.",
    )
    drain_max: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(hours=1))] = Field(
        timedelta(seconds=15), description="Time that requests in flight get after that."
    )
    requests_max: Annotated[int, Field(ge=1, le=100_000)] = Field(
        1_000, description="Requests in flight at most; beyond that 503 with Retry-After."
    )
    request_bytes_max: Annotated[Size, Field(ge=16 * 1024**2, le=64 * 1024**3)] = Field(
        64 * 1024**2, description="Bytes of request bodies in flight at most; beyond that 503."
    )

    @property
    def address(self) -> Address:
        return parse_address(self.listen)

    @field_validator("tls_key")
    @classmethod
    def _certificate_loads(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if "tls_cert" in info.data:
            _check_tls(info.data["tls_cert"], key)
        return key

    @field_validator("sid_key_file")
    @classmethod
    def _key_file_is_one(cls, path: Path | None) -> Path | None:
        if path is not None:
            _usable(lambda: load_key_file(path))
        return path

    @field_validator("sid_keys")
    @classmethod
    def _keys_are_keys(cls, keys: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if keys is not None:
            if info.data.get("sid_key_file") is not None:
                raise ValueError("give the keys or a file with the keys, not both")
            _usable(lambda: parse_keys(keys.get_secret_value(), "the text"))
        return keys


class Ruling(Common):
    """The rules of a new projection (docs/rules.md "Policy"); one that exists keeps its own."""

    unclosed_break: Literal["content", "ad"] = Field(
        "content", description="What the ads of a break without its closing bookend count as."
    )
    break_gap: Literal["excluded", "content"] = Field(
        "excluded", description="What the time between the ads of a break counts as."
    )
    stall_detection: Literal["on", "off"] = Field(
        "on", description="Whether a playhead that stands still while playing is a stall."
    )
    valid_play: Annotated[Duration, Field(le=timedelta(days=1))] = Field(
        timedelta(seconds=30), description="Content time from which a play is a valid one."
    )
    complete_play_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.99, description="Share of the content that must be played for a complete play."
    )

    inactive_after: Annotated[Duration, Field(ge=timedelta(minutes=1), le=timedelta(hours=12))] = (
        Field(
            timedelta(minutes=10),
            description="Close a session after this time without an event; between two events, a "
            "longer time counts as nothing.",
        )
    )
    idle_after: Annotated[Duration, Field(ge=timedelta(minutes=1), le=timedelta(hours=24))] = Field(
        timedelta(minutes=30), description="Close a session whose playhead stands still so long."
    )
    expire_after: Annotated[Duration, Field(ge=timedelta(hours=1), le=timedelta(hours=48))] = Field(
        timedelta(hours=24), description="Close a session so long after its first event."
    )

    @property
    def policy(self) -> Policy:
        return Policy(
            inactive_ms=round(self.inactive_after.total_seconds() * 1000),
            idle_ms=round(self.idle_after.total_seconds() * 1000),
            expired_ms=round(self.expire_after.total_seconds() * 1000),
            unclosed_break=self.unclosed_break,
            break_gap=self.break_gap,
            stall_detection=self.stall_detection,
            valid_play_ms=round(self.valid_play.total_seconds() * 1000),
            complete_play_share=self.complete_play_share,
        )


class Migrating(Placed, Stored, Ruling):
    """The migration."""

    topic_retention: Annotated[Duration, Field(ge=timedelta(days=2))] = Field(
        timedelta(days=30), description="Age at which Kafka deletes events, for a new topic."
    )


class Grouped(Common):
    """Who a processor is in the group that shares a topic in Kafka."""

    group: InstanceId = Field(
        GROUP, description="Consumer group of the processors that share the topic in Kafka."
    )
    instance_id: InstanceId | None = Field(
        None,
        description="Name of this processor in its group, the same after a restart: then it has "
        "its partitions back at once. Default: a new member each time.",
    )


class Leaving(Logged, Grouped):
    """Taking a processor out of its group."""


class Processing(Placed, Stored, Ruling, Grouped):
    """The processor: checkpoints, retention, rules."""

    checkpoint_interval: Annotated[
        Duration, Field(ge=timedelta(milliseconds=50), le=timedelta(minutes=1))
    ] = Field(timedelta(seconds=1), description="Time from one checkpoint to the next.")
    checkpoint_events: Annotated[int, Field(ge=100, le=1_000_000)] = Field(
        50_000, description="Events after which a checkpoint is due early; far behind, four times."
    )
    log_retention: Annotated[Duration, Field(ge=timedelta(minutes=1))] | None = Field(
        None,
        description="Age from which processed records are deleted from the embedded log. "
        "Default: kept for ever.",
    )

    accept_bad_records: bool = Field(
        False,
        description="Go on though most records of a partition break the contract: all of these "
        "become dead letters.",
    )

    accept_gap: bool = Field(
        False,
        description="Go on when records are gone from the log before they were read. The gap is "
        "kept in log_gaps, and sessions that were live get the finding log_gap.",
    )

    session_timeout: Annotated[
        Duration, Field(ge=timedelta(milliseconds=500), le=timedelta(minutes=5))
    ] = Field(
        timedelta(seconds=10),
        description="Time after which the group gives a silent processor's partitions to others.",
    )


class ProcessingAlone(Processing):
    """The processor in a process of its own."""

    metrics_listen: Listen | None = Field(
        None,
        description="HOST:PORT to serve /healthz, /readyz and /metrics on; nothing is served "
        "without it.",
    )


class Explorable(Common):
    """Who may look at the session explorer, and how far back it looks."""

    explore_token_file: Path | None = Field(
        None,
        description="File with the token that people must give to look at the explorer, 16 "
        "characters or more. Default: only people on this machine may look.",
    )

    explore_archive: Path | None = Field(
        None,
        description="Directory that `archive` writes to: the explorer reads a session's events "
        "there, too, once the log has let go of them.",
    )

    @field_validator("explore_token_file")
    @classmethod
    def _token_is_long(cls, path: Path | None) -> Path | None:
        if path is not None and len(read_password(path)) < TOKEN_LENGTH_MIN:
            raise ValueError(
                f"holds fewer than {TOKEN_LENGTH_MIN} characters; make one: openssl rand -hex 32"
            )
        return path


class Exploring(Stored, Explorable):
    """The session explorer alone."""

    explore_listen: Listen = Field(
        "127.0.0.1:8081",
        description="HOST:PORT to show the explorer on; port 0 takes a free one. Any but this "
        "machine's own needs a token.",
    )

    @field_validator("explore_listen")
    @classmethod
    def _others_need_a_token(cls, listen: str, info: ValidationInfo) -> str:
        has_token = info.data.get("explore_token_file", True)
        if not has_token and not parse_address(listen).is_loopback:
            raise ValueError("others could look there; give a token too, by --explore-token-file")
        return listen


class Running(Collecting, Processing, Explorable):
    """Collector, processor and session explorer together."""


class Demonstrating(Common):
    """The demo."""

    kafka: bool = Field(
        False,
        description="Over a real Kafka and a real PostgreSQL, started for it and stopped again. "
        "Needs the extra local.",
    )

    log_level: LogLevel = Field("error", description="Log lines from this level on go to stderr.")

    data: DataPath | None = Field(
        None, description="Directory for the demo's data, new or empty. Default: a temporary one."
    )
    json_output: bool = Field(
        False,
        description="Print one JSON object instead of tables.",
        validation_alias=f"{ENV_PREFIX}JSON",
    )


class Checking(Running, ProcessingAlone, Migrating, Exploring):
    """The check: all settings that a server takes."""

    json_output: bool = Field(
        False,
        description="Print one JSON object instead of tables.",
        validation_alias=f"{ENV_PREFIX}JSON",
    )


GROUPS: Final[tuple[type[Common], ...]] = (
    Logged,
    Placed,
    Stored,
    Collecting,
    Processing,
    Grouped,
    ProcessingAlone,
    Explorable,
    Exploring,
    Ruling,
    Migrating,
    Demonstrating,
    Secured,
    Common,
)
"""Every setting stands in one of these, in the order in which people are shown them."""


def _check_tls(cert: Path | None, key: Path | None) -> None:
    if cert is None and key is None:
        return
    if cert is None or key is None:
        missing = "--tls-cert" if cert is None else "--tls-key"
        raise ValueError(f"certificate and key go together; {missing} is missing")
    # Imported only when there is a certificate: it brings a web server with it.
    server = importlib.import_module("ingest.server")
    try:
        server.check_certificate(cert, key)
    except server.CertificateError as error:
        raise ValueError(f"{cert} with key {key}: {error.reason}") from error
