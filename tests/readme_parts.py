"""The parts of the documents that follow from the code: README's tables and picture, and the page
of commands.

Only for tests. `python -m tests.readme_parts` writes them anew; tests/test_docs.py and
tests/test_readme.py compare them.
"""

import html
import inspect
import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.text import Text

import bookended
from commands.options import Setting, settings_of, value_text
from commands.takers import TAKEN_BY
from tests.documents import ROOT, read

README: Final = ROOT / "README.md"
PAGE: Final = ROOT / "docs/commands.md"
PICTURE: Final = ROOT / "docs/images/demo.svg"
SERVERS: Final = frozenset(("run", "collect", "process"))
"""README has all that these take; the page of commands has what the others take beside that."""
WIDTH: Final = 80


# rich's own template loads fonts from elsewhere; a picture in a document must not.
_SVG: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
  <style>
    .{unique_id}-matrix {{
      font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
      font-size: {char_height}px; line-height: {line_height}px;
    }}
    {styles}
  </style>
  <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
  </defs>
  <rect width="{width}" height="{height}" rx="8" fill="#1c1f26" />
  <g transform="translate({terminal_x}, 12)" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
  </g>
</svg>
"""


def settings_and_takers() -> dict[tuple[str, str, str, str], list[str]]:
    """Each setting once (flag, variable, default, meaning), and the commands that take it."""
    takers: dict[tuple[str, str, str, str], list[str]] = {}
    for name, model in TAKEN_BY.items():
        for setting in settings_of(model):
            row = (
                f"`{setting.flag}`",
                f"`{setting.variable}`",
                default_of(setting),
                setting.description,
            )
            if name != "check" or row not in takers or setting.flag == "--json":
                takers.setdefault(row, []).append(name)
    return takers


def configuration_rows() -> list[list[str]]:
    """Each setting of the servers once: flag, variable, default, commands, meaning."""
    return [
        [*row[:3], _names(names), row[3]]
        for row, names in settings_and_takers().items()
        if SERVERS.intersection(names)
    ]


def _names(names: list[str]) -> str:
    """The commands, or the few that are not among them."""
    others = [name for name in TAKEN_BY if name not in (*names, "check")]
    listed = ", ".join(f"`{name}`" for name in (others if len(others) < len(names) else names))
    if len(others) >= len(names):
        return listed
    return f"all but {listed}" if others else "all"


def default_of(setting: Setting) -> str:
    """The default; for one of a few values the others too."""
    if setting.info.is_required():
        return "required"
    default = "" if setting.is_switch else value_text(setting, setting.info.default)
    if not default:
        return ""
    kind = str(setting.info.annotation)
    values = re.findall(r"'(\w+)'", kind) if "Literal" in kind else []
    others = [f"`{value}`" for value in values if value != default]
    return f"`{default}`" + (f", or {', '.join(others)}" if others else "")


def configuration_table() -> str:
    """The table as it stands in the README."""
    return _table(["flag", "variable", "default", "of", "meaning"], configuration_rows())


def command_table() -> str:
    rows = [[f"`bookended {name}`", does] for name, does in bookended.COMMANDS.items()]
    return _table(["command", "does"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |") for line in lines)


def command_sections() -> str:
    """What each command but the servers takes beside their settings."""
    own: dict[str, list[list[str]]] = {name: [] for name in TAKEN_BY if name not in SERVERS}
    for (flag, variable, default, meaning), names in settings_and_takers().items():
        if not SERVERS.intersection(names):
            for name in names:
                own[name].append([flag, variable, default, meaning])
    head = ["flag or argument", "variable", "default", "meaning"]
    return "".join(
        f"## bookended {name}\n\n{_does(name)}\n\n{_table(head, rows)}\n"
        for name, rows in own.items()
        if rows
    )


def _does(name: str) -> str:
    command: click.Command | None = bookended.main
    for word in name.split():
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
    assert command is not None
    assert command.help
    return inspect.cleandoc(command.help).replace("\b\n", "")


def demo_output() -> str:
    """What `bookended demo` prints, `WIDTH` columns wide."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "bookended", "demo", "--data", str(Path(folder) / "data")],
            cwd=ROOT,
            env={"COLUMNS": str(WIDTH), "PATH": "", "PYTHONUTF8": "1"},
            capture_output=True,
            check=True,
            encoding="utf-8",
            timeout=120,
        )
    return done.stdout


def pictured_lines(output: str) -> list[str]:
    """The sessions and their comparison, out of the demo's output."""
    lines = [line.rstrip() for line in output.splitlines()]
    end = next(n for n, line in enumerate(lines) if line.startswith("Findings"))
    return "\n".join(lines[:end]).rstrip().splitlines()


def picture(lines: list[str]) -> str:
    """The lines as an SVG."""
    console = Console(width=WIDTH, record=True, file=io.StringIO(), force_terminal=True)
    for line in lines:
        style = "bold #9ece6a" if line.endswith("──") and line[:1].isalpha() else ""
        style = "bright_black" if line.strip().startswith("───") else style
        console.print(Text(line, style=style), highlight=False)
    return console.export_svg(title="", code_format=_SVG, unique_id="demo")


def lines_in_picture(svg: str) -> list[str]:
    """The text that a picture shows, line by line."""
    rows: dict[float, list[tuple[float, str]]] = {}
    for x, y, text in re.findall(r'<text [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', svg):
        rows.setdefault(float(y), []).append((float(x), html.unescape(text)))
    joined = ("".join(text for _, text in sorted(row)) for _, row in sorted(rows.items()))
    return [line.replace("\xa0", " ").strip() for line in joined if line.strip("\xa0 ")]


def with_table(text: str, heading: str, table: str) -> str:
    """The document with the first table under a heading replaced."""
    at = text.index(f"\n## {heading}\n")
    first = re.search(r"^\|(?:.*\n\|)*.*\n", text[at:], re.MULTILINE)
    assert first, heading
    return text[: at + first.start()] + table + text[at + first.end() :]


def main() -> None:
    text = read("README.md").text
    text = with_table(text, "Configuration", configuration_table())
    text = with_table(text, "Commands", command_table())
    README.write_text(text, encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page[: page.index("## ")] + command_sections(), encoding="utf-8")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(pictured_lines(demo_output())), encoding="utf-8")


if __name__ == "__main__":
    main()
