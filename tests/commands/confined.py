"""Starts the program where something is wrong with the machine: as root and as a user alike.

Each function gives the words to put in front of a command line. No container, no privilege needed.
"""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

# Root ignores permission bits by two capabilities; without them it is bound by them like anyone.
_BOUND_BY_PERMISSIONS: Final = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; refused to users, who need it not
os.execv(sys.argv[1], sys.argv[1:])
"""
_SMALL_FILES: Final = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
os.execv(sys.argv[2], sys.argv[2:])
"""
_SMALL_DISK: Final = 'mount -t tmpfs -o size="$1",mode=700 small "$2" && shift 2 && exec "$@"'


def bound_by_permissions() -> list[str]:
    """Whoever starts it, permission bits hold."""
    return [sys.executable, "-c", _BOUND_BY_PERMISSIONS]


def small_disk(directory: Path, size_bytes: int) -> list[str]:
    """`directory` is a disk of this size, in sight of the command only.

    Where the system allows no mount, not even in a namespace: no file may grow beyond the size.
    """
    for namespace in (("--mount",), ("--map-root-user", "--mount")):
        if _may_mount(namespace):
            size = str(size_bytes)
            return ["unshare", *namespace, "sh", "-c", _SMALL_DISK, "sh", size, str(directory)]
    return [sys.executable, "-c", _SMALL_FILES, str(size_bytes)]


@cache
def _may_mount(namespace: tuple[str, ...]) -> bool:
    mount = ["unshare", *namespace, "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
