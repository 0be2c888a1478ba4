"""Reads the variables of a service or pod as the program would, with stand-ins for its secrets.

Only for tests.
"""

import os
from pathlib import Path

import pytest

from commands.common import Common
from commands.options import load
from tests.deploy.files import Part

SECRETS_AT = "/run/secrets/bookended/"


def loaded(part: Part, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Common:
    """Errors: `SettingsError` as the program would tell it."""
    for name in os.environ:
        if name.startswith("BOOKENDED_"):
            monkeypatch.delenv(name)
    for name, text in part.environment.items():
        if name.startswith("BOOKENDED_"):
            monkeypatch.setenv(name, _stand_in(text, directory))
    return load(part.settings, {})


def _stand_in(text: str, directory: Path) -> str:
    if not text.startswith(SECRETS_AT):
        return text
    path = directory / text.removeprefix(SECRETS_AT)
    path.unlink(missing_ok=True)
    path.write_text(f"{0:064x}\n", encoding="ascii")
    path.chmod(0o400)
    return str(path)
