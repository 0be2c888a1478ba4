"""How the interpreter is set for a process that serves (docs/architecture.md "In one process").

Called once by the commands that run a processor or a collector, after their imports. Imports
nothing of the project.
"""

import gc
import sys
from typing import Final

SWITCH_INTERVAL_S: Final = 0.0005
"""A busy fold gives way to requests of the same process after this, not after Python's 5 ms."""

_YOUNG_MAX: Final = 50_000
_MIDDLE_ROUNDS: Final = 20
_FULL_ROUNDS: Final = 100


def tune_interpreter() -> None:
    """Short turns for threads, and few looks for garbage."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    look_seldom_for_garbage()


def look_seldom_for_garbage() -> None:
    """Sessions and requests are freed by their reference counts and hold no cycles.

    But the garbage collector would walk all of them again and again: 0.4 s at a time with 100,000
    live sessions; a twentieth of a request's time, of those in flight (`make bench`).
    """
    gc.freeze()  # with what little garbage the imports left: to look for it delays each start
    gc.set_threshold(_YOUNG_MAX, _MIDDLE_ROUNDS, _FULL_ROUNDS)
