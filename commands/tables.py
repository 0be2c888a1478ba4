"""Tables, facts and lengths of time as commands print them; readable at 80 columns without colour.

Beside the record's way. Imports nothing of the project.
"""

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_LEFT: Final = frozenset(
    "session setting value from what detail finding advice key reason rules content".split()
)


def stdout() -> Console:
    """The console for results."""
    return Console(soft_wrap=False)


def stderr() -> Console:
    """The console for progress and remarks."""
    return Console(stderr=True)


def table(*columns: str) -> Table:
    """An empty table; columns with words go left, all others right."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
    for position, column in enumerate(columns):
        is_left = position == 0 or column in _LEFT
        result.add_column(
            column, justify="left" if is_left else "right", overflow="fold", no_wrap=not is_left
        )
    return result


def program() -> str:
    """How the user can start this program again."""
    if shutil.which("bookended"):
        return "bookended"
    if sys.argv[0].endswith(".py"):
        return "python -m bookended"
    path, here = Path(sys.argv[0]), Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def facts(rows: Mapping[str, str]) -> Table:
    """Names and values, one below the other."""
    result = Table(box=None, show_header=False, pad_edge=False)
    result.add_column(style="bold", no_wrap=True)
    result.add_column(overflow="fold")
    for name, value in rows.items():
        result.add_row(name, Text(value))
    return result


def clock(duration_ms: int | None) -> str:
    """A length of time as `m:ss` or `h:mm:ss`; `-` for none."""
    if not duration_ms:
        return "-"
    seconds = round(duration_ms / 1000)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def banner(url: str, path_prefix: str, data: Path, **more: str) -> None:
    """What somebody who started a server at a terminal wants to know; nothing into a pipe.
    `path_prefix`: of the collector's API alone; `more`: names, and what is told of them."""
    console = stdout()
    if not console.is_terminal:
        return
    console.print(
        facts(
            {
                "collector": f"{url}{path_prefix}/api/v1/sessions",
                **more,
                "data": str(data),
                "health": f"{url}/readyz, {url}/metrics",
                "try": f"{program()} simulate --url {url}{path_prefix}",
                "stop": "Ctrl-C",
            }
        )
    )
