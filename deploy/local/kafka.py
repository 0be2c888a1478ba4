"""A real Apache Kafka in one process: broker and controller of a KRaft cluster of one node.

What a Kafka address of `--log` needs for development and tests. Topics are made by `migrate`, never
by clients; arrival time is a setting of theirs. Imports nothing of the project but its neighbours.
"""

import base64
import contextlib
import shutil
import socket
import struct
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil

from deploy.local.faults import FileUnusable, LocalFault
from deploy.local.jars import KafkaHome, alone, kafka_home
from deploy.local.java import Java, find_java
from deploy.local.ports import HOST
from deploy.local.process import environment, run_tool, spawn, told
from deploy.local.server import LocalServer, Note
from deploy.local.warm import reading_flags, start_cache, writing_flags

MESSAGE_BYTES_MAX: Final = 10 * 1024**2
"""More than the 9 MiB of the largest record (docs/architecture.md "The log record")."""

HEAP_MIB_MAX: Final = 512
_FORMATTED_WITHIN_S: Final = 60.0
_ASKED_FOR_S: Final = 2.0
_ANSWER_BYTES_MAX: Final = 64 * 1024
_METADATA: Final = 3
_METADATA_VERSION: Final = 2

SETTINGS: Final[Mapping[str, str]] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(MESSAGE_BYTES_MAX),
    # One node: there is nobody to hold a second copy.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # A group begins at once instead of waiting 3 s for more members; and tests may choose a short
    # session time-out.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    # After a crash the controller refuses the restarted broker until the old one's session is over.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # A small machine's share of threads, and 16 MiB instead of 128 MiB of heap for the cleaner.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": str(16 * 1024**2),
    # There is no second node that must hear every half second that this one is the controller.
    "metadata.max.idle.interval.ms": "0",
}

_JVM_FLAGS: Final = (
    "-Xms64m",
    f"-Xmx{HEAP_MIB_MAX}m",
    "-XX:MaxMetaspaceSize=160m",
    "-XX:MaxDirectMemorySize=128m",
    "-XX:ReservedCodeCacheSize=96m",
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
)


class FormatFailed(LocalFault):
    """Kafka's own tool could not make the data directory."""

    def __init__(self, data: Path, lines: list[str]) -> None:
        super().__init__(
            f"Kafka could not format {data}; it said: {told(lines)}",
            "Check memory and free space, then start again.",
        )
        self.data = data
        self.lines = lines


