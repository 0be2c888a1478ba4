"""`bookended dead-letters list|replay|drop`: records that the processor put aside.

Beside the record's way. All three work on the dead letters of the projection that readers see; the
log itself is never changed but by what a replay appends. Imports the composition root.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import click
from pydantic import Field
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import Engine

from commands.common import ENV_PREFIX
from commands.database import known_database
from commands.errors import SettingsError
from commands.log_again import log_again
from commands.logs import configure
from commands.options import takes
from commands.replaying import Replay, Replayed, is_readable, sole_replay
from commands.settings import Stored
from commands.tables import stderr, stdout, table
from commands.values import Instant, epoch_ms
from processor.database import reading, writing
from processor.dead_letters import StoredLetter, Wanted, count, drop, newest
from processor.projection import find_live_projection

SHOWN_MAX: Final = 10_000
DROPPED_AT_A_TIME: Final = 1_000
_KEY_SHOWN: Final = 12
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Filtering(Stored):
    """Which dead letters are meant."""

    log_partition: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Only those of this partition of the log."
    )
    reason: str | None = Field(
        None, description="Only those with this text in their reason, in any case of letters."
    )
    since: Instant | None = Field(
        None,
        description="Only those that arrived at this time or later: a day or an instant, in UTC "
        "unless it names a zone.",
        validation_alias=f"{ENV_PREFIX}FROM",
    )
    until: Instant | None = Field(
        None,
        description="Only those that arrived before this time.",
        validation_alias=f"{ENV_PREFIX}TO",
    )
    json_output: bool = Field(
        False,
        description="Print one JSON object instead of tables.",
        validation_alias=f"{ENV_PREFIX}JSON",
    )

    @property
    def wanted(self) -> Wanted:
        since_ms, until_ms = epoch_ms(self.since), epoch_ms(self.until)
        return Wanted(self.log_partition, self.reason, since_ms, until_ms)


class Listing(Filtering):
    """The list."""

    limit: Annotated[int, Field(ge=1, le=SHOWN_MAX)] = Field(
        20, description="Show so many at most, those that came last."
    )


class Replaying(Filtering):
    """The replay."""

    limit: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Replay so many at most, those that came first. Default: all."
    )


class Dropping(Filtering):
    """The drop."""

    every: bool = Field(
        False,
        description="Drop all of them. Without it at least one filter must be given.",
        validation_alias=f"{ENV_PREFIX}ALL",
    )

    @property
    def says_which(self) -> bool:
        return self.every or any(condition is not None for condition in self.wanted)


@click.group
def command() -> None:
    """Shows, replays or drops records that break the contract (docs/producers.md).

    The processor puts such a record aside, with its bytes and the reason, and goes on.
    """


@takes(Listing)
def list_(settings: Listing) -> None:
    """Shows dead letters, those that came last first. Changes nothing.

    "readable" says whether this release can read the record: then a replay of it makes sense.
    """
    with _letters_of(settings) as (engine, projection), reading(engine) as connection:
        total = count(connection, projection, settings.wanted)
        letters = newest(connection, projection, settings.wanted, settings.limit)
        if settings.json_output:
            print(json.dumps({"total": total, "dead_letters": [*map(_as_json, letters)]}))
        else:
            _show(letters, total)


@takes(Replaying)
def replay(settings: Replaying) -> None:
    """Publishes dead letters to the log again.

    The processor then reads them like any other record. Only those that this release can read; the
    others stay. A letter is gone from the list when the log has acknowledged its record. What a
    replay published that was interrupted is not published again by the next one.
    """
    with (
        _letters_of(settings) as (engine, projection),
        sole_replay(settings, engine),
        log_again(settings) as log,
        _progress("replayed") as progress,
    ):
        with reading(engine) as connection:
            total = count(connection, projection, settings.wanted)
        bar = progress.add_task("", total=total)
        work = Replay(engine, projection, log, lambda letters: progress.advance(bar, letters))
        done = asyncio.run(work.run(settings.wanted, settings.limit))
        with reading(engine) as connection:
            left = count(connection, projection, settings.wanted)
    if settings.json_output:
        print(json.dumps({**done._asdict(), "left": left}))
    else:
        _show_replayed(done, left)


@takes(Dropping)
def drop_(settings: Dropping) -> None:
    """Deletes dead letters. The log keeps their records as long as it keeps any."""
    if not settings.says_which:
        filters = "--log-partition, --reason, --from, --to"
        raise SettingsError((f"say which dead letters are meant: {filters} or --all",))
    dropped = 0
    with _letters_of(settings) as (engine, projection), _progress("dropped") as progress:
        with reading(engine) as connection:
            total = count(connection, projection, settings.wanted)
        bar = progress.add_task("", total=total)
        while True:
            with writing(engine) as connection:
                gone = drop(connection, projection, settings.wanted, DROPPED_AT_A_TIME)
            if not gone:
                break
            dropped += gone
            progress.advance(bar, gone)
    print(json.dumps({"dropped": dropped}) if settings.json_output else f"{dropped:,} dropped")


for _name, _command in (("list", list_), ("replay", replay), ("drop", drop_)):
    command.add_command(_command, _name)


@contextmanager
def _letters_of(settings: Filtering) -> Iterator[tuple[Engine, int]]:
    """The database and the projection that readers see. Errors: `Failure`."""
    configure(settings.log_level, settings.log_format)
    with known_database(settings) as engine:
        yield engine, find_live_projection(engine)


def _progress(done: str) -> Progress:
    console = stderr()
    return Progress(
        TextColumn(done),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def _as_json(letter: StoredLetter) -> dict[str, Any]:
    return {
        "topic": letter.topic,
        "log_partition": letter.log_partition,
        "offset": letter.offset,
        "received_at": _utc(letter.received_at),
        "reason": letter.reason,
        "key": letter.key.decode("utf-8", "backslashreplace"),
        "value_bytes": len(letter.value),
        "readable": is_readable(letter),
        "replay_begun": letter.replay_from is not None,
    }


def _show(letters: Iterator[StoredLetter], total: int) -> None:
    console = stdout()
    sheet = table("arrived", "partition", "offset", "key", "bytes", "readable", "reason")
    shown = 0
    for letter in letters:
        shown += 1
        key = letter.key.decode("utf-8", "backslashreplace")
        sheet.add_row(
            _utc(letter.received_at)[:19],
            str(letter.log_partition),
            str(letter.offset),
            key if len(key) <= _KEY_SHOWN else f"{key[:_KEY_SHOWN]}…",
            f"{len(letter.value):,}",
            "yes" if is_readable(letter) else "no",
            letter.reason + (" (replay begun)" if letter.replay_from is not None else ""),
        )
    if shown:
        console.print(sheet)
    console.print(f"{total:,} dead letters" + (f", {shown:,} shown" if shown < total else ""))


def _show_replayed(done: Replayed, left: int) -> None:
    console = stdout()
    console.print(f"{done.published:,} published to the log again", highlight=False)
    if done.found:
        console.print(
            f"{done.found:,} were in the log already, from a replay that was interrupted",
            highlight=False,
        )
    if done.unreadable:
        console.print(
            f"{done.unreadable:,} cannot be read by this release either, and stay", highlight=False
        )
    console.print(f"{left:,} left", highlight=False)


def _utc(ms: int) -> str:
    instant = _EPOCH + timedelta(milliseconds=ms)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
