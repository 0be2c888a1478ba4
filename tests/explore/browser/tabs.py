"""One page of the browser, watched: whatever it complains of or asks other hosts for is noted.

Only for tests.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request

SHOTS: Final = Path(__file__).parent / "shots"
"""Where screenshots are kept; git leaves it alone."""
WIDE: Final = (1280, 900)
PHONE: Final = (390, 844)
_GRAVE: Final = ("serious", "critical")
# The page was left, or its server ended with the test, before its icon had come.
_LEFT: Final = ("net::ERR_ABORTED", "net::ERR_CONNECTION_REFUSED")
_FOCUSED: Final = "document.activeElement"
_LINK: Final = "a[href]:not([tabindex='-1'])"  # of a time line all but one are for the arrow keys
_STOPS: Final = f"{_LINK}, button, input:not([type=hidden]), select, summary, [tabindex='0']"
_TOLD: Final = """e => `${e.localName} ${
    e.getAttribute('name') ?? e.getAttribute('href') ?? e.getAttribute('aria-label') ?? ''}`.trim()
"""
_MARGIN: Final = 6


class Complaint(NamedTuple):
    """What was not as it should be: of which kind, what, and at which address."""

    kind: str
    text: str
    url: str


class Tab:
    """A page in a browser's profile. `complaints` must be empty at a test's end."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(15_000)
        self.complaints: list[Complaint] = []
        self._url = url
        self._host = urlsplit(url).netloc
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self._complain("error", str(error)))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", lambda request: self._asked(request.url))

    def open(self, path: str, status: int = 200) -> None:
        """Goes to a page, whose answer must have this status."""
        answer = self.page.goto(f"{self._url}{path}")
        assert answer is not None
        assert answer.status == status, answer.text()
        if status >= 400:  # of a page that tells of an error the browser itself says so
            own = [c for c in self.complaints if c.url == answer.url and str(status) in c.text]
            self.complaints = [c for c in self.complaints if c not in own]

    @property
    def path(self) -> str:
        """Path and query of the address."""
        return self.page.url.removeprefix(self._url)

    def heading(self) -> str:
        return self.page.locator("h1").inner_text()

    def figure(self, label: str) -> float:
        """The exact value of a figure by the label before it."""
        term = self.page.locator("dt").get_by_text(label, exact=True)
        (value,) = exact(self.page.locator("dl > div").filter(has=term).locator("data"))
        return value

    def table(self, name: str) -> Locator:
        """The rows of the table in the region of this name."""
        return self.page.get_by_role("region", name=name).locator("tbody tr")

    def cells(self, name: str, number: int) -> list[str]:
        """The texts of a column of that table; 0 is the first. Asked of all rows at once: a locator
        in each of 300 takes seconds."""
        query = "(rows, number) => rows.map(row => row.cells[number].innerText)"
        return list(self.table(name).evaluate_all(query, number))

    def shot(self, name: str) -> None:
        """Keeps a picture of the whole page."""
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    def faults(self) -> list[str]:
        """What axe-core finds on the page that is serious or worse: rule, place, source."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{fault['id']}: {node['target']} {node['html'][:200]}"
            for fault in found
            if fault["impact"] in _GRAVE
            for node in fault["nodes"]
        ]

    def overhang_px(self) -> int:
        """How much wider than the window the page is."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    def focused(self) -> str:
        """The element that has the focus, as `stops` tells it; `body` if none has."""
        return str(self.page.evaluate(f"({_TOLD})({_FOCUSED})"))

    def stops(self) -> list[str]:
        """All that can have the focus, in the document's order."""
        visible = "e.checkVisibility({visibilityProperty: true})"
        query = f"all => all.filter(e => {visible}).map({_TOLD})"
        return list(self.page.locator(_STOPS).evaluate_all(query))

    def focus_shows(self) -> bool:
        """Whether the focused element looks other than without the focus. It keeps its turn."""
        box = self.page.evaluate(
            f"(({{x, y, width, height}}) => ({{x, y, width, height}}))"
            f"({_FOCUSED}.getBoundingClientRect())"
        )
        clip: Any = {
            "x": max(0, box["x"] - _MARGIN),
            "y": max(0, box["y"] - _MARGIN),
            "width": box["width"] + 2 * _MARGIN,
            "height": box["height"] + 2 * _MARGIN,
        }
        with_focus = self.page.screenshot(clip=clip)
        self.page.evaluate(f"(window.kept = {_FOCUSED}).blur()")
        without = self.page.screenshot(clip=clip)
        self.page.evaluate("window.kept.focus({preventScroll: true})")
        return with_focus != without

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complain(message.type, message.text, message.location["url"])

    def _failed(self, request: Request) -> None:
        self._complain("failed", str(request.failure), request.url)

    def _asked(self, url: str) -> None:
        if urlsplit(url).netloc != self._host:
            self._complain("another host", "", url)

    def _complain(self, kind: str, text: str, url: str = "") -> None:
        if not text.endswith(_LEFT):
            self.complaints.append(Complaint(kind, text, url))


def exact(elements: Locator) -> list[float]:
    """The exact values behind figures that people read, in order."""
    return [float(value) for value in attributes(elements, "value")]


def attributes(elements: Locator, name: str) -> list[str]:
    """An attribute of each element, in order."""
    query = "(all, name) => all.map(e => e.getAttribute(name) ?? '')"
    return list(elements.evaluate_all(query, name))
