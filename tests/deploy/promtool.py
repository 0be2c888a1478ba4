"""promtool, Prometheus' own checker: the one on PATH, else out of Debian's package `prometheus`.

Only for tests. The package is fetched once, by apt-get, and unpacked into the environment that runs
the tests; nothing is installed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import pytest

_KEPT: Final = Path(sys.prefix) / "tools" / "promtool"
_FETCHED_WITHIN_S: Final = 300
_PACKAGE: Final = "prometheus"


def find_promtool() -> Path:
    """The program. Fails the test that asks, with what to install, where there is none."""
    found = shutil.which("promtool")
    if found is not None:
        return Path(found)
    if not _KEPT.exists():
        _fetch()
    return _KEPT


def _fetch() -> None:
    with tempfile.TemporaryDirectory() as directory:
        said = _run("apt-get", "download", _PACKAGE, cwd=directory)
        if said and os.getuid() == 0:
            # A fresh machine has no list of packages yet.
            said = _run("apt-get", "update", cwd=directory)
            said = _run("apt-get", "download", _PACKAGE, cwd=directory)
        packages = list(Path(directory).glob(f"{_PACKAGE}_*.deb"))
        if not said and packages:
            said = _run("dpkg-deb", "--extract", str(packages[0]), "unpacked", cwd=directory)
        if said or not packages:
            pytest.fail(
                "these tests need promtool: put it on PATH, or on Debian run `apt-get update`. "
                + (said or "apt-get fetched nothing"),
                pytrace=False,
            )
        _KEPT.parent.mkdir(exist_ok=True)
        part = _KEPT.with_name(f".{_KEPT.name}")
        shutil.copy(Path(directory) / "unpacked" / "usr" / "bin" / "promtool", part)
        part.replace(_KEPT)


def _run(*command: str, cwd: str) -> str:
    """What went wrong; empty if nothing did."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=_FETCHED_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else f"{' '.join(command)}: {done.stderr.strip()}"
