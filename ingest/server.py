"""The collector's server: a socket, TLS, uvicorn around the app, and an orderly end.

The first station of a record's way. SIGTERM drains: not ready, stop accepting, finish what is in
flight, let the log finish, return. Runs in the main thread, or in another beside a processor.
Imports its neighbours only.
"""

import asyncio
import errno
import resource
import signal
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

import structlog
import uvicorn
import uvloop

from ingest.app import PASSING
from ingest.collector import Collector
from ingest.metrics import CONNECTIONS
from ingest.protocol import BoundedProtocol, ConnectionBounds, protocol_class

LOOK_INTERVAL_S: Final = 0.5
"""How often connections are looked at that may be too slow."""
_OTHER_FILES: Final = 200
"""Files that the process needs besides its connections: log, database, libraries."""
_REASONS: Final = {
    errno.EADDRINUSE: "the port is in use; stop the other program, or listen on another port",
    errno.EACCES: "the port is not allowed for this user; take one above 1023",
    errno.EADDRNOTAVAIL: "this machine does not have that address; listen on one it has",
}

_log = structlog.get_logger(__name__)

Asgi = Callable[[Any, Any, Any], Awaitable[None]]
Around = Callable[[Asgi], Asgi]
"""From the collector's app to the app that is served: it may have other paths beside it."""


def alone(collector: Asgi) -> Asgi:
    """Nothing beside the collector."""
    return collector


class ListenError(Exception):
    """The address cannot be listened on. `reason` ends with the next step."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(host, port, reason)
        self.host = host
        self.port = port
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot listen on {self.host}:{self.port}: {self.reason}"


class CertificateError(Exception):
    """Certificate or key cannot be used. `reason` ends with the next step."""

    def __init__(self, cert: Path, key: Path, reason: str) -> None:
        super().__init__(cert, key, reason)
        self.cert = cert
        self.key = key
        self.reason = reason

    def __str__(self) -> str:
        return f"TLS certificate {self.cert} with key {self.key}: {self.reason}"


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Where and how to listen.

    `drain_grace_s`: how long to go on accepting after SIGTERM, not ready, until a load balancer
    has noticed. `drain_s_max`: how long what is in flight may take after that.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    tls_cert: Path | None = None
    tls_key: Path | None = None
    drain_grace_s: float = 0.0
    drain_s_max: int = 15
    backlog: int = 2_048
    bounds: ConnectionBounds = field(default_factory=ConnectionBounds)


class CollectorServer:
    """Serves one collector: `bind`, then `run` until somebody calls `drain`."""

    def __init__(self, collector: Collector, config: ServerConfig, around: Around = alone) -> None:
        self._collector = collector
        self._app = around(collector.app)
        self._config = config
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drain_asked = threading.Event()
        self._uvicorn: BoundedServer | None = None
        self.started = threading.Event()
        """Set once requests are answered; also when `run` has failed or ended."""

    def bind(self) -> tuple[str, int]:
        """Takes the address; says which it is (port 0 takes a free one).

        Raises `ListenError`, `CertificateError`.
        """
        config = self._config
        if config.tls_cert is not None and config.tls_key is not None:
            check_certificate(config.tls_cert, config.tls_key)
        self._socket = bound_socket(config.host, config.port)
        host, port = self._socket.getsockname()[:2]
        return host, port

    def run(self, *, handle_signals: bool) -> None:
        """Serves until drained. Raises the log's errors when it cannot be opened.

        `handle_signals` (main thread only): SIGTERM and SIGINT drain; a second one hurries.
        """
        if self._socket is None:
            self.bind()
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve(handle_signals))
        finally:
            self.started.set()
            if self._socket is not None:
                self._socket.close()

    def drain(self) -> None:
        """Begins the end; `run` returns when it is done. For any thread, also before `run`."""
        self._drain_asked.set()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._drain)

    async def _serve(self, handle_signals: bool) -> None:
        loop = asyncio.get_running_loop()
        await self._collector.start()
        assert self._socket is not None
        server = self._uvicorn = BoundedServer(self._uvicorn_config(), self._on_started)
        self._collector.metrics.watch(CONNECTIONS, lambda: len(server.server_state.connections))
        if handle_signals:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._drain)
        looking = loop.create_task(self._look())
        self._loop = loop
        if self._drain_asked.is_set():
            self._drain()
        try:
            await server.serve([self._socket])
        finally:
            looking.cancel()
            await self._collector.stop()
            _log.info("collector_stopped")

    def _uvicorn_config(self) -> uvicorn.Config:
        config = self._config
        files = allowed_files(config.bounds.connections_max + _OTHER_FILES) - _OTHER_FILES
        bounds = replace(
            config.bounds, connections_max=min(config.bounds.connections_max, max(1, files))
        )
        protocol = protocol_class(bounds, self._collector.metrics.reject)
        return uvicorn.Config(
            cast(Any, self._app),
            http=cast(Any, protocol),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=config.backlog,
            timeout_keep_alive=config.bounds.idle_s,
            timeout_graceful_shutdown=config.drain_s_max,
            ssl_certfile=config.tls_cert,
            ssl_keyfile=config.tls_key,
        )

    def _on_started(self) -> None:
        assert self._socket is not None
        host, port = self._socket.getsockname()[:2]
        _log.info(
            "collector_listening", host=host, port=port, tls=self._config.tls_cert is not None
        )
        self.started.set()

    def _drain(self) -> None:
        server = self._uvicorn
        assert server is not None
        assert self._loop is not None
        if self._collector.app.is_draining:
            server.should_exit = server.force_exit = True
            return
        _log.info("collector_draining")
        self._collector.drain()
        self._loop.call_later(self._config.drain_grace_s, server.exit_soon)

    async def _look(self) -> None:
        """Twice a second: ends slow connections, tells when readiness has changed."""
        assert self._uvicorn is not None
        told: str | None = None
        while True:
            self._uvicorn.end_slow_connections()
            reason = self._collector.app.reason_not_ready()
            if reason != told:
                told = reason
                if reason in PASSING:
                    _log.info("collector_not_ready", reason=reason)
                elif reason:
                    _log.warning("collector_not_ready", reason=reason)
                else:
                    _log.info("collector_ready")
            await asyncio.sleep(LOOK_INTERVAL_S)


def allowed_files(wanted: int) -> int:
    """How many files this process may have open; raised to `wanted` as far as the system allows.

    A connection is a file: beyond this number none could be accepted, and no log opened.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else soft


