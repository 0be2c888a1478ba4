"""What a user is told when something is wrong: one line that names the thing and the next step.

Beside the record's way: every command's faults end here, no traceback leaves the process but on
demand. Imports nothing but the language: `--help` need not wait for more.
"""

from typing import Final

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
CHECK_BROKERS: Final = "Check that the brokers run and can be reached."
"""What to do about a Kafka that does not answer."""


class Failure(Exception):
    """The command cannot do its work. `what` names the thing, `next_step` what to do about it."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what, next_step)
        self.what = what
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.what}. {self.next_step}"


class SettingsError(Exception):
    """Settings that cannot hold: all of them at once, one line each."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__(*lines)
        self.lines = lines
