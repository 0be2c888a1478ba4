"""Who may look: people on this machine, or those who have the token.

In front of every page. Without a token only requests count that were meant for this machine: from
a loopback address, to a loopback name (else a page elsewhere could have a browser read ours), and
not passed on by a proxy. Imports nothing of the project.
"""

import hashlib
import hmac
from ipaddress import ip_address
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

COOKIE: Final = "bookended_explore"
PATH: Final = "/explore"
_COOKIE_S_MAX: Final = 12 * 3600
_PASSED_ON: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


def is_allowed(request: HTTPConnection, token: str | None) -> bool:
    """Whether this request may see anything."""
    if token is None:
        return _is_of_this_machine(request)
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and is_token(given.strip(), token):
        return True
    return hmac.compare_digest(_bytes(request.cookies.get(COOKIE, "")), _proof(token))


def is_token(given: str, token: str) -> bool:
    """Compares in the same time whatever is wrong with `given`."""
    return hmac.compare_digest(_bytes(given), _bytes(token))


def let_in(response: Response, token: str, *, is_secure: bool) -> None:
    """Lets the browser of this answer in until it is closed, for half a day at most. The cookie
    proves the token and does not tell it."""
    response.set_cookie(
        COOKIE, _proof(token).decode(), max_age=_COOKIE_S_MAX, path=PATH,
        secure=is_secure, httponly=True, samesite="strict",
    )  # fmt: skip


def next_page(text: str) -> str:
    """Where to go after the login: a page of ours, whatever the form says."""
    is_ours = text.startswith(f"{PATH}/") and "\\" not in text and text.isprintable()
    return text if is_ours else f"{PATH}/"


def _proof(token: str) -> bytes:
    return hmac.digest(_bytes(token), b"bookended explore", hashlib.sha256).hex().encode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _is_of_this_machine(request: HTTPConnection) -> bool:
    if any(name in request.headers for name in _PASSED_ON):
        return False
    client = request.client.host if request.client else ""
    return _is_loopback(client) and _is_loopback(_host(request.headers.get("host", "")))


def _host(text: str) -> str:
    """The name in a `Host` header, without port and brackets."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
