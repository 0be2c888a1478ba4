"""`bookended projections`: what projections there are; `drop` removes one.

Beside the record's way. Part of the composition root. Imports `processor` and the database.
"""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import click
from pydantic import Field

from commands.common import ENV_PREFIX
from commands.database import known_database
from commands.logs import configure
from commands.options import takes
from commands.settings import POSITIONAL, Stored
from commands.tables import stdout, table
from commands.values import size_text
from models.policy import DEFAULT_POLICY, Policy
from processor.claim import DROPPED
from processor.drop_projection import drop
from processor.projections import Described, describe


class ListingProjections(Stored):
    """Where the database is, and how to show it."""

    json_output: bool = Field(
        False,
        description="Print one JSON object instead of tables.",
        validation_alias=f"{ENV_PREFIX}JSON",
    )


class DroppingProjection(Stored):
    """Which projection to remove."""

    projection: Annotated[int, Field(ge=1)] = Field(
        description="The projection's number.", json_schema_extra=POSITIONAL
    )


@click.group(name="projections")
def command() -> None:
    """Lists projections, or drops one.

    A projection is one set of rows, made by one set of rules. One is live: what readers see.
    """


@takes(ListingProjections)
def list_(settings: ListingProjections) -> None:
    """Lists all projections: rules, how far they have read, how many sessions, how large."""
    configure(settings.log_level, settings.log_format)
    with known_database(settings, read_only=True) as engine:
        found = describe(engine)
    if settings.json_output:
        print(json.dumps([_as_json(one) for one in found]))
        return
    shown = table("number", "what", "rules", "read", "sessions", "size", "made")
    for one in found:
        shown.add_row(
            str(one.projection),
            _role(one),
            _rules(one),
            f"{sum(place.next_offset for place in one.places.values()):,}",
            f"{one.sessions:,}",
            "-" if one.bytes is None else size_text(one.bytes),
            _instant(one.created_at),
        )
    stdout().print(shown)


@takes(DroppingProjection)
def drop_(settings: DroppingProjection) -> None:
    """Removes PROJECTION with all its rows, in small transactions. The live one is refused.

    Killed, it is started again.
    """
    configure(settings.log_level, settings.log_format)
    with known_database(settings) as engine:
        drop(engine, settings.projection)
    stdout().print(f"Projection {settings.projection} is gone.", highlight=False)


command.add_command(list_, "list")
command.add_command(drop_, "drop")


def _role(one: Described) -> str:
    if one.is_live:
        return "live"
    if one.is_previous:
        return "before"
    if one.scope is None:
        return "candidate"
    return "being dropped" if one.scope == DROPPED else "part"


def _rules(one: Described) -> str:
    """The version, and what differs from the documented rules."""
    changed = [
        f"{name}={value}"
        for name, value in _fields(one.policy).items()
        if value != _fields(DEFAULT_POLICY)[name]
    ]
    return ", ".join([f"version {one.fold_version}", *changed])


def _fields(policy: Policy) -> dict[str, Any]:
    return {name: getattr(policy, name) for name in Policy.__dataclass_fields__}


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%MZ")


def _as_json(one: Described) -> dict[str, Any]:
    return {
        "projection": one.projection,
        "is_live": one.is_live,
        "is_previous": one.is_previous,
        "fold_version": one.fold_version,
        "policy": _fields(one.policy),
        "scope": one.scope,
        "created_at": _instant(one.created_at),
        "partitions": {str(n): place._asdict() for n, place in one.places.items()},
        "sessions": one.sessions,
        "bytes": one.bytes,
    }
