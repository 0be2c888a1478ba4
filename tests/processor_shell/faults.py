"""Faults at every point of a database's work: before each statement, before and after each commit.

Only for tests.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError


class Killed(BaseException):
    """The process ends here, as by SIGKILL: nothing of it handles this."""


def killed() -> BaseException:
    return Killed()


def lost_connection() -> BaseException:
    return OperationalError("injected", None, sqlite3.OperationalError("disk I/O error"))


class FaultAt:
    """Raises once, at one point of the engine's work; counts the points."""

    def __init__(self, engine: Engine, fault: Callable[[], BaseException]) -> None:
        self.points = 0
        self._at = 0
        self._fault = fault
        event.listen(engine, "before_cursor_execute", self._before_statement)
        commit = engine.dialect.do_commit

        def do_commit(connection: Any) -> None:
            self._point()
            commit(connection)
            self._point()  # committed, but nobody is told

        engine.dialect.do_commit = do_commit  # type: ignore[method-assign,assignment]

    def arm(self, at: int) -> None:
        """Raises at the `at`-th point from here."""
        self.points = 0
        self._at = at

    def _before_statement(self, *_: object) -> None:
        self._point()

    def _point(self) -> None:
        self.points += 1
        if self.points == self._at:
            raise self._fault()
