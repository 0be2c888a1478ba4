"""A rebuild's processes: what becomes of the workers when the one that started them is killed."""

import contextlib
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing import Pipe
from pathlib import Path

import psutil
import pytest

from commands.rebuild_workers import Ended, _receive
from processor.archive import MANIFEST, PartitionArchive
from tests.commands.processes import PATIENCE_S, environment
from tests.processor_shell.world import World, event
from tests.rebuild.rows import archive_of

COMMAND = ("rebuild", "--archive", "archive", "--archive-only", "--jobs", "2", "--data", ".")
PROGRAM = """
import multiprocessing, sys
import bookended
from commands import rebuild_workers

rebuild_workers.CONTEXT = multiprocessing.get_context(sys.argv.pop(1))
bookended.main()
"""


def pipe_for_file(archive: PartitionArchive) -> Path:
    """A pipe in the place of a partition's one file: who reads it waits for what never comes."""
    (entry,) = archive.entries
    assert entry.file is not None
    path = archive.path / entry.file
    path.unlink()
    os.mkfifo(path)
    manifest = archive.path / MANIFEST
    head, line = manifest.read_text().splitlines()
    manifest.write_text(f"{head}\n{json.dumps({**json.loads(line), 'bytes': 0})}\n")
    return path


@pytest.fixture
def pipes(world: World, tmp_path: Path) -> list[Path]:
    """Those of an archive with two partitions."""
    world.append_events(1, event("play", 0), event("ping", 10))
    archive = archive_of(world, tmp_path / "archive")
    other = archive.path.with_name("1")
    first = pipe_for_file(archive)
    shutil.copytree(archive.path, other, ignore=lambda _, names: [n for n in names if ".avro" in n])
    second = other / first.relative_to(archive.path)
    os.mkfifo(second)
    return [first, second]


@pytest.fixture(params=["fork", "spawn"])
def rebuild(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """By workers of either kind: which one there is depends on the system."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, request.param, *COMMAND],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):  # all of them have ended
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)


def opened_by_a_reader(path: Path, rebuild: subprocess.Popen[bytes]) -> int:
    """The pipe's other end, once somebody reads there."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody is there yet
            assert rebuild.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_workers_end_with_the_one_that_started_them(
    pipes: list[Path], rebuild: subprocess.Popen[bytes]
) -> None:
    """Both are in the middle of a file, where neither tells anything nor asks whether anybody
    listens."""
    with ExitStack() as stack:
        ends = [opened_by_a_reader(path, rebuild) for path in pipes]
        for end in ends:
            stack.callback(os.close, end)
        os.kill(rebuild.pid, signal.SIGKILL)  # it alone
        rebuild.wait(PATIENCE_S)
        for end in ends:
            watch = select.poll()
            watch.register(end, 0)
            assert watch.poll(PATIENCE_S * 1_000), "a worker goes on"


def test_a_worker_that_is_killed_ends_the_rebuild_with_what_to_do(
    pipes: list[Path], rebuild: subprocess.Popen[bytes]
) -> None:
    with ExitStack() as stack:
        for path in pipes:
            stack.callback(os.close, opened_by_a_reader(path, rebuild))
        children = psutil.Process(rebuild.pid).children()
        next(child for child in children if str(pipes[0]) in handles(child.pid)).kill()
        _, told = rebuild.communicate(timeout=PATIENCE_S)
    assert rebuild.returncode == 1
    assert b"a worker was killed. Start it again with --into: it goes on" in told
    assert b"Traceback" not in told


def handles(pid: int) -> set[str]:
    """What a process has open, pipes too."""
    return {str(handle.readlink()) for handle in Path(f"/proc/{pid}/fd").iterdir()}


def test_a_worker_that_is_killed_within_a_message_is_no_other_thing() -> None:
    ours, theirs = Pipe(duplex=False)
    os.write(theirs.fileno(), struct.pack("!i", 100) + b"the first bytes of it")
    theirs.close()
    with ours:
        told = _receive(ours)
    assert isinstance(told, Ended)
    assert told.failure is not None
    assert told.failure.startswith("a worker was killed")
