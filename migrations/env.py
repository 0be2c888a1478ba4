"""What Alembic runs around the revisions: on the connection it is given, in its transaction.

Only `migrations.upgrade` comes here; there is no alembic.ini and no offline mode.
"""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # SQLite rolls tables back as well (the connection begins its transactions itself), so that an
    # interrupted upgrade leaves nothing half-made.
    transactional_ddl=True,
)
context.run_migrations()
