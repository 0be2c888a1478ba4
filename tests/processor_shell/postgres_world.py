"""A world whose database is PostgreSQL; its log is a file. Only for tests.

`clean` still folds into a new SQLite file: what it gives is what SQLite would hold.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

from models.tables import closes_outbox, live_projection, metadata, projections
from processor.database import open_database
from tests.postgres import plain
from tests.processor_shell.world import World

_KEPT = (projections, live_projection)


@dataclass
class PostgresWorld(World):
    """`url`: a database with the newest schema."""

    url: str = ""

    def open_main(self) -> Engine:
        return open_database(self.url)

    def start_anew(self) -> None:
        """An empty database for the same log."""
        rows = [table for table in metadata.tables.values() if table not in _KEPT]
        with self.engine.begin() as connection:
            for table in rows:
                connection.execute(table.delete())
            name = f"{closes_outbox.name}_position_seq"
            connection.execute(text(f"ALTER SEQUENCE {name} RESTART"))

    def start_anew_with(self, log_path: Path) -> None:
        """An empty database, and a copy of this log."""
        self.close()
        for path in self.folder.glob("log.db*"):
            path.unlink()
        shutil.copy(log_path, self.log_path)
        self.log = self._open_log()
        self.steady_s = 0.0  # so that every run takes the same turns
        self.start_anew()


class PointCursor(psycopg.Cursor[Any]):
    """Tells its connection's listener when a COPY begins and when its rows are all sent."""

    point: Callable[[str], None]

    @contextmanager
    def copy(self, statement: Any, *args: Any, **more: Any) -> Iterator[psycopg.Copy]:
        self.point(f"begin {statement}")
        with super().copy(statement, *args, **more) as copy:
            yield copy
            self.point(f"end {statement}")


class PostgresFaultAt:
    """A fault once, at one point of the engine's work: before each statement, before each COPY and
    before its end, before and after each commit. Notes the points that it came by.

    `fault` raises, or does what makes the work fail by itself.
    """

    def __init__(self, engine: Engine) -> None:
        self.points: list[str] = []
        self._at = -1
        self._fault: Callable[[], None] = lambda: None
        event.listen(engine, "before_cursor_execute", lambda *args: self._point(args[2]))
        cursor = type("Cursor", (PointCursor,), {"point": staticmethod(self._point)})
        event.listen(engine, "connect", lambda raw, _: setattr(raw, "cursor_factory", cursor))
        commit = engine.dialect.do_commit

        def do_commit(connection: Any) -> None:
            last = self.points[-1]
            self._point(f"commit {last}")
            commit(connection)
            self._point(f"committed {last}")  # but nobody is told

        engine.dialect.do_commit = do_commit  # type: ignore[method-assign,assignment]

    def arm(self, at: int, fault: Callable[[], None]) -> None:
        """The fault comes at the point of this number from here, counted from 0."""
        self.points = []
        self._at = at
        self._fault = fault

    def _point(self, label: str) -> None:
        self.points.append(label)
        if len(self.points) == self._at + 1:
            self._fault()


def lose_answer() -> None:
    """The connection breaks before the answer to what was just sent has come."""
    reason = "server closed the connection unexpectedly"
    raise OperationalError("injected", None, psycopg.OperationalError(reason))


def end_connections(url: str) -> Callable[[], None]:
    """The server ends all connections to the database, as an administrator or a restart does."""

    def end() -> None:
        with psycopg.connect(plain(url), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    return end
