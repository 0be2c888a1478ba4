"""The Chromium that the tests drive: found on this machine, or installed by `make setup`.

`python -m tests.explore.browser.chromium` is the set-up's part: as root on Debian it installs the
package, elsewhere it says what to install. Playwright's own download is not used: a Chromium of the
system gets its security updates and works where only package registries are reached. Only for
tests.
"""

import os
import shutil
import subprocess
import sys
from typing import Final

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PACKAGES: Final = ("chromium", "fonts-liberation")
_APT_S_MAX: Final = 900
WHAT_TO_DO: Final = (
    "no Chromium: the tests in tests/explore/browser will fail. Install it"
    f" (apt-get install {' '.join(_PACKAGES)}), or name one: TEST_CHROMIUM=/path/to/chromium"
)


def find() -> str | None:
    """The path of the program; None if there is none. `TEST_CHROMIUM` decides, if it is set."""
    named = os.environ.get("TEST_CHROMIUM")
    for name in (named,) if named else _NAMES:
        if path := shutil.which(name):
            return path
    return None


def main() -> None:
    """Leaves a Chromium behind, or a line that says how to get one; never fails the set-up."""
    if find() is None and not os.environ.get("TEST_CHROMIUM") and _can_install():
        print("Installing Chromium for the tests of the explorer ...", flush=True)
        _install()
    if find() is None:
        print(f"make: {WHAT_TO_DO}", file=sys.stderr)


def _can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _install() -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    wanted = ("install", "--yes", "--quiet", "--no-install-recommends", *_PACKAGES)
    for args in (("update", "--quiet"), wanted):
        try:
            done = subprocess.run(
                ["apt-get", *args],  # noqa: S607 - where it stands is the system's choice
                env=environment,
                capture_output=True,
                text=True,
                timeout=_APT_S_MAX,
                check=False,
            )
        except subprocess.TimeoutExpired:
            print(f"make: apt-get {args[0]} took over {_APT_S_MAX} s", file=sys.stderr)
            return
        if done.returncode:
            last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
            print(f"make: apt-get {args[0]} failed: {' '.join(last)}", file=sys.stderr)


if __name__ == "__main__":
    main()
