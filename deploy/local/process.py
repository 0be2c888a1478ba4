"""Server processes: started apart from us, found again by another process, ended for certain.

A server outlives the program that started it when that is wanted, so everything here works by
process number, and a number counts only while the process under it carries the server's own path
on its command line. Imports nothing of the project.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import psutil

# Settings of other servers and of every Java program on the machine are none of ours.
_NOT_OURS: Final = re.compile(r"(PG|KAFKA_|POSTGRES)\w*|\w*JAVA(_TOOL)?_OPTIONS|CLASSPATH")
_TELLING: Final = re.compile(r"\b(ERROR|FATAL|PANIC|HINT|LOG)\b|(Error|Exception)\b")
_STACK: Final = re.compile(r"\s+(at\s|\.\.\. \d+ more)")
_TAIL_BYTES: Final = 64 * 1024
_TOLD_LINES_MAX: Final = 3
_TOLD_LENGTH_MAX: Final = 240
KILLED_WITHIN_S: Final = 10.0
_ASKED_EVERY_S: Final = 0.02


class Account(NamedTuple):
    """Whom a process runs as, when not as ourselves."""

    name: str
    user_id: int
    group_id: int


def environment(**changes: str) -> dict[str, str]:
    """Our environment without what other servers are set by."""
    kept = {name: text for name, text in os.environ.items() if not _NOT_OURS.fullmatch(name)}
    return kept | changes


def spawn(
    command: Sequence[str],
    directory: Path,
    log: Path,
    env: Mapping[str, str],
    account: Account | None = None,
) -> psutil.Process:
    """Starts a server in `directory`, in a session of its own; all that it says goes to `log`."""
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - the command is our own
            command,
            cwd=directory,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C at our terminal is for us: we stop the server in its own way.
            start_new_session=True,
            user=account.user_id if account else None,
            group=account.group_id if account else None,
            extra_groups=[] if account else None,
        )
    process = psutil.Process(child.pid)
    # From here on psutil waits for it, as for a server that another process started.
    child.returncode = 0
    return process


def run_tool(
    command: Sequence[str],
    directory: Path,
    env: Mapping[str, str],
    account: Account | None,
    timeout_s: float,
) -> tuple[bool, list[str]]:
    """Runs a server's own tool to its end; whether it did its work, and the lines it said."""
    try:
        done = subprocess.run(  # noqa: S603 - the command is our own
            command,
            cwd=directory,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            user=account.user_id if account else None,
            group=account.group_id if account else None,
            extra_groups=[] if account else None,
        )
    except subprocess.TimeoutExpired:
        return False, [f"it did not end within {timeout_s:.0f} s"]
    return done.returncode == 0, (done.stdout + done.stderr).splitlines()


def find(pid: int, path: Path) -> psutil.Process | None:
    """The process under this number, if it lives and has `path` on its command line."""
    if pid <= 0:
        return None
    try:
        process = psutil.Process(pid)
        return process if is_alive(process) and str(path) in process.cmdline() else None
    except psutil.Error:
        return None


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs. One that ended and only waits to be looked at does not."""
    with contextlib.suppress(psutil.Error):
        if process.status() != psutil.STATUS_ZOMBIE:
            return process.is_running()
        process.wait(0)
    return False


def end(process: psutil.Process, signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """Sends each signal and waits its time for the end; then kills, with all that it started."""
    for number, patience_s in signals:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
        if _ended(process, patience_s):
            return
    kill(process)


def kill(process: psutil.Process) -> None:
    """Ends a process and all that it started, at once, with SIGKILL."""
    family = [process]
    with contextlib.suppress(psutil.NoSuchProcess):
        family += process.children(recursive=True)
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    for member in family:
        _ended(member, KILLED_WITHIN_S)


def _ended(process: psutil.Process, patience_s: float) -> bool:
    """Waits for a process's end, ours or not. psutil itself would wait until its parent has asked
    for it too, and in a container without an init nobody ever does.
    """
    deadline = time.monotonic() + patience_s
    while is_alive(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(_ASKED_EVERY_S)
    return True


def size_of(path: Path) -> int:
    """Bytes of a file; 0 when there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def last_lines(log: Path, since: int) -> list[str]:
    """The last lines that were written to a log after its first `since` bytes."""
    try:
        with log.open("rb") as lines:
            lines.seek(max(since, size_of(log) - _TAIL_BYTES))
            return lines.read(_TAIL_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def told(lines: Sequence[str]) -> str:
    """What a server said at its end, short enough for one line: what sounds like a reason."""
    lines = [line for line in lines if line.strip() and not _STACK.match(line)]
    telling = [line for line in lines if _TELLING.search(line)]
    chosen = (telling or lines)[-_TOLD_LINES_MAX:]
    return " | ".join(" ".join(line.split())[:_TOLD_LENGTH_MAX] for line in chosen) or "nothing"
