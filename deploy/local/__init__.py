"""Real servers without Docker: an Apache Kafka broker and a PostgreSQL, each from pip alone.

For development, tests and the demo, on the loopback interface only:

    with LocalKafka(directory / "kafka") as kafka, LocalPostgres(directory / "postgres") as pg:
        ...  # kafka.bootstrap, pg.url

Each server keeps all that is its own in one directory and comes back with its data. Needs the
extra `local` (docs/local.md). Imports no other package of the project.
"""

from deploy.local.faults import LocalFault
from deploy.local.kafka import LocalKafka
from deploy.local.postgres import LocalPostgres
from deploy.local.server import LocalServer

__all__ = ["LocalFault", "LocalKafka", "LocalPostgres", "LocalServer"]