class BoundedServer(uvicorn.Server):
    """uvicorn's server without its signal handlers, which end the process and not the command. It
    tells when it listens. Its connections are to be made by `protocol_class`."""

    def __init__(
        self, config: uvicorn.Config, on_started: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    def exit_soon(self) -> None:
        """Begins the end: `serve` returns when it is done."""
        self.should_exit = True

    def end_slow_connections(self) -> None:
        """To be called every `LOOK_INTERVAL_S`."""
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if isinstance(connection, BoundedProtocol):
                connection.end_if_slow(now)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket on the address, not yet listening. Raises `ListenError`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        reason = f"the host is unknown ({error.strerror}); give an address of this machine"
        raise ListenError(host, port, reason) from error
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(1)  # two programs can bind one address as long as neither listens
        made.setblocking(False)
    except OSError as error:
        made.close()
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise ListenError(host, port, reason) from error
    return made


def check_certificate(cert: Path, key: Path) -> None:
    """Raises `CertificateError` unless the two can be used; never asks for a passphrase."""
    for path in (cert, key):
        try:
            path.read_bytes()
        except OSError as error:
            reason = f"{path} cannot be read ({error.strerror}); check path and owner"
            raise CertificateError(cert, key, reason) from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        reason = (
            "the two are no certificate chain and its key; give them in PEM form, "
            "the key without a passphrase"
        )
        raise CertificateError(cert, key, reason) from error
