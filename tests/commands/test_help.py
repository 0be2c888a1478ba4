"""Help texts, exit codes, and what a user sees of an error that nobody foresaw."""

import importlib
import re

import click
import pytest
from click.testing import CliRunner

from bookended import COMMANDS, main
from commands.errors import Failure
from commands.options import settings_of
from commands.settings import Checking
from commands.takers import TAKEN_BY
from processor.source import LogAwayError
from tests.commands.processes import Cli


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("command", TAKEN_BY)
def test_help_names_every_option_its_variable_and_its_purpose(command: str) -> None:
    done = CliRunner().invoke(main, [*command.split(), "--help"])
    assert done.exit_code == 0
    shown = words(done.output)
    for setting in settings_of(TAKEN_BY[command]):
        assert f"{setting.flag} " in shown
        if not setting.is_positional:
            assert f"[{setting.variable}]" in shown
            assert words(setting.description) in shown


def test_every_command_has_its_line() -> None:
    # The commands of `local` have options of their own.
    assert set(COMMANDS) == {*(name.partition(" ")[0] for name in TAKEN_BY), "local"}
    shown = words(CliRunner().invoke(main, ["--help"]).output)
    for command, line in COMMANDS.items():
        assert f"{command} {line}" in shown


def test_a_command_that_is_not_there_is_told_with_the_likely_name() -> None:
    done = CliRunner().invoke(main, ["expot", "sessions"])
    assert done.exit_code == 2
    assert "There is no command 'expot'; is export meant?" in done.output
    assert "There is no command 'xyz'." in CliRunner().invoke(main, ["xyz"]).output


def test_check_shows_every_setting_of_a_server() -> None:
    of_servers = {"run", "collect", "process", "migrate"}
    names = {item.flag for command in of_servers for item in settings_of(TAKEN_BY[command])}
    assert names <= {setting.flag for setting in settings_of(Checking)}


def test_the_installed_program_says_its_version(cli: Cli) -> None:
    done = cli("--version")
    assert done.returncode == 0
    assert re.match(r"bookended(\s\d+\.\d+|, run from a checkout)", done.stdout)


def raising(error: BaseException) -> click.Command:
    @click.command
    @click.option("--debug", is_flag=True)
    def command(debug: bool) -> None:
        raise error

    return command


def outcome_of(error: BaseException, monkeypatch: pytest.MonkeyPatch, *args: str) -> str:
    monkeypatch.setattr(importlib.import_module("commands.migrate"), "command", raising(error))
    monkeypatch.setattr("sys.argv", ["bookended", "migrate", *args])
    done = CliRunner().invoke(main, ["migrate", *args])
    assert done.exit_code == 1
    return done.output


def test_a_defect_is_one_line_that_asks_for_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BOOKENDED_DEBUG", raising=False)
    shown = outcome_of(ZeroDivisionError("by\nzero"), monkeypatch)
    assert shown == (
        "bookended: unexpected error, a defect of bookended: ZeroDivisionError: by zero. "
        "Please report it, with the traceback that --debug shows.\n"
    )


def test_the_traceback_is_shown_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Traceback" in outcome_of(ZeroDivisionError("x"), monkeypatch, "--debug")
    monkeypatch.setenv("BOOKENDED_DEBUG", "1")
    assert "Traceback" in outcome_of(ZeroDivisionError("x"), monkeypatch)


def test_foreseen_errors_are_no_defects(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = outcome_of(Failure("the sky fell", "Look up."), monkeypatch)
    assert shown == "bookended: the sky fell. Look up.\n"
    shown = outcome_of(LogAwayError("a/log.db", "database or disk is full"), monkeypatch)
    assert shown.startswith("bookended: log a/log.db: the disk is full. Free some space")


def test_ctrl_c_is_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome_of(KeyboardInterrupt(), monkeypatch).strip() == "Aborted!"
