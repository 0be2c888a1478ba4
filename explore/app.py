"""The pages over HTTP: routes, who may look, headers, and what an error looks like.

Runs by itself (`bookended explore`) or beside the collector (`beside`). GET only, but for the
login; whatever the database does, the answer is a page that says what to do. Imports its
neighbours.
"""

import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import structlog
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.staticfiles import StaticFiles

from explore import access
from explore.filters import BadAddressError
from explore.log import LogTroubleError
from explore.pages import BusyError, Explorer, UnfitDatabaseError
from explore.session_pages import NoSuchSessionError, SessionPages

_log = structlog.get_logger(__name__)

Scope = Any
App = Callable[[Scope, Any, Any], Awaitable[None]]
_FORM_BYTES_MAX: Final = 8 * 1024
_PACKED_BYTES_MIN: Final = 1024
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_OVER_TIME: Final = ("57014", 9)  # PostgreSQL's query_canceled, SQLite's SQLITE_INTERRUPT
_WHAT: Final = {
    404: ("Nothing is here", "Go back to the list of sessions."),
    405: ("This page can only be read", "The explorer changes nothing: use GET."),
}


def explorer_app(explorer: Explorer) -> App:
    """The explorer as an ASGI app: all its paths begin with `/explore`."""
    pages = SessionPages(explorer)
    guard = _Guard(explorer, pages)
    static = StaticFiles(directory=Path(__file__).parent / "static")
    routes = [
        Route("/explore", _to_first, methods=["GET"]),
        Route("/explore/", _to_first, methods=["GET"]),
        Route("/explore/login", guard.log_in, methods=["POST"]),
        Route("/explore/sessions", pages.sessions, methods=["GET"]),
        Route("/explore/overview", pages.overview, methods=["GET"]),
        Route("/explore/findings", pages.findings, methods=["GET"]),
        Route("/explore/retention", pages.retention, methods=["GET"]),
        Route("/explore/session", pages.session, methods=["GET"]),
        Route("/explore/session/events", pages.events, methods=["GET"]),
        Route("/explore/session/policy", pages.policy, methods=["GET"]),
        Mount("/explore/static", static, name="static"),
    ]
    handlers: dict[Any, Any] = {
        HTTPException: guard.http_error,
        BadAddressError: guard.bad_address,
        NoSuchSessionError: guard.no_session,
        UnfitDatabaseError: guard.unfit,
        BusyError: guard.busy,
        LogTroubleError: guard.log_trouble,
        DBAPIError: guard.database_error,
    }
    app = ExceptionMiddleware(Router(routes), handlers)
    return guard.around(GZipMiddleware(app, minimum_size=_PACKED_BYTES_MIN))


def beside(collector: App, explorer: App) -> App:
    """One app of two: the explorer has what is below `/explore`, the collector all else."""

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        is_ours = path == access.PATH or path.startswith(f"{access.PATH}/")
        await (explorer if is_ours else collector)(scope, receive, send)

    return app


async def _to_first(_: Request) -> Response:
    return RedirectResponse("/explore/overview", HTTPStatus.SEE_OTHER)


class _Guard:
    """Lets in who may look, and answers what is no page."""

    def __init__(self, explorer: Explorer, pages: SessionPages) -> None:
        self._token = explorer.token
        self._pages = pages

    def around(self, app: App) -> App:
        """`app` for those who may look; every answer with the headers that bound a browser."""

        async def guarded(scope: Scope, receive: Any, send: Any) -> None:
            async def told(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], *self._headers(scope)]
                await send(message)

            try:
                await answer(scope, receive, told)
            except Exception:  # noqa: BLE001 - the main loop: a defect still gets its answer
                request_id = secrets.token_hex(8)
                _log.exception("explorer_failed", request_id=request_id, path=scope["path"])
                page = self._defect(request_id)
                await page(scope, receive, told)

        async def answer(scope: Scope, receive: Any, told: Any) -> None:
            request = Request(scope, receive)
            is_open = scope["path"].startswith(("/explore/static/", "/explore/login"))
            if is_open or access.is_allowed(request, self._token):
                # With an app in it, routes raise what they find amiss, and the handlers tell it.
                await app({**scope, "app": app}, receive, told)
            else:
                await self._refusal(request)(scope, receive, told)

        return guarded

    def _headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        kept = "no-cache" if scope["path"].startswith("/explore/static/") else "no-store"
        headers = {**_HEADERS, "Cache-Control": kept}
        return [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    def _defect(self, request_id: str) -> Response:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        step = f"Please report it, with what the server's log says of request {request_id}."
        return self._pages.message(status, "A defect of bookended", step)

    def _refusal(self, request: Request) -> Response:
        if self._token is None:
            what = "This page is only for people on this machine"
            step = "To read it from elsewhere, start the server with --explore-token-file."
            return self._pages.message(HTTPStatus.FORBIDDEN, what, step)
        query = f"?{request.url.query}" if request.url.query else ""
        return self._pages.login(access.next_page(request.url.path + query), is_wrong=False)

    async def log_in(self, request: Request) -> Response:
        """Takes the form with the token. The one request that is no GET; it changes nothing."""
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _FORM_BYTES_MAX:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        form = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
        target = access.next_page(form.get("next", [""])[0])
        given = form.get("token", [""])[0].strip()
        if self._token is not None and not access.is_token(given, self._token):
            return self._pages.login(target, is_wrong=True)
        response = RedirectResponse(target, HTTPStatus.SEE_OTHER)
        if self._token is not None:
            access.let_in(response, self._token, is_secure=request.url.scheme == "https")
        return response

    async def http_error(self, _: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        what, step = _WHAT.get(status, (status.phrase, "Go back to the list of sessions."))
        return self._pages.message(status, what, step, error.headers)

    async def bad_address(self, _: Request, error: BadAddressError) -> Response:
        status = HTTPStatus.BAD_REQUEST
        return self._pages.message(status, "The address asks for too much", error.reason)

    async def no_session(self, _: Request, error: NoSuchSessionError) -> Response:
        return self._pages.no_session(error)

    async def log_trouble(self, _: Request, error: LogTroubleError) -> Response:
        return self._pages.message(error.status, error.what, error.step)

    async def unfit(self, _: Request, error: UnfitDatabaseError) -> Response:
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return self._pages.message(status, "The database does not fit", error.reason)

    async def busy(self, _: Request, error: BusyError) -> Response:
        what, step = "Others are reading such pages now", "Try again in a few seconds."
        return self._pages.message(HTTPStatus.SERVICE_UNAVAILABLE, what, step)

    async def database_error(self, _: Request, error: DBAPIError) -> Response:
        state = getattr(error.orig, "sqlstate", None)
        code = getattr(error.orig, "sqlite_errorcode", None)
        if state == _OVER_TIME[0] or code == _OVER_TIME[1]:
            what = "That took too long, and was given up"
            step = "Choose a shorter time range, or a filter; for large questions use SQL."
        elif str(state).startswith("42"):  # PostgreSQL's class of what is not there or not allowed
            what = "The database does not fit"
            step = "Has it this release's schema, and may this user read the views? Run `migrate`."
        else:
            what = "The database cannot be read now"
            step = "Try again; if it stays so, ask `bookended check` and the server's log."
        return self._pages.message(HTTPStatus.SERVICE_UNAVAILABLE, what, step)
