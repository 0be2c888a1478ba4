"""`bookended migrate`: log and database to this release's schema, said in one line each.

Not on the record's way. `run`, `collect` and `process` do the same over embedded files at their
start; this is for doing it apart from them. Imports the composition root.
"""

from commands.embedded import database, make_directory_of, migrate_database, now_ms
from commands.logs import configure
from commands.options import takes
from commands.settings import Migrating
from commands.storage import touching
from ingest.log_file import prepare_log
from migrations import current, head
from models.tables_log import LOG_SCHEMA_VERSION
from processor.projection import ensure_live_projection


@takes(Migrating)
def command(settings: Migrating) -> None:
    """Brings log and database to this release's schema; both are made if there are none.

    The rules given here hold for a new database. One that exists keeps the rules it was made with.
    """
    configure(settings.log_level, settings.log_format)
    _migrate_log(settings)
    _migrate_database(settings)


def _migrate_log(settings: Migrating) -> None:
    path = settings.log_path
    make_directory_of(path)
    was_there = path.exists()
    prepare_log(path)
    done = "already at" if was_there else "made with"
    print(f"log {path}: {done} schema {LOG_SCHEMA_VERSION}")


def _migrate_database(settings: Migrating) -> None:
    path = settings.database_path
    make_directory_of(path)
    with touching("database", path), database(path) as engine:
        before = current(engine)
        if migrate_database(path, engine):
            print(f"database {path}: from {before or 'nothing'} to {head()}")
        else:
            print(f"database {path}: already at {head()}")
        ensure_live_projection(engine, settings.policy, now_ms())
