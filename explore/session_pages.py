"""The pages of one session: its time line out of SQL, and what takes a look into the log.

Beside `pages`, whose reading and templates they use. Looks into the log are few at a time, and no
connection to the database waits for one. Imports its neighbours and `models`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request
from starlette.responses import Response

from explore.events import after_of, part_of
from explore.filters import BadAddressError, kept, must_be_text
from explore.log import LogTroubleError, Place, SessionLog, is_forgotten, place_of
from explore.pages import Explorer, Pages
from explore.policies import SWITCH_WORDS, SWITCHES, compared, other_policy
from explore.reading import SPANS_SHOWN_MAX, session_rows, sessions_like
from explore.time_line import missing, picture
from models.rule_texts import RULE_TEXTS
from models.time_line import SessionRows, differences, stretches, totals
from models.time_line_words import TOTALS, counted

_LOOKS_AT_A_TIME: Final = 2
_LOOK_WAIT_S_MAX: Final = 3
_NO_RIGHT: Final = "42501"


class NoSuchSessionError(Exception):
    """No session has this id. `like`: ids that begin with it, a few of them."""

    def __init__(self, session_id: str, like: list[str]) -> None:
        super().__init__(session_id)
        self.session_id = session_id
        self.like = like


class SessionPages(Pages):
    """The page functions. Errors: those of `Pages`, `NoSuchSessionError`, `LogTroubleError`."""

    def __init__(self, explorer: Explorer) -> None:
        super().__init__(explorer)
        self._looks = threading.BoundedSemaphore(_LOOKS_AT_A_TIME)

    def session(self, request: Request) -> Response:
        """One session."""
        with self._reading() as connection:
            rows = _rows(connection, request)
        whole = stretches(rows)
        line = whole[:SPANS_SHOWN_MAX]
        row = rows.session
        return self._page(
            "session.html",
            rows=rows,
            line=line,
            all_count=len(whole),
            missing=missing(whole),
            counted=counted,
            totals={words: row[name] for name, words in TOTALS.items()},
            unequal=differences(row, totals(whole)) if rows.has_all_spans else {},
            advice=self._explorer.advice,
            rules=RULE_TEXTS,
            begin=min((stretch.started_at for stretch in line), default=row["started_at"]),
            has_log=self._explorer.log() is not None,
            switches=SWITCHES,
            now_ms=self._explorer.now_ms(),
            kept=kept(request.query_params),
            **_drawn(rows, line),
        )

    def events(self, request: Request) -> Response:
        """The events as the log has them, and what each of them did."""
        query = request.query_params
        after, from_offset = after_of(query.get("after", "")), _offset(query.get("offset", ""))
        with self._look(request, names_people=True) as (log, place, rows):
            received = log.events(place, max(place.first_offset, from_offset))
        hides_pings = query.get("pings") == "hide"
        return self._page(
            "events.html",
            session=rows.session,
            place=place,
            received=received,
            part=part_of(received.events, after, hides_pings=hides_pings),
            hides_pings=hides_pings,
            after=query.get("after", ""),
            from_offset=from_offset,
            begin=rows.session["started_at"],
            kept=kept(query),
            is_whole=received.next_offset > place.last_offset,
        )

    def policy(self, request: Request) -> Response:
        """The session as it is, and as it would be under another policy, side by side."""
        switch = request.query_params.get("switch", "unclosed_break")
        if switch not in SWITCHES:
            raise BadAddressError(f"“switch” is one of {', '.join(SWITCHES)}.")
        with self._look(request, names_people=False) as (log, place, rows):
            other = other_policy(place.policy, switch)
            sides = log.replays(place, (place.policy, other))
        drawn = []
        for policy, replay in zip((place.policy, other), sides, strict=True):
            line = stretches(replay)
            shown = line[:SPANS_SHOWN_MAX]
            drawn.append({"setting": getattr(policy, switch), "missing": missing(line)})
            drawn[-1] |= _drawn(replay, shown)
        return self._page(
            "policy.html",
            session=rows.session,
            switch=switch,
            kept=kept(request.query_params),
            switches=SWITCHES,
            switch_words=SWITCH_WORDS,
            sides=drawn,
            figures=compared(sides[0].session, sides[1].session),
            moved_on=[it for it in compared(rows.session, sides[0].session) if it.differs],
        )

    def no_session(self, error: NoSuchSessionError) -> Response:
        """The page for an id that no session has."""
        page = self._page("no_session.html", session_id=error.session_id, like=error.like)
        page.status_code = HTTPStatus.NOT_FOUND
        return page

    @contextmanager
    def _look(
        self, request: Request, *, names_people: bool
    ) -> Iterator[tuple[SessionLog, Place, SessionRows]]:
        """The log, and what is known of the session. Errors: `LogTroubleError`."""
        log = self._explorer.log()
        with self._reading() as connection:
            rows = _rows(connection, request)
            if log is None:
                raise LogTroubleError(
                    "The explorer was given no log",
                    "Start it with --log, or with the --data directory that has log.db.",
                )
            place = _place(connection, rows, names_people=names_people)
        if not self._looks.acquire(timeout=_LOOK_WAIT_S_MAX):
            raise LogTroubleError("Others are reading the log now", "Try again in a few seconds.")
        try:
            yield log, place, rows
        finally:
            self._looks.release()


def _rows(connection: Connection, request: Request) -> SessionRows:
    session_id = request.query_params.get("id", "")
    must_be_text("id", session_id)
    rows = session_rows(connection, session_id)
    if rows is None:
        raise NoSuchSessionError(session_id, sessions_like(connection, session_id))
    return rows


def _place(connection: Connection, rows: SessionRows, *, names_people: bool) -> Place:
    """Errors: `LogTroubleError`."""
    try:
        if names_people and is_forgotten(connection, rows.session["session_id"]):
            raise LogTroubleError(
                "The viewer of this session was forgotten",
                "Its events are not shown, whatever the log still has of them. Its figures stay.",
                HTTPStatus.GONE,
            )
        return place_of(connection, rows.session)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _NO_RIGHT:
            raise
        raise LogTroubleError(
            "The explorer's database user may read the views alone",
            "To look into the log it must know the rules as well: GRANT SELECT ON projections, "
            "live_projection, progress, and of forgotten_sessions (session_id); see “Looking into "
            "the log” in docs/operations.md.",
        ) from error


def _drawn(rows: SessionRows, line: list[Any]) -> dict[str, Any]:
    """What the macro of the time line takes."""
    return {"session": rows.session, "picture": picture(rows, line)}


def _offset(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise BadAddressError("“offset” is a place in the log: digits.")
    return int(text)
