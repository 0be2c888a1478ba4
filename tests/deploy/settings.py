"""Reads the variables of a service or pod as the program would, with stand-ins for its secrets.

Only for tests.
"""

import os
from pathlib import Path

import pytest

import bookended
from commands.common import Common
from commands.options import load, unknown_variables
from commands.settings import Collecting, Stored
from models.kafka_log import KafkaLog
from tests.deploy.files import TAKEN_BY, Part

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


def kafka_of(part: Part, directory: Path, monkeypatch: pytest.MonkeyPatch) -> KafkaLog:
    """The log of a part. Fails unless its command and each of its variables are the program's."""
    settings = loaded(part, directory, monkeypatch)
    assert not unknown_variables(tuple(TAKEN_BY.values()))
    command = bookended.main.get_command(None, part.command[0])  # type: ignore[arg-type]
    assert command is not None
    command.make_context(part.command[0], part.command[1:])
    assert isinstance(settings, Collecting | Stored)
    assert settings.kafka is not None
    return settings.kafka


def _stand_in(text: str, directory: Path) -> str:
    if not text.startswith(SECRETS_AT):
        return text
    path = directory / text.removeprefix(SECRETS_AT)
    path.unlink(missing_ok=True)
    path.write_text(f"{0:064x}\n", encoding="ascii")
    path.chmod(0o400)
    return str(path)
