"""What happened in a chaos run, and when: one JSON object a line, to understand a failure by.

Only for tests.
"""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_TOLD_MAX: Final = 400


class Journal:
    """Notes events from any thread. `tell` is given a short line of each."""

    def __init__(self, path: Path, tell: Callable[[str], None] = lambda _: None) -> None:
        self.path = path
        self.violations: list[str] = []
        self._tell = tell
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def note(self, event: str, **details: Any) -> None:
        at_s = round(time.monotonic() - self._began, 3)
        line = json.dumps({"at_s": at_s, "clock": time.time(), "event": event, **details})
        with self._lock:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            told = " ".join(f"{name}={value}" for name, value in details.items())
            self._tell(f"{at_s:8.1f} s  {event:<18} {told}".rstrip()[:_TOLD_MAX])

    def violation(self, what: str) -> None:
        """Something that must never happen: the run fails for it."""
        self.violations.append(what)
        self.note("VIOLATION", what=what)
