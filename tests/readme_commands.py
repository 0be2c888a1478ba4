"""Runs README's shell commands, and those of docs/http.md, as a newcomer would: in one shell.

Only for tests. What stands in for the newcomer's machine: `make` runs the recipes of the Makefile
without the set-up, `bookended` is this checkout's, `sqlite3` is Python's, the port is a free one.
"""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from tests.documents import ROOT, read

PORT: Final = 8080
TIMEOUT_S: Final = 240.0
_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK: Final = "=== block {} ==="

_SLEEP: Final = """\
sleep() { {python} -m tests.readme_commands wait-for-close bookended-data/analytics.db; }
"""
"""README waits two seconds for a row; a busy machine may need longer, so here it is looked at."""


_PLACEHOLDER: Final = "/api/v1/sessions/019bc2...c4f1"
"""What docs/http.md calls the session that its first command opens."""

_REMEMBER: Final = "http=$(sed -n 's/^[Ll]ocation: //p' opened | tr -d '\\r')"


class Block(NamedTuple):
    """Commands of one code block, and what the document says they print, if it does."""

    commands: str
    prints: str | None


class Done(NamedTuple):
    """What came of all blocks. `outputs`: stdout of each block."""

    returncode: int
    outputs: list[str]
    stderr: str


def blocks() -> list[Block]:
    """README's `sh` blocks, each with the `text` block that follows in its section."""
    found: list[Block] = []
    for section in re.split(r"^## ", read("README.md").text, flags=re.MULTILINE):
        here: list[Block] = []
        for language, text in _BLOCK.findall(section):
            if language == "sh":
                here.append(Block(text, None))
            elif language == "text" and here:
                here[-1] = here[-1]._replace(prints=text)
        found += here
    return found


def http_blocks() -> list[Block]:
    """The commands of docs/http.md, on the session that the first of them opens."""
    first, *others = read("docs/http.md").code_blocks("bash")
    opens = f"{{ {first.rstrip()}\n}} > opened\n{_REMEMBER}\ncat opened\n"
    return [Block(opens, None), *(Block(o.replace(_PLACEHOLDER, "$http"), None) for o in others)]


def all_blocks() -> list[Block]:
    """README's blocks; before the one that stops the server those of docs/http.md."""
    *running, stop = blocks()
    assert stop.commands.startswith("kill")
    return [*running, *http_blocks(), stop]


def recipe(target: str) -> str:
    """What `make TARGET` does once `.venv` is there: the recipe, with this checkout's program."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    match = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert match, f"the Makefile has no {target}"
    lines = [line.strip().lstrip("@-") for line in match[1].splitlines()]
    return "\n".join(lines).replace("$(VENV)/bin/bookended", "bookended")


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def prepare(folder: Path) -> None:
    """Puts the stand-ins into `folder/bin`, and a `.venv` whose activation changes nothing."""
    programs = {
        "bookended": f'exec "{sys.executable}" -m bookended "$@"',
        "sqlite3": f'exec "{sys.executable}" -m tests.readme_commands sqlite3 "$@"',
        # `make test` would run this very test; it is what the README says it is by being run.
        "make": f'case "$1" in\nrun) {recipe("run")} ;;\ntest) ;;\n*) exit 2 ;;\nesac',
    }
    (folder / "bin").mkdir()
    for name, body in programs.items():
        path = folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o755)
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/activate").touch()


def script(port: int) -> str:
    lines = ["set -eu", _SLEEP.replace("{python}", f'"{sys.executable}"')]
    for number, block in enumerate(all_blocks()):
        lines += [
            f"printf '\\n{_MARK.format(number)}\\n'",
            block.commands.replace(f":{PORT}", f":{port}"),
        ]
    return "\n".join(lines)


def run(folder: Path) -> Done:
    """Runs all blocks in one shell. Ends whatever they started."""
    prepare(folder)
    port = free_port()
    environment = {name: text for name, text in os.environ.items() if "BOOKENDED" not in name}
    environment |= {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "80",
        "TMPDIR": str(folder),
        "BOOKENDED_LISTEN": f"127.0.0.1:{port}",
        "BOOKENDED_URL": f"http://127.0.0.1:{port}",
    }
    with (
        (folder / "stderr").open("w+", encoding="utf-8") as stderr,
        (folder / "stdout").open("w+", encoding="utf-8") as stdout,
    ):
        shell = subprocess.Popen(
            ["bash", "-c", script(port)],  # noqa: S607 (bash is where PATH says)
            cwd=folder,
            env=environment,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            returncode = shell.wait(TIMEOUT_S)
        finally:
            end_group(shell.pid)
        stdout.seek(0)
        stderr.seek(0)
        parts = re.split(r"\n=== block \d+ ===\n", stdout.read())
        return Done(returncode, parts[1:], stderr.read())


def end_group(group: int) -> None:
    """Ends the shell's own process group, with all that it left behind."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def words(text: str) -> list[str]:
    """The words of a table, whatever its lines are drawn with."""
    return re.findall(r"[\w.:%-]+", text.replace("─", " "))


def contains(output: str, expected: str) -> bool:
    """Whether the words of `expected` stand in `output` one after the other."""
    wanted = " ".join(words(expected))
    return f" {wanted} " in f" {' '.join(words(output))} "


# --- the stand-ins ------------------------------------------------------------------------------


def query(path: Path, sql: str) -> tuple[list[str], list[tuple[object, ...]]]:
    """Columns and rows, read as an analyst's client does."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        cursor = connection.execute(sql)
        return [column[0] for column in cursor.description], cursor.fetchall()


def print_box(path: Path, sql: str) -> None:
    columns, rows = query(path, sql)
    for row in (columns, *rows):
        print("│", " │ ".join(str(value) for value in row), "│")


def wait_for_close(path: Path) -> None:
    """Waits until the first session's row says that it is closed."""
    deadline = time.monotonic() + 60
    while not query(path, "SELECT 1 FROM sessions WHERE status = 'closed'")[1]:
        assert time.monotonic() < deadline, "the session's row never came"
        time.sleep(0.1)


def main(arguments: list[str]) -> None:
    match arguments:
        case ["sqlite3", "-box", path, sql]:
            print_box(Path(path), sql)
        case ["wait-for-close", path]:
            wait_for_close(Path(path))
        case _:
            sys.exit(f"no stand-in for {arguments}")


if __name__ == "__main__":
    main(sys.argv[1:])
