"""Processes of a benchmark that live over several rounds: each is asked, works, and answers.

Contenders must not share a heap, a garbage collector or a core with each other or with what drives
them. Imports nothing of the project.
"""

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

Ask = Callable[[Any], Any]


class WorkerEndedError(Exception):
    """A worker ended before it was asked to; what it wrote to stderr says why."""


@contextmanager
def worker(serve: Callable[..., None], *args: object) -> Iterator[Ask]:
    """Runs `serve(connection, *args)` in a new process; the function sends and waits for an answer.

    `serve` returns when the connection is closed (`questions`).
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()

    def ask(question: Any) -> Any:
        try:
            ours.send(question)
            return ours.recv()
        except (EOFError, ConnectionError) as error:
            raise WorkerEndedError(process.name) from error

    try:
        yield ask
    finally:
        ours.close()
        process.join()


def questions(connection: Connection) -> Iterator[Any]:
    """What is asked, until nobody asks any more."""
    with contextlib.suppress(EOFError, ConnectionResetError):
        while True:
            yield connection.recv()


def cores() -> tuple[int, int] | None:
    """One core for what is measured and one for what drives it, where that can be chosen."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else None


def stay_on(core: int | None) -> None:
    """Keeps this process on one core."""
    if core is not None:
        os.sched_setaffinity(0, {core})
