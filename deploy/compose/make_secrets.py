"""Makes the secrets of compose.yaml, each once: files that only the service that needs them reads.

The job `secrets` runs this as root in the image of bookended, with a volume a service below
/secrets. `--renew NAME` makes a password anew, or puts a new session id key in front of the old
ones. Beside the record's way; imports nothing of the project and nothing that is not Python's own.
"""

import os
import secrets
import sys
from pathlib import Path
from typing import Final, NamedTuple

POSTGRES_USER: Final = 999
GRAFANA_USER: Final = 472
BOOKENDED_USER: Final = 10001
KEYS_KEPT: Final = 3


class Copy(NamedTuple):
    """Where a secret lies, and for which user of that service."""

    place: str
    user: int


SECRETS: Final[dict[str, tuple[Copy, ...]]] = {
    "superuser": (Copy("postgres/superuser", POSTGRES_USER),),
    "owner": (Copy("postgres/owner", POSTGRES_USER), Copy("migrate/password", BOOKENDED_USER)),
    "processor": (
        Copy("postgres/processor", POSTGRES_USER),
        Copy("processor/password", BOOKENDED_USER),
    ),
    "reader": (
        Copy("postgres/reader", POSTGRES_USER),
        Copy("grafana/reader", GRAFANA_USER),
        Copy("explorer/password", BOOKENDED_USER),
    ),
    "grafana": (Copy("grafana/admin", GRAFANA_USER),),
    "explorer": (Copy("explorer/token", BOOKENDED_USER),),
    "sid-keys": (Copy("collector/sid.keys", BOOKENDED_USER),),
}


def main(root: Path, renewed: str | None) -> None:
    """Errors: `SystemExit` for a name that is none."""
    if renewed is not None and renewed not in SECRETS:
        sys.exit(f"there is no secret {renewed}; there are {', '.join(SECRETS)}")
    for name, copies in SECRETS.items():
        first = root / copies[0].place
        known = first.read_text(encoding="ascii") if first.exists() else ""
        text = known if known and name != renewed else _made(name, known)
        for copy in copies:
            _write(root / copy.place, text, copy.user)
        print(f"{name}: {'kept' if text == known else 'made'}")


def _made(name: str, known: str) -> str:
    if name != "sid-keys":
        return secrets.token_urlsafe(32) + "\n"
    keys = [secrets.token_hex(32), *known.split()]
    return "\n".join(keys[:KEYS_KEPT]) + "\n"


def _write(path: Path, text: str, user: int) -> None:
    """Whole or not at all; readable for one user only."""
    part = path.with_name(f".{path.name}")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        os.fchown(handle, user, user)
        file.write(text)
        file.flush()
        os.fsync(handle)
    part.replace(path)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments and (len(arguments) != 2 or arguments[0] != "--renew"):
        sys.exit("usage: make_secrets.py [--renew NAME]")
    main(Path("/secrets"), arguments[1] if arguments else None)
