"""`bookended demo --kafka`: the demo as it runs in production, over servers that it starts itself.

Part of the composition root: a real broker and database of `deploy.local`, a collector and two
processors as processes, and all of them ended again, however the demo ends. Imports what the demos
share, and `deploy.local`.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rich.status import Status

from commands.common import ENV_PREFIX
from commands.demo_players import demo_directory, play, wait_for_rows
from commands.demo_report import as_json, outcome, show
from commands.errors import Failure
from commands.settings import Demonstrating
from commands.tables import facts, program, stderr, stdout

try:
    from deploy.local import LocalFault, LocalKafka, LocalPostgres, LocalServer
except ImportError as error:
    raise Failure(
        f"bookended demo --kafka needs the package {error.name}",
        "Install it: pip install 'bookended[local]'.",
    ) from error

PARTITIONS: Final = 4
PROCESSORS: Final = ("processor-1", "processor-2")
_READY_WITHIN_S: Final = 60.0
_ENDED_WITHIN_S: Final = 20.0
_ASKED_EVERY_S: Final = 0.05


class Part:
    """One process of the demo; its log lines go to a file."""

    def __init__(self, name: str, arguments: tuple[str, ...], log: Path, **settings: str) -> None:
        self.name = name
        self.log = log
        mine = {name: text for name, text in os.environ.items() if not name.startswith(ENV_PREFIX)}
        with log.open("wb") as file:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "bookended", *arguments, "--log-format", "json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                env=mine | settings,
            )

    def lines(self) -> list[dict[str, Any]]:
        """Its log lines so far."""
        found = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):  # the line that a failed process ends with
                found.append(json.loads(line))
        return found

    def wait_for(self, event: str) -> dict[str, Any]:
        """Its first log line of this name. Errors: `Failure`."""
        deadline = time.monotonic() + _READY_WITHIN_S
        while True:
            for line in self.lines():
                if line.get("event") == event:
                    return line
            if self.process.poll() is not None:
                raise self.failure(f"ended with exit code {self.process.returncode}")
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready within {_READY_WITHIN_S:.0f} s")
            time.sleep(_ASKED_EVERY_S)

    def wait(self) -> None:
        """Returns when it has ended well. Errors: `Failure`."""
        try:
            code = self.process.wait(_READY_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise self.failure(f"did not end within {_READY_WITHIN_S:.0f} s") from error
        if code != 0:
            raise self.failure(f"ended with exit code {code}")

    def failure(self, what: str) -> Failure:
        said = self.log.read_text(encoding="utf-8").splitlines()
        last = said[-1].removeprefix("bookended: ") if said else "it said nothing"
        return Failure(f"the demo's {self.name} {what}: {last}", f"See {self.log}.")

    def end(self) -> None:
        """Drains, or by force when that takes too long."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(_ENDED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Cluster:
    """What runs: servers, collector, processors."""

    def __init__(self, directory: Path, kafka: LocalKafka, postgres: LocalPostgres) -> None:
        self.directory = directory
        self.log = kafka.log_url()
        self.database = postgres.url
        self.address = postgres.address
        self.parts: dict[str, Part] = {}
        self.url = ""

    def start(self, name: str, *arguments: str) -> Part:
        part = Part(
            name,
            arguments,
            self.directory / f"{name}.log",
            BOOKENDED_LOG=self.log,
            BOOKENDED_DATABASE=self.database,
            BOOKENDED_DATA=str(self.directory / "data"),
            BOOKENDED_PARTITIONS=str(PARTITIONS),
        )
        self.parts[name] = part
        return part

    def owned(self, processor: str) -> list[int]:
        """The partitions that a processor has by now."""
        owned: set[int] = set()
        for line in self.parts[processor].lines():
            if line.get("event") == "processor_claimed_partition":
                owned.add(line["partition"])
            elif line.get("event") == "processor_released_partition":
                owned.discard(line["partition"])
        return sorted(owned)


def run(settings: Demonstrating, began: float) -> None:
    """Plays the samples and shows what came of them. Errors: `Failure`."""
    directory = demo_directory(settings.data).resolve()
    signal.signal(signal.SIGTERM, _interrupt)
    is_kept = settings.data is not None
    with _removed(directory, is_kept=is_kept), stderr().status("Starting ...") as status:
        with _cluster(directory, status) as cluster:
            played = asyncio.run(play(cluster.url, status))
            status.update("Waiting for the rows in SQL ...")
            wait_for_rows(cluster.database, played)
            result = outcome(cluster.database, played)
            ran = _ran(cluster)
        status.update("Stopping ...")
    if settings.json_output:
        kept = str(directory) if is_kept else None
        report = as_json(result, kept, time.monotonic() - began)
        print(json.dumps({**report, "ran": ran}))
        return
    console = stdout()
    show(console, result)
    console.rule("What ran, and is stopped again", align="left")
    console.print(facts(ran))
    _show_next(settings.data)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _removed(directory: Path, *, is_kept: bool) -> Iterator[None]:
    """Removes the directory after the block unless it is to be kept; a fault names a log in it."""
    try:
        yield
    except Failure:
        is_kept = True
        raise
    finally:
        if not is_kept:
            shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def _cluster(directory: Path, status: Status) -> Iterator[Cluster]:
    """All at work inside the block, all ended after it. Errors: `Failure`."""
    with contextlib.ExitStack() as running:
        kafka = LocalKafka(directory / "kafka", note=status.update)
        postgres = LocalPostgres(directory / "postgres", note=status.update)
        for server in (kafka, postgres):
            status.update(f"Starting {server.name} ...")
            _start(server, running)
        cluster = Cluster(directory, kafka, postgres)
        running.callback(_end, cluster)
        status.update("Making topics and tables ...")
        cluster.start("migrate", "migrate").wait()
        status.update("Starting a collector and two processors ...")
        collector = cluster.start("collector", "collect", "--listen", "127.0.0.1:0")
        for name in PROCESSORS:
            cluster.start(name, "process", "--checkpoint-interval", "200ms")
        cluster.url = f"http://127.0.0.1:{collector.wait_for('collector_listening')['port']}"
        collector.wait_for("collector_ready")
        for name in PROCESSORS:
            cluster.parts[name].wait_for("processor_claimed_partition")
        yield cluster


def _start(server: LocalServer, running: contextlib.ExitStack) -> None:
    try:
        running.enter_context(server)
    except LocalFault as fault:
        raise Failure(fault.what, fault.next_step) from fault


def _end(cluster: Cluster) -> None:
    """The collector first, so that what it took on reaches the log. Ctrl-C does not stop this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for part in cluster.parts.values():
        part.end()


def _ran(cluster: Cluster) -> dict[str, str]:
    """What took part, for people."""
    ran = {
        "Kafka": f"{cluster.log}, {PARTITIONS} partitions",
        "PostgreSQL": cluster.address,
        "collector": f"process {cluster.parts['collector'].process.pid}, {cluster.url}",
    }
    for name in PROCESSORS:
        owned = ", ".join(map(str, cluster.owned(name))) or "none"
        ran[name] = f"process {cluster.parts[name].process.pid}, partitions {owned}"
    return ran


def _show_next(data: Path | None) -> None:
    console = stdout()
    console.rule("What next", align="left")
    where = "" if data is None else f" --data {data}"
    lines = (
        f"# {'such servers to keep' if data is None else 'the same servers, with these rows'}",
        f"{program()} local up{where}",
        "",
        "# then migrate, collect and process with the two flags that it prints",
    )
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
