"""What `process` shows of itself over HTTP: that it is alive, whether it is at work, its metrics.

Beside the record's way; the collector has the same routes on its own port. Imports `ingest` for the
form of the answers.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from socket import AF_INET6, SHUT_RDWR
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from commands.errors import Failure
from commands.values import Address
from ingest.problems import MethodNotAllowed, NotFound, NotReady, problem
from ingest.responses import Response, ok_json

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
_METHODS: Final = ("GET", "HEAD")
_SILENT_AFTER_S: Final = 10.0
_TAKEN_S_MAX: Final = 20.0
_CONNECTIONS_MAX: Final = 100


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a request: a slow reader of metrics does not hold up a probe. No more than
    `_CONNECTIONS_MAX` at a time, none for longer than `_TAKEN_S_MAX`."""

    daemon_threads = True

    def __init__(self, *args: Any, **more: Any) -> None:
        self._begun: dict[Any, float] = {}
        super().__init__(*args, **more)

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._begun) >= _CONNECTIONS_MAX:
            super().shutdown_request(request)
            return
        self._begun[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._begun.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Every half second: wakes the thread of a client that sends or reads too slowly."""
        latest = time.monotonic() - _TAKEN_S_MAX
        for request, begun_at in self._begun.copy().items():
            if begun_at < latest:
                with suppress(OSError):
                    request.shutdown(SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes, or says nothing, is no fault: probes of a port do both."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(WSGIRequestHandler):
    timeout = _SILENT_AFTER_S

    def log_message(self, *_: object) -> None:
        """There is a line for a change of state, and none for a probe."""


@contextmanager
def serving(
    address: Address, registry: CollectorRegistry, reason_not_ready: Callable[[], str]
) -> Iterator[int]:
    """Serves `/healthz`, `/readyz` and `/metrics` inside the block; gives the port.

    `reason_not_ready`: empty when it is ready; asked from other threads. Errors: `Failure`.
    """
    try:
        app = _app(registry, reason_not_ready)
        server = make_server(address.host, address.port, app, _server_for(address.host), _Handler)
    except OSError as error:
        raise Failure(
            f"cannot serve health and metrics on {address}: {error.strerror}",
            "Stop what listens there, or give another --metrics-listen.",
        ) from error
    thread = Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _server_for(host: str) -> type[_Server]:
    family = {"address_family": AF_INET6} if ":" in host else {}
    return type("_ServerOfFamily", (_Server,), family)


def _app(registry: CollectorRegistry, reason_not_ready: Callable[[], str]) -> Wsgi:
    metrics: Wsgi = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"].rstrip("/")
        if path == "/metrics" and environ["REQUEST_METHOD"] in _METHODS:
            return metrics(environ, start_response)
        status, headers, body = _answer(environ["REQUEST_METHOD"], path, reason_not_ready)
        told = [(name.decode(), value.decode()) for name, value in headers]
        start_response(f"{status} {HTTPStatus(status).phrase}", told)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    return app


def _answer(method: str, path: str, reason_not_ready: Callable[[], str]) -> Response:
    if path not in ("/healthz", "/readyz", "/metrics"):
        return problem(NotFound())
    if method not in _METHODS:
        return problem(MethodNotAllowed(_METHODS))
    if path == "/healthz":
        return ok_json({"status": "alive"})
    reason = reason_not_ready()
    return problem(NotReady(reason)) if reason else ok_json({"status": "ready"})
