"""The pages: from a request to rows to HTML. Every text from events is escaped by the templates.

Behind `app`. Page functions run in threads, few at a time: reading waits for reading, and never
holds up a collector in the same process. Imports its neighbours and `models`.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from sqlalchemy import Connection, Engine
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from explore import wording
from explore.filters import Asked, asked, shown_instant
from explore.findings import RANKED_MAX, findings
from explore.log import SessionLog
from explore.plots import part_plots, retention_plot, viewers_plot
from explore.reading import is_empty, reading, session_page
from explore.reports import overview
from explore.retention import CONTENTS_MAX, PLAYS_MAX, contents_by_plays, retention
from models.time_line import Row
from models.time_line_words import ACTIVITIES, COUNTED

_AT_A_TIME: Final = 3
_SUMS_AT_A_TIME: Final = 1
"""Pages that add up what many sessions have: so they take one core of the database's at most, and
the processor has the others."""
_WAIT_S_MAX: Final = 20
RANGE_WORDS: Final = {
    "hour": "last hour",
    "day": "last 24 hours",
    "week": "last 7 days",
    "month": "last 30 days",
    "all": "all time",
}
SORT_WORDS: Final = {
    "newest": "newest first",
    "oldest": "oldest first",
    "content": "most content time",
    "ads": "most ad time",
    "unbookended": "most unbookended ad time",
    "findings": "most findings",
}


class UnfitDatabaseError(Exception):
    """The database has another schema than this release reads. `reason` ends with what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BusyError(Exception):
    """So many pages are being read that this one had no turn in time."""


@dataclass(frozen=True, slots=True)
class Explorer:
    """What the explorer is put together from.

    `engine`: for reading alone. `unfit`: why the database cannot be read by this release, empty if
    it can. `advice`: by a finding's code, what the player's developer can do. `token`: what people
    must know who look; None if only people on this machine may. `log`: where single sessions'
    events are read, None if no log is given.
    """

    engine: Engine
    unfit: Callable[[], str]
    advice: Mapping[str, str]
    now_ms: Callable[[], int]
    token: str | None = None
    log: Callable[[], SessionLog | None] = lambda: None


class Pages:
    """The page functions. Errors: `BadAddressError`, those above, and the database driver's."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._turns = threading.BoundedSemaphore(_AT_A_TIME)
        self._sums_turns = threading.BoundedSemaphore(_SUMS_AT_A_TIME)
        self._templates = Environment(
            loader=PackageLoader("explore"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for name in ("duration", "clock", "number", "instant", "share"):
            self._templates.filters[name] = getattr(wording, name)
        self._templates.globals |= {
            "activities": ACTIVITIES,
            "counted_words": COUNTED,
            "range_words": RANGE_WORDS,
            "shown_instant": shown_instant,
            "kept": "",
        }

    def sessions(self, request: Request) -> Response:
        """The list of sessions."""
        now_ms = self._explorer.now_ms()
        wanted = _asked(request, now_ms)
        with self._reading() as connection:
            page = session_page(connection, wanted, now_ms)
            is_none = not page.rows and is_empty(connection)
        return self._page(
            "sessions.html", page=page, wanted=wanted, is_empty=is_none, sorts=SORT_WORDS,
            kept=wanted.elsewhere(),
        )  # fmt: skip

    def overview(self, request: Request) -> Response:
        """Who watches, totals of the sessions asked for, and their time by hour, day or month."""
        now_ms = self._explorer.now_ms()
        wanted = _asked(request, now_ms)
        with self._reading(adds_up=True) as connection:
            found = overview(connection, wanted, now_ms)
        return self._page(
            "overview.html", found=found, watching=found.watching, builds=found.builds,
            wanted=wanted, viewers_plot=viewers_plot(found.watching),
            plots=part_plots(found.parts, found.unit), kept=wanted.elsewhere(),
        )  # fmt: skip

    def findings(self, request: Request) -> Response:
        """Players and versions by what they do wrong."""
        wanted = _asked(request, self._explorer.now_ms())
        with self._reading(adds_up=True) as connection:
            found = findings(connection, wanted)

        def examples(row: Row) -> str:
            names = {"player": row["player_name"], "version": row["app_version"]}
            told = {name: text or "" for name, text in names.items()}
            return wanted.elsewhere(finding=row["code"], **told)

        return self._page(
            "findings.html", builds=found.builds, found=found.ranked, wanted=wanted,
            examples=examples, advice=self._explorer.advice, ranked_max=RANKED_MAX,
            kept=wanted.elsewhere(),
        )  # fmt: skip

    def retention(self, request: Request) -> Response:
        """How much of a content is played by how many, or the contents to choose from."""
        wanted = _asked(request, self._explorer.now_ms())
        contents: list[Row] = []
        drawn = None
        with self._reading(adds_up=True) as connection:
            if "content_id" in wanted.equal:
                drawn = retention(connection, wanted)
            else:
                contents = contents_by_plays(connection, wanted)
        return self._page(
            "retention.html", curve=drawn, contents=contents, wanted=wanted,
            chart=None if drawn is None else retention_plot(drawn), plays_max=PLAYS_MAX,
            contents_max=CONTENTS_MAX, kept=wanted.elsewhere(),
        )  # fmt: skip

    def login(self, target: str, *, is_wrong: bool) -> Response:
        """The form that asks for the token."""
        page = self._page("login.html", target=target, is_wrong=is_wrong)
        page.status_code = HTTPStatus.UNAUTHORIZED
        page.headers["WWW-Authenticate"] = "Bearer"
        return page

    def message(
        self,
        status: HTTPStatus,
        what: str,
        step: str,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """A page that says what is wrong and what to do."""
        page = self._page("message.html", what=what, step=step)
        page.status_code = status
        page.headers.update(headers or {})
        return page

    @contextmanager
    def _reading(self, *, adds_up: bool = False) -> Iterator[Connection]:
        turns = self._sums_turns if adds_up else self._turns
        if not turns.acquire(timeout=_WAIT_S_MAX):
            raise BusyError
        try:
            if reason := self._explorer.unfit():
                raise UnfitDatabaseError(reason)
            with reading(self._explorer.engine) as connection:
                yield connection
        finally:
            turns.release()

    def _page(self, template: str, **values: Any) -> HTMLResponse:
        return HTMLResponse(self._templates.get_template(template).render(values))


def _asked(request: Request, now_ms: int) -> Asked:
    return asked(dict(request.query_params), now_ms)
