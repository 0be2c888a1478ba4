"""The session explorer over its database, and its server when it runs by itself.

Part of the composition root: `run` and `explore` serve what this makes. Imports `explore`, the
database, the log of single sessions, advice and the socket of `ingest`.
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
from ingest.server import bound_socket

PATH: Final = "/explore"
_CONNECTIONS_MAX: Final = 200
_IDLE_S: Final = 30
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

    def __init__(self, app: App, address: Address) -> None:
        self._socket = bound_socket(address.host, address.port)
        self._server = _Uvicorn(
            uvicorn.Config(
                cast(Any, app),
                lifespan="off",
                interface="asgi3",
                ws="none",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=_CONNECTIONS_MAX,
                timeout_keep_alive=_IDLE_S,
                timeout_graceful_shutdown=_DRAIN_S_MAX,
            )
        )

    @property
    def address(self) -> Address:
        """Where it listens; port 0 has become a free one."""
        return Address(*self._socket.getsockname()[:2])

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._server.exit_soon)
        await self._server.serve([self._socket])


class _Uvicorn(uvicorn.Server):
    """uvicorn's server without its signal handlers: those end the process, not the command."""

    def exit_soon(self) -> None:
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
