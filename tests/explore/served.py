"""The explorer behind a real server, and its pages taken apart.

Only for tests.
"""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlencode

import uvicorn
from sqlalchemy import Engine

from commands.advice import ADVICE
from explore.app import explorer_app
from explore.log import SessionLog
from explore.pages import Explorer
from ingest.server import bound_socket
from processor.database import open_database
from tests.reports.rows import at

NOW: Final = at("12:00")
_PATIENCE_S: Final = 120
_EMPTY: Final = frozenset(("meta", "link", "input", "rect", "line", "circle", "br"))


class Element(NamedTuple):
    """A start tag, with all text up to its end tag."""

    tag: str
    attributes: dict[str, str]
    texts: list[str]

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Element] = []
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, [])
        self.found.append(element)
        if tag not in _EMPTY:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(Element(tag, {name: value or "" for name, value in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].tag == tag, f"</{tag}> in <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.texts.append(data)


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    def all(self, tag: str, *classes: str) -> list[Element]:
        """The page's elements of a tag, with these classes."""
        return [e for e in self._elements if e.tag == tag and {*classes} <= {*e.classes}]

    @property
    def _elements(self) -> list[Element]:
        parser = _Parser()
        parser.feed(self.text)
        return parser.found

    @property
    def figures(self) -> list[float]:
        """The exact values beside the figures that people read, in order."""
        return [float(element.attributes["value"]) for element in self.all("data")]

    @property
    def lines(self) -> list[tuple[int, list[str]]]:
        """The rows of all charts: their places, and what their cells say."""
        found: list[tuple[int, list[str]]] = []
        is_of_chart = False
        for element in self._elements:
            if element.tag == "tr":
                is_of_chart = "data-x" in element.attributes
                if is_of_chart:
                    found.append((int(element.attributes["data-x"]), []))
            elif is_of_chart and element.tag in ("th", "td"):
                found[-1][1].append(element.text)
        return found


class Site:
    """One running explorer."""

    def __init__(self, host: str, port: int) -> None:
        self._place = (host, port)
        self.url = f"http://{host}:{port}/explore"

    def ask(self, path: str, method: str = "GET", body: str = "", **headers: str) -> Answer:
        """One request; redirects are not followed. `headers`: `_` stands for `-`."""
        connection = http.client.HTTPConnection(*self._place, timeout=_PATIENCE_S)
        try:
            named = {name.replace("_", "-"): text for name, text in headers.items()}
            connection.request(method, path, body or None, named)
            got = connection.getresponse()
            found = {name.lower(): text for name, text in got.getheaders()}
            return Answer(got.status, found, got.read().decode())
        finally:
            connection.close()

    def packed(self, path: str) -> tuple[int, int, bool]:
        """What a browser gets of it: status, bytes of its body, and whether they are packed."""
        connection = http.client.HTTPConnection(*self._place, timeout=_PATIENCE_S)
        try:
            connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
            got = connection.getresponse()
            return got.status, len(got.read()), got.getheader("Content-Encoding") == "gzip"
        finally:
            connection.close()

    def sessions(self, **query: str) -> Answer:
        return self.ask(f"/explore/sessions?{urlencode(query)}")

    def session(self, session_id: str, page: str = "", **query: str) -> Answer:
        """`page`: `events` or `policy`, a look into the log."""
        address = "/explore/session" + (f"/{page}" if page else "")
        return self.ask(f"{address}?{urlencode({'id': session_id, **query})}")


@contextmanager
def serving(
    engine: Engine,
    *,
    token: str | None = None,
    unfit: str = "",
    log: SessionLog | None = None,
) -> Iterator[Site]:
    """The explorer over connections of its own to `engine`'s database, at `NOW`."""
    reader = open_database(engine.url.render_as_string(hide_password=False), read_only=True)
    explorer = Explorer(reader, lambda: unfit, ADVICE, lambda: NOW, token, lambda: log)
    config = uvicorn.Config(
        cast(Any, explorer_app(explorer)), lifespan="off", log_config=None, ws="none"
    )
    server = uvicorn.Server(config)
    bound = bound_socket("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, args=([bound],))
    thread.start()
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while not server.started:
            assert time.monotonic() < deadline, "the explorer does not start"
            time.sleep(0.01)
        yield Site(*bound.getsockname()[:2])
    finally:
        server.should_exit = True
        thread.join(_PATIENCE_S)
        bound.close()
        reader.dispose()
