"""The database that the settings name, opened and made ready: a SQLite file or PostgreSQL.

Part of the composition root. A SQLite file is made and migrated at every start; on PostgreSQL only
`bookended migrate` changes the schema, and everything else refuses one that does not fit. Imports
`processor`, `migrations`, the settings.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog
from sqlalchemy import Connection, Engine, inspect

from commands.errors import Failure
from commands.settings import Ruling, Stored
from commands.storage import make_directory_of
from migrations import NewerSchemaError, OlderSchemaError, check, upgrade
from models.views import view_table
from processor.claim import RulesError
from processor.database import open_database, snapshot, telling
from processor.projection import Projection, ensure_live_projection, find_live_projection

logger = structlog.get_logger("bookended")


@contextmanager
def database(settings: Stored, *, read_only: bool = False) -> Iterator[Engine]:
    """The database's engine, disposed of at the end of the block.

    Errors: for what goes wrong with the database in the block `DatabaseAwayError`,
    `DatabaseDamagedError`.
    """
    engine = open_database(settings.database_url, read_only=read_only)
    try:
        with telling(engine):
            yield engine
    finally:
        engine.dispose()


@contextmanager
def known_database(settings: Stored, *, read_only: bool = False) -> Iterator[Engine]:
    """The same of a database that is there and has the schema that this release needs.

    Errors: `Failure` besides.
    """
    must_exist(settings)
    with database(settings, read_only=read_only) as engine:
        check_database(settings, engine)
        yield engine


def must_exist(settings: Stored, next_step: str = "Give the right --data or --database.") -> None:
    """Errors: `Failure` for a file that is not there: else SQLite would make one."""
    if settings.is_database_embedded and not settings.database_path.is_file():
        raise Failure(f"database {settings.database_path}: there is no such file", next_step)


@contextmanager
def snapshot_of(settings: Stored, *views: str) -> Iterator[Connection]:
    """The database as it is at one moment, to be read alone; nobody waits for it.

    `views`: what is read, if no more than these is; then a role is enough that may read only them.
    Errors: `Failure`, and those that `known_failure` knows.
    """
    must_exist(settings)
    with database(settings, read_only=True) as engine:
        if not views:
            check_database(settings, engine)
        with snapshot(engine) as connection:
            _check_views(settings, connection, views)
            yield connection


def _check_views(settings: Stored, connection: Connection, views: Sequence[str]) -> None:
    """Errors: `Failure` unless they have at least the columns of this release."""
    known = inspect(connection)
    for name in views:
        columns = known.get_columns(name) if known.has_table(name) else []
        missing = set(view_table(name).c.keys()) - {column["name"] for column in columns}
        if missing:
            what = f"the columns {', '.join(sorted(missing))} in {name}" if columns else name
            raise Failure(
                f"database {settings.database_name} has not {what}",
                "Run `bookended migrate`, or give the right --database.",
            )


def prepare_database(settings: Stored, ruling: Ruling, now_ms: int) -> None:
    """The database at this release's schema, with a live projection.

    Errors: `Failure`, and those that `known_failure` knows.
    """
    if settings.is_database_embedded:
        make_directory_of(settings.database_path)
        with database(settings) as engine:
            upgrade_database(settings, engine)
            projection = ensure_live_projection(engine, ruling.policy, now_ms)
            _compare_rules(engine, projection, ruling)
        return
    with database(settings) as engine:
        check_database(settings, engine)
        _compare_rules(engine, find_live_projection(engine), ruling)


def upgrade_database(settings: Stored, engine: Engine) -> bool:
    """Brings the database to this release's schema; whether there was anything to do."""
    with _named(settings):
        return upgrade(engine)


def check_database(settings: Stored, engine: Engine) -> None:
    """Errors: `Failure` unless the database has the schema that this release needs."""
    with _named(settings):
        check(engine)


@contextmanager
def _named(settings: Stored) -> Iterator[None]:
    """Says which database has a schema that does not fit."""
    try:
        yield
    except (NewerSchemaError, OlderSchemaError) as error:
        what, _, next_step = str(error).removeprefix("the database").rpartition("; ")
        raise Failure(
            f"database {settings.database_name}{what}",
            f"{next_step[:1].upper()}{next_step[1:]}.",
        ) from error


def _compare_rules(engine: Engine, projection: int, ruling: Ruling) -> None:
    try:
        rules = Projection(engine, projection).rules()
    except RulesError:
        return  # the processor stands by and says so
    if rules.policy != ruling.policy:
        logger.warning(
            "policy_not_used",
            reason="the projection keeps the rules it was made with; the settings say others",
            projection=str(rules.policy),
            settings=str(ruling.policy),
        )