class LocalKafka(LocalServer):
    """Apache Kafka on the loopback interface, without authentication, its data in `directory`."""

    name = "Kafka"
    port_count = 2
    listener_names: tuple[str, ...] = ()
    """Of a subclass, one for each port beyond the two."""
    compiler_flags: tuple[str, ...] = ("-XX:TieredStopAtLevel=1",)
    """Only Java's quick compiler: what its thorough one costs pays off after hours of load, and
    is half of all the processor time of a broker that lives for minutes."""

    _java: Java
    _home: KafkaHome

    @property
    def bootstrap(self) -> str:
        """HOST:PORT for a client's bootstrap servers. Errors: `NeverStarted`."""
        return self.address

    def log_url(self, topic: str = "media-events") -> str:
        """The address as `--log` takes it. Errors: `NeverStarted`."""
        return f"kafka://{self.address}/{topic}"

    @property
    def mark(self) -> Path:
        return self.directory / "server.properties"

    def prepare(self) -> None:
        self._java = find_java()
        self._home = kafka_home(self.note)
        _train(self._home, self._java, self.note)
        self.make_files()

    def make_files(self) -> None:
        """The data directory, if there is none, and the settings for this start."""
        if not (self.data / "meta.properties").is_file():
            self._format()
        self._write_settings(self.mark, self.data.name)

    def launch(self) -> psutil.Process:
        flags = (*_JVM_FLAGS, *self.compiler_flags, *self.cache_flags())
        return spawn(
            self._command("kafka.Kafka", str(self.mark), flags=flags),
            self.directory,
            self.log,
            environment(),
        )

    def answers(self) -> bool:
        """Asks as a client does: the cluster is this directory's, and its broker is in it."""
        try:
            return self._cluster_id() in ask_cluster(HOST, self.ports[0])
        except (OSError, struct.error, ValueError):
            return False

    def cache_flags(self) -> tuple[str, ...]:
        return reading_flags(self._home, self._java)

    def _format(self) -> None:
        """Kafka's own tool makes the data; under another name until it is done."""
        if self.data.exists():
            raise FileUnusable(self.data, "is there already and holds no Kafka data")
        part = self.directory / "data.part"
        shutil.rmtree(part, ignore_errors=True)
        config = self.directory / "format.properties"
        self._write_settings(config, part.name)
        flags = (*_JVM_FLAGS, *self.compiler_flags, *reading_flags(self._home, self._java))
        arguments = ("format", "--cluster-id", _new_cluster_id(), "--config", str(config))
        done, lines = run_tool(
            self._command("kafka.tools.StorageTool", *arguments, flags=flags),
            self.directory,
            environment(),
            None,
            _FORMATTED_WITHIN_S,
        )
        if not done or not (part / "meta.properties").is_file():
            raise FormatFailed(self.data, lines)
        config.unlink()
        part.rename(self.data)

    def further_settings(self) -> Mapping[str, str]:
        """What a subclass adds: further listeners by `listener_names`, and all that they need."""
        return {}

    def _write_settings(self, path: Path, data_name: str) -> None:
        broker, controller, *further = self.ports
        open_to_clients = [f"PLAINTEXT://{HOST}:{broker}"]
        open_to_clients += [
            f"{name}://{HOST}:{port}"
            for name, port in zip(self.listener_names, further, strict=True)
        ]
        placed = {
            "listeners": ",".join([*open_to_clients, f"CONTROLLER://{HOST}:{controller}"]),
            "advertised.listeners": ",".join(open_to_clients),
            **self.further_settings(),
            "controller.quorum.voters": f"1@{HOST}:{controller}",
            # Relative to the server's directory: the name of that may have commas or umlauts.
            "log.dirs": data_name,
        }
        lines = [f"{name}={value}\n" for name, value in {**SETTINGS, **placed}.items()]
        path.write_text("".join(lines), encoding="ascii")

    def _command(self, main: str, *arguments: str, flags: tuple[str, ...]) -> list[str]:
        return [str(self._java.path), *flags, "-cp", self._home.classpath, main, *arguments]

    def _cluster_id(self) -> bytes:
        text = (self.data / "meta.properties").read_text(encoding="utf-8")
        found = (line for line in text.splitlines() if line.startswith("cluster.id="))
        return next(found, "cluster.id=?").partition("=")[2].encode()


class _Trainee(LocalKafka):
    """A broker that is started and stopped only to write the start cache."""

    stopped_within_s = 120.0

    def __init__(self, directory: Path, home: KafkaHome, java: Java, cache: Path) -> None:
        super().__init__(directory)
        self._home, self._java, self._cache = home, java, cache

    def prepare(self) -> None:
        self.make_files()

    def cache_flags(self) -> tuple[str, ...]:
        return writing_flags(self._cache)


def _train(home: KafkaHome, java: Java, note: Note) -> None:
    """Makes this runtime's start cache when there is none; once, even when that fails."""
    cache = start_cache(home, java)
    if cache is None or cache.exists():
        return
    with alone(home.directory / "lock"):
        if cache.exists():
            return
        note("Preparing Kafka for quick starts (about 15 s, only this once) ...")
        part, place = cache.with_suffix(".part"), home.directory / "training"
        trainee = _Trainee(place, home, java, part)
        trainee.kill()  # what a training that was cut off left behind
        shutil.rmtree(place, ignore_errors=True)
        with contextlib.suppress(LocalFault), trainee:
            pass
        shutil.rmtree(place, ignore_errors=True)
        if part.exists():
            part.replace(cache)
        else:
            cache.touch()


def _new_cluster_id() -> str:
    """16 random bytes in Kafka's spelling, which may not begin with a hyphen."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return f"A{text[1:]}" if text.startswith("-") else text


def ask_cluster(host: str, port: int) -> bytes:
    """The answer of a cluster's only broker to the request that every client begins with.

    Errors: OSError, struct.error or ValueError while there is no such answer.
    """
    client = b"bookended"
    request = struct.pack(
        f">hhih{len(client)}si", _METADATA, _METADATA_VERSION, 1, len(client), client, 0
    )
    with socket.create_connection((host, port), _ASKED_FOR_S) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        (length,) = struct.unpack(">i", _read(connection, 4))
        if not 0 < length <= _ANSWER_BYTES_MAX:
            raise ValueError(f"an answer of {length} bytes is none of Kafka's")
        answer = _read(connection, length)
    (broker_count,) = struct.unpack_from(">i", answer, 4)
    if broker_count != 1:
        raise ValueError("the broker is not in its cluster yet")
    return answer


def _read(connection: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = connection.recv(length - len(parts))
        if not part:
            raise ValueError("the connection was closed")
        parts += part
    return bytes(parts)
