"""The page that `bookended explain --html` writes: whole, harmless, and fit for everybody.

Read by a parser; how it looks was looked at (light, dark, a phone's width) in Chromium.
"""

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import pytest

from models.time_line_words import ACTIVITIES, COUNTED
from tests.commands.processes import Cli
from tests.explain.conftest import Explain, MakeWorld
from tests.explain.hostile import HARMLESS, hostile_events
from tests.explain.worked import id_of
from tests.processor_shell.world import World, event

VOID = frozenset(("meta", "br", "hr", "img", "input", "link"))


class Page(HTMLParser):
    """Elements in their order, texts, and whether every tag is closed where it must be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.style = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["style"]:
            self.style += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def written(folder: Path, cli: Cli) -> str:
    """The page of the session with hostile names."""
    world = World(folder)
    world.append_events(1, *hostile_events())
    world.now_ms = hostile_events()[-1].received_at
    world.process()
    world.close()
    done = cli("explain", "0", "--data", str(folder), "--html", "page.html")
    assert done.returncode == 0, done.stderr
    return (folder / "page.html").read_text(encoding="utf-8")


def test_the_page_says_what_the_terminal_says(
    make_world: MakeWorld, explain: Explain, tmp_path: Path
) -> None:
    world = make_world("bookends-no-closing")
    shown = explain(world, "b", "--html", "page.html", COLUMNS="300")
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert id_of("bookends-no-closing") in page.text
    for words in (
        "content Movie One (movie-1)",
        "0:15.000 – 0:30.000 ad 1 counted as content 0:15.000 playhead 15 s",
        "Missing: adBreakComplete",
        "break 1 is void, its 15 s are content docs/rules.md#no-closing",
        "2025-10-09 08:53:35.000 to 2025-10-09 08:53:50.000 UTC",
        "break_not_completed once first at 0:15.000",
        "Send adBreakComplete after the last ad: else its ads count as content.",
        "content 0:55.000 of it unbookended ads 0:15.000 ads 0:00.000 all together 0:55.000",
    ):
        assert words in page.text
    for reason in re.findall(r"^ {4}(?:break.*?: )?(.*) \(docs/rules", shown, re.MULTILINE):
        assert reason in page.text


def test_hostile_names_stay_text(tmp_path: Path, cli: Cli) -> None:
    text = written(tmp_path, cli)
    page = Page(text)
    assert f"content {HARMLESS} ({HARMLESS})" in page.text
    for thing in ("break 1", "ad 1", "chapter 1"):
        assert f"{thing} “{HARMLESS}”" in page.text
    assert "script" not in {name for name, _ in page.elements}
    assert re.findall(r"[^\n\x20-\x7e–·“”…]", text) == []


def test_it_needs_nothing_beside_it_and_runs_nothing(tmp_path: Path, cli: Cli) -> None:
    text = written(tmp_path, cli)
    page = Page(text)
    names = {name for _, attributes in page.elements for name in attributes}
    assert names.isdisjoint(("src", "href", "srcset", "data", "action", "poster"))
    assert not any(name.startswith("on") for name in names)
    assert "url(" not in page.style
    assert "@import" not in page.style
    (policy,) = (m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"


def test_it_can_be_read_without_seeing_it(tmp_path: Path, cli: Cli) -> None:
    page = Page(written(tmp_path, cli))
    assert page.all("html") == [{"lang": "en"}]
    assert [len(page.all(tag)) for tag in ("header", "main", "footer", "h1", "title")] == [1] * 5
    headings = [name for name, _ in page.elements if re.fullmatch(r"h\d", name)]
    assert headings == ["h1", "h2", "h2", "h2", "h2"]
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {section["aria-labelledby"] for section in page.all("section")} == ids
    bars = [attributes for attributes in page.all("div") if attributes.get("role") == "img"]
    assert [bar["aria-label"].partition(":")[0] for bar in bars] == ["on screen", "counted as"]
    assert all(row["scope"] == "row" for row in page.all("th"))
    (viewport,) = (m for m in page.all("meta") if m.get("name") == "viewport")
    assert viewport["content"] == "width=device-width, initial-scale=1"


def test_everything_in_a_bar_has_a_look_and_a_length(tmp_path: Path, cli: Cli) -> None:
    page = Page(written(tmp_path, cli))
    cells = [attributes for name, attributes in page.elements if name == "i"]
    lengths = [re.fullmatch(r"flex-grow:(\d+)", cell["style"]) for cell in cells]
    assert sum(int(found[1]) for found in lengths if found) == 2 * 20_000
    looks = set(re.findall(r"^\.(\w+) \{ background", page.style, re.MULTILINE))
    assert {*ACTIVITIES, *COUNTED} <= looks


def test_a_session_without_faults_and_without_time(tmp_path: Path, cli: Cli) -> None:
    world = World(tmp_path)
    length = {"media.length": 600, "media.contentType": "VOD"}
    world.append_events(1, event("sessionStart", 0, params=length))
    world.process()
    world.close()
    cli("explain", "0", "--data", str(tmp_path), "--html", "page.html")
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "This session is live" in page.text
    assert "No time has passed in it" in page.text
    assert "Findings None: the player did nothing odd." in page.text


# --- contrast ------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    digits = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


def schemes(style: str) -> Iterator[Mapping[str, str]]:
    """The colours by name: by day, by night."""
    for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL):
        yield dict(re.findall(r"--(\w+): #(\w+);", block))


def test_contrast_is_aa_by_day_and_by_night() -> None:
    template = Path(__file__).parents[2] / "commands/templates/session.html"
    found = list(schemes(template.read_text(encoding="utf-8")))
    assert len(found) == 2
    for colours in found:
        inks = ("text", "quiet", "warn", "good")
        for ink, paper in product(inks, ("ground", "card")):
            assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
        for edge in ("quiet", "content"):
            assert contrast(colours[edge], colours["ground"]) >= 3, edge


def test_contrast_is_measured_as_everybody_does() -> None:
    assert contrast("000", "ffffff") == pytest.approx(21)
    assert contrast("777", "fff") == pytest.approx(4.48, abs=0.01)
