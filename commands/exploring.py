"""The session explorer over its database, and its server when it runs by itself.

Part of the composition root: `run` and `explore` serve what this makes. Imports `explore`, the
database, the log of single sessions, advice and the server of `ingest`.
"""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import uvicorn
from sqlalchemy.exc import DBAPIError

from commands.advice import ADVICE
from commands.database import check_database, database
from commands.embedded import now_ms
from commands.errors import Failure
from commands.session_log import session_log
from commands.settings import Exploring, Running
from commands.values import Address, read_password
from explore.app import App, explorer_app
from explore.log import SessionLog
from explore.pages import Explorer
from ingest.protocol import ConnectionBounds, protocol_class
from ingest.server import LOOK_INTERVAL_S, BoundedServer, bound_socket

PATH: Final = "/explore"
_BOUNDS: Final = ConnectionBounds(connections_max=200, request_s=30.0, idle_s=30)
_NO_RIGHT: Final = "42501"
_DRAIN_S_MAX: Final = 5


@contextmanager
def explorer(settings: Exploring | Running) -> Iterator[App]:
    """The explorer's app. Its connections to the database only read."""
    with database(settings, read_only=True) as engine:

        def unfit() -> str:
            try:
                check_database(settings, engine)
            except Failure as failure:
                return str(failure)
            except DBAPIError as error:
                # Who may read the views alone cannot see the version: then they speak for it.
                if getattr(error.orig, "sqlstate", None) != _NO_RIGHT:
                    raise
            return ""

        def log() -> SessionLog | None:
            return session_log(settings, settings.explore_archive)

        token_file = settings.explore_token_file
        token = None if token_file is None else read_password(token_file)
        yield explorer_app(Explorer(engine, unfit, ADVICE, now_ms, token, log))


class ExplorerServer:
    """Serves the explorer alone, until SIGTERM or SIGINT."""

    def __init__(self, app: App, address: Address, bounds: ConnectionBounds = _BOUNDS) -> None:
        self._socket = bound_socket(address.host, address.port)
        self._server = BoundedServer(
            uvicorn.Config(
                cast(Any, app),
                http=cast(Any, protocol_class(bounds, refused=lambda _: None)),
                lifespan="off",
                interface="asgi3",
                ws="none",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=bounds.idle_s,
                timeout_graceful_shutdown=_DRAIN_S_MAX,
            )
        )

    @property
    def address(self) -> Address:
        """Where it listens; port 0 has become a free one."""
        return Address(*self._socket.getsockname()[:2])

    async def serve(self) -> None:
        """In the main thread: the signals are its own to take."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._server.exit_soon)
        looking = loop.create_task(self._look())
        try:
            await self._server.serve([self._socket])
        finally:
            looking.cancel()

    async def _look(self) -> None:
        while True:
            self._server.end_slow_connections()
            await asyncio.sleep(LOOK_INTERVAL_S)
