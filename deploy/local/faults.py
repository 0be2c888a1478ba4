"""The base of all that can go wrong with a local server: one line that names the thing.

Each fault is a class of its own, defined where it is raised. Imports nothing of the project.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

EXTRA: Final = "pip install 'bookended[local]'"


class LocalFault(Exception):
    """A local server cannot do what was asked. `what` names the thing, `next_step` the way on."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what, next_step)
        self.what = what
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.what}. {self.next_step}"


class FileUnusable(LocalFault):
    """A file or directory that a server needs cannot be made, read or written."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path}: {reason}", "Make it usable for this user, or give another directory."
        )
        self.path = path
        self.reason = reason


@contextmanager
def touching(directory: Path) -> Iterator[None]:
    """Turns the system's errors about files below `directory` into `FileUnusable`."""
    try:
        yield
    except OSError as error:
        path = Path(error.filename) if isinstance(error.filename, str) else directory
        raise FileUnusable(path, error.strerror or str(error)) from error
