"""The command line `bookended`: registers the commands and turns every fault into one clear line.

Composition root, together with `commands/`: the only place that may import everything.
"""

import difflib
import gc
import importlib
import importlib.metadata
import os
import sys
import traceback
from typing import Any, Final, NoReturn

import click

from commands.errors import EXIT_FAILED, EXIT_USAGE, Failure, SettingsError

# In the order of the help. A command's module is imported only when it is asked for: `--help` and
# `migrate` need not wait for a web server's imports.
COMMANDS: Final = {
    "demo": "Plays sample sessions over HTTP and shows the rows they become.",
    "run": "Runs collector and processor in one process.",
    "collect": "Runs the collector alone.",
    "process": "Runs the processor alone.",
    "leave": "Takes a processor that was stopped for good out of its group in Kafka.",
    "simulate": "Plays many realistic sessions against any server.",
    "archive": "Copies the log into files that rebuilds read.",
    "rebuild": "Folds the log once more, into a candidate beside the live projection.",
    "projections": "Lists projections, or drops one.",
    "diff": "Shows what a candidate would change.",
    "whatif": "Prints how totals would move under other rules.",
    "promote": "Makes a candidate the live projection.",
    "rollback": "Takes the last promotion back.",
    "forget": "Removes what names a viewer; figures stay.",
    "migrate": "Brings log and database to this release's schema.",
    "explain": "Shows one session's time line, and why each stretch counts as what it does.",
    "verify": "Compares every session's totals with the sums of its rows.",
    "explore": "Shows sessions in a browser.",
    "export": "Writes views and tables to Parquet or CSV files.",
    "schema": "Prints the Avro schema of the log's records.",
    "dead-letters": "Shows, replays or drops records that break the contract.",
    "local": "Starts and stops a real Kafka and PostgreSQL on this machine.",
    "check": "Shows the effective settings and whether log and database are as they must be.",
}


class Commands(click.Group):
    """The group: commands by name, and the one place where errors become exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        # Imports make many objects that stay: looking for garbage among them would be a sixth of a
        # processor's start.
        gc.disable()
        try:
            _import_structlog()
            command = importlib.import_module(f"commands.{cmd_name.replace('-', '_')}").command
        finally:
            gc.enable()
        assert isinstance(command, click.Command)
        command.short_help = COMMANDS[cmd_name]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            ctx.fail(f"There is no command {name!r}" + (f"; is {near[0]} meant?" if near else "."))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except SettingsError as error:
            _end(error.lines, EXIT_USAGE)
        except Failure as error:
            _end((str(error),), EXIT_FAILED)
        except Exception as error:  # noqa: BLE001 - the outermost loop: no traceback for users
            _end(_told(error), EXIT_FAILED)


def _import_structlog() -> None:
    """Without what it would colour tracebacks with, of which a user sees none: a tenth of a
    processor's start and 8 MB of its memory. (`None` is how Python is told that a module is not
    there.)"""
    if "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        importlib.import_module("structlog")
    finally:
        del sys.modules["rich"]


def _told(error: Exception) -> tuple[str, ...]:
    # Imported only now: it pulls in every package, which `--help` need not wait for.
    known = importlib.import_module("commands.known").known_failure(error)
    return _defect(error) if known is None else (str(known),)


def _defect(error: Exception) -> tuple[str, ...]:
    if "--debug" in sys.argv or os.environ.get("BOOKENDED_DEBUG", "") not in ("", "0", "false"):
        return tuple("".join(traceback.format_exception(error)).splitlines())
    text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    report = "Please report it, with the traceback that --debug shows."
    return (f"unexpected error, a defect of bookended: {text}. {report}",)


def _end(lines: tuple[str, ...], code: int) -> NoReturn:
    for line in lines:
        click.echo(f"bookended: {line}", err=True)
    sys.exit(code)


def _show_version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if not is_asked or ctx.resilient_parsing:
        return
    try:
        click.echo(f"bookended {importlib.metadata.version('bookended')}")
    except importlib.metadata.PackageNotFoundError:
        click.echo("bookended, run from a checkout that is not installed")
    ctx.exit()


@click.group(cls=Commands, context_settings={"max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Session analytics for media players, on your own machine.

    Every option can also be given as a variable: --some-option is BOOKENDED_SOME_OPTION. Exit
    codes: 0 done, 1 failed, 2 wrong usage or settings.
    """


if __name__ == "__main__":
    main()
