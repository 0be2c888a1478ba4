"""A fork of a warm process is what a started program is; and each command really starts."""

import re
import signal
import subprocess
from pathlib import Path

import pytest

from bookended import COMMANDS
from tests.commands.processes import PATIENCE_S, Cli, Server, arguments, environment


@pytest.mark.parametrize(
    ("args", "settings"),
    [
        (("--version",), {}),
        (("migrate", "--data", "here"), {}),
        (("check", "--json"), {"BOOKENDED_CHECKPOINT_INTERVAL": "250ms"}),
        (("check", "--no-such-option"), {}),
        (("explain", "0"), {}),
        (("run",), {"BOOKENDED_LISTEN": "nowhere"}),
    ],
)
def test_it_says_and_does_the_same(
    tmp_path: Path, args: tuple[str, ...], settings: dict[str, str]
) -> None:
    told = []
    for name, before in (("warm", ()), ("started", ("env",))):
        directory = tmp_path / name / "in"
        directory.mkdir(parents=True)
        done = Cli(directory)(*args, before=before, **settings)
        made = sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))
        shown = (done.stdout + done.stderr).replace(str(directory), ".")
        told.append((done.returncode, re.sub(r"\d+", "0", shown), made))  # free space, times
    assert told[0] == told[1]


def test_it_has_a_number_and_ends_by_a_signal(tmp_path: Path) -> None:
    server = Server(tmp_path, ("run", "--listen", "127.0.0.1:0"), {})
    try:
        server.wait_for("collector_listening")
        assert server.process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(0.01)
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        assert server.process.poll() == -signal.SIGKILL
    finally:
        server.end()


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_imports_what_it_needs(command: str, tmp_path: Path) -> None:
    """A warm process has imported the modules of all of them."""
    done = subprocess.run(
        arguments(command, "--help"),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: bookended.py {command} ")
