"""`bookended forget`: a viewer's identifiers leave rows, archive and embedded log; figures stay.

Beside the record's way. Part of the composition root. Imports `processor`, the database, the locks.
"""

import secrets
import sys
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

from pydantic import Field
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from commands.database import known_database
from commands.embedded import now_ms
from commands.errors import Failure, SettingsError
from commands.locks import sole
from commands.logs import configure
from commands.options import takes
from commands.settings import Stored
from commands.storage import touching
from commands.tables import facts, program, stderr, stdout
from processor.archive import PartitionArchive, read_archive
from processor.forget import finish, forget_sessions, sessions_of_visitor, unfinished
from processor.forget_files import forget_in_archive, forget_in_log, sessions_in_archive

_SECRET_BYTES = 32


class Forgetting(Stored):
    """Whom to forget, and where."""

    visitor: str | None = Field(
        None, description="Forget all sessions of this visitor, as `visitor_id` has it."
    )
    session: str | None = Field(
        None, description="Forget the sessions of these ids (commas between them)."
    )
    archive: Path | None = Field(None, description="The archive to rewrite, if there is one.")


@takes(Forgetting)
def command(settings: Forgetting) -> None:
    """Removes what names a viewer from rows, archive files and the embedded log; figures stay.

    Later rebuilds obey. Kafka forgets by its retention alone. Stop the archiver meanwhile.
    Killed, it is started again.
    """
    configure(settings.log_level, settings.log_format)
    if (settings.visitor is None) == (settings.session is None):
        raise SettingsError(("say whom to forget: either --visitor ID or --session ID",))
    with ExitStack() as stack:
        archives: list[PartitionArchive] = []
        if settings.archive is not None:
            read_archive(settings.archive)  # told before anything is made beside it
            stack.enter_context(sole("archiver", settings.archive))
            archives = read_archive(settings.archive)
        engine = stack.enter_context(known_database(settings))
        if settings.session is not None:
            ids = {i.strip() for i in settings.session.split(",") if i.strip()}
        else:
            ids = sessions_of_visitor(engine, settings.visitor or "")
            for archive in archives:
                ids |= sessions_in_archive(archive, settings.visitor or "")
        left = unfinished(engine)
        secret = left.secret if left is not None else secrets.token_bytes(_SECRET_BYTES)
        ids |= left.ids if left is not None else set()
        if not ids:
            raise Failure(
                "nothing is known of this visitor",
                "Check the id: `SELECT visitor_id FROM sessions` shows those there are.",
            )
        live = forget_sessions(engine, ids, now_ms(), secret)
        _forget_files(settings, archives, ids, secret)
        finish(engine)
    _tell(ids, live)


def _forget_files(
    settings: Forgetting, archives: list[PartitionArchive], ids: Collection[str], secret: bytes
) -> None:
    if settings.kafka is None and settings.log_path.is_file():
        with touching("log", settings.log_path):
            forget_in_log(settings.log_path, ids, secret)
    columns = (TextColumn("archive"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=stderr(), disable=not sys.stderr.isatty()) as bar:
        total = sum(entry.bytes for archive in archives for entry in archive.entries)
        task = bar.add_task("", total=total)
        for archive in archives:
            with touching("archive", archive.path):
                forget_in_archive(archive, ids, secret, lambda size: bar.advance(task, size))


def _tell(ids: Collection[str], live: int) -> None:
    out = stdout()
    out.print(facts({"sessions forgotten": f"{len(ids):,}", "of them still live": f"{live:,}"}))
    if live:
        out.print(
            f"Run the same `{program()} forget` again once these have closed: what their state "
            "holds is written then.",
            highlight=False,
            soft_wrap=True,
        )
