"""What is PostgreSQL's own about a connection: its bounds in time, and what its errors mean.

On the record's way: beside `processor.database`, which asks here for a PostgreSQL database. Imports
nothing of the project; never `ingest`.
"""

from typing import Any, Final

from sqlalchemy import Connection, Engine, event, text

POSTGRES: Final = "postgresql"
CONNECT_WITHIN_S: Final = 5
_CONNECTION: Final = {
    "application_name": "bookended",
    "connect_timeout": CONNECT_WITHIN_S,
    # A server that is gone without a word (power cut, network) is noticed within about 20 s.
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_SESSION: Final = {
    # Instants in and out, and dates that a statement names, are UTC whatever the server says.
    "timezone": "UTC",
    "statement_timeout": "60s",
    "lock_timeout": "10s",
    # A processor that stands still inside a transaction holds locks and keeps rows from being
    # cleared away: the server ends it. (A claimant does so after a second: `postgres_claim`.)
    "idle_in_transaction_session_timeout": "30s",
}
_READER: Final = {"default_transaction_read_only": "on"}
# What passes by itself, is put right by an operator, or is told by trying again from the last
# checkpoint. By class or code of the SQL standard and of PostgreSQL's manual, appendix A.
_AWAY: Final = (
    "08",  # the connection
    "25006",  # read-only: a standby, after a failover
    "25P03",  # ended while idle in a transaction
    "25P04",  # the transaction took too long
    "28",  # the password was changed
    "3D000",  # no such database
    "40",  # serialisation failure, deadlock
    "42501",  # no right
    "53",  # disk full, out of memory, too many connections
    "55P03",  # a lock was not to be had
    "57",  # shutting down, starting up, cancelled, timed out
    "58",  # the server's operating system
)
_DAMAGED: Final = ("XX001", "XX002")


def connection_arguments(query: Any) -> dict[str, Any]:
    """What the driver is told beside the URL; what the URL says itself stays."""
    return {name: value for name, value in _CONNECTION.items() if name not in query}


def prepare_postgres(engine: Engine, *, read_only: bool) -> None:
    """Gives each new connection its bounds. Not by start-up options: poolers refuse those."""
    settings = {**_SESSION, **(_READER if read_only else {})}
    query = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in settings.items())

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.execute(f"SELECT {query}")
        connection.commit()


def is_postgres(bind: Engine | Connection) -> bool:
    """Whether this is a PostgreSQL database."""
    return bind.dialect.name == POSTGRES


def is_standby(engine: Engine) -> bool:
    """Whether the server follows another one and takes no writes. A SQLite file never does."""
    if not is_postgres(engine):
        return False
    with engine.connect() as connection:
        return bool(connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one())


def one_line(message: str) -> str:
    """The line of a driver's message that says most: the first, but the last attempt's where a
    host has several addresses."""
    lines = [line for line in message.splitlines() if line.startswith("- host:")]
    return lines[-1].removeprefix("- ") if lines else message.splitlines()[0]


def is_away(sqlstate: str) -> bool:
    """Whether an error of this code can pass."""
    return sqlstate.startswith(_AWAY)


def is_damage(sqlstate: str | None) -> bool:
    """Whether the server found its own files damaged."""
    return sqlstate in _DAMAGED
