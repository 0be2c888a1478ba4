"""Reads the project's documents: headings, anchors, links, tables, code blocks.

Only for tests. Imports nothing of the project.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]

_HEADING: Final = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_ANCHOR: Final = re.compile(r'<a id="([^"]+)"></a>')
_LINK: Final = re.compile(r"(?<!\\)\[[^\]]*\]\(([^)\s]+)\)")
_IMAGE_SOURCE: Final = re.compile(r'<img [^>]*src="([^"]+)"')
_DEFINITION: Final = re.compile(r"^\[([^\]]+)\]: (\S+)$", re.MULTILINE)
_REFERENCE: Final = re.compile(r"(?<![\]`\w])\[([A-Za-z][\w-]*)\](?![(\[:])")
_CODE_BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE: Final = re.compile(r"`[^`]*`")


class Document(NamedTuple):
    """One Markdown file: its path from the root, and its text."""

    path: str
    text: str

    @property
    def prose(self) -> str:
        """The text without code blocks."""
        return _CODE_BLOCK.sub("", self.text)

    @property
    def headings(self) -> list[str]:
        return [heading.replace("`", "") for heading in _HEADING.findall(self.prose)]

    @property
    def anchors(self) -> list[str]:
        """All that a link can end with after `#`."""
        return [slug(heading) for heading in self.headings] + _ANCHOR.findall(self.text)

    @property
    def definitions(self) -> dict[str, str]:
        """`[label]: target` lines."""
        return dict(_DEFINITION.findall(self.text))

    @property
    def references(self) -> set[str]:
        """Labels in brackets that need a definition."""
        text = _HEADING.sub("", _CODE.sub("", self.prose))
        return set(_REFERENCE.findall(text))

    @property
    def links(self) -> list[str]:
        """Targets of all links and images."""
        prose = _CODE.sub("", self.prose)
        inline = _LINK.findall(prose) + _IMAGE_SOURCE.findall(prose)
        return [*inline, *self.definitions.values()]

    def section(self, heading: str) -> str:
        """The text under a heading, up to the next of its level or a higher one."""
        match = re.search(rf"^(#+) {re.escape(heading)}$", self.text, re.MULTILINE)
        assert match, f"{self.path} has no heading {heading!r}"
        level = len(match[1])
        rest = self.text[match.end() :]
        end = re.search(rf"^#{{1,{level}}} ", _blanked(rest), re.MULTILINE)
        return rest[: end.start()] if end else rest

    def code_blocks(self, language: str) -> list[str]:
        return [text for name, text in _CODE_BLOCK.findall(self.text) if name == language]


def _blanked(text: str) -> str:
    """The same length, without what looks like a heading in a code block."""
    return _CODE_BLOCK.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), text)


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def read(path: str) -> Document:
    return Document(path, (ROOT / path).read_text(encoding="utf-8"))


def documents() -> list[Document]:
    """README, the other documents at the top, and all in docs/."""
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tests/**/*.md")]
    return [read(path.relative_to(ROOT).as_posix()) for path in sorted(paths)]


def table_rows(text: str) -> Iterator[list[str]]:
    """The cells of every table row, headers included, rulers left out."""
    for line in text.splitlines():
        if line.startswith("|") and not re.fullmatch(r"[|\-: ]+", line):
            inner = line.strip().strip("|").replace("\\|", "\0")
            yield [cell.replace("\0", "|").strip() for cell in inner.split("|")]
