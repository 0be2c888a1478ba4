"""`bookended migrate`: log and database to this release's schema, said in one line each.

Not on the record's way. `run`, `collect` and `process` do the same over embedded files at their
start; this is for doing it apart from them. Imports the composition root.
"""

from commands.database import database, upgrade_database
from commands.embedded import now_ms
from commands.kafka_topics import migrate_topics
from commands.logs import configure
from commands.options import takes
from commands.settings import Migrating
from commands.storage import make_directory_of
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
    kafka = settings.kafka
    if kafka is not None:
        kept_ms = round(settings.topic_retention.total_seconds() * 1000)
        for line in migrate_topics(kafka, settings.placement, kept_ms):
            print(line)
        return
    path = settings.log_path
    make_directory_of(path)
    was_there = path.exists()
    prepare_log(path)
    done = "already at" if was_there else "made with"
    print(f"log {path}: {done} schema {LOG_SCHEMA_VERSION}")


def _migrate_database(settings: Migrating) -> None:
    name = settings.database_name
    if settings.is_database_embedded:
        make_directory_of(settings.database_path)
    with database(settings) as engine:
        before = current(engine)
        if upgrade_database(settings, engine):
            print(f"database {name}: from {before or 'nothing'} to {head()}")
        else:
            print(f"database {name}: already at {head()}")
        ensure_live_projection(engine, settings.policy, now_ms())
