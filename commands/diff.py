"""`bookended diff`: what would change if a candidate were promoted.

Beside the record's way. Part of the composition root. Imports `processor` and the database.
"""

import csv
import json
from pathlib import Path
from typing import Annotated, Any, Final

import click
from pydantic import Field
from sqlalchemy import Engine

from commands.common import ENV_PREFIX
from commands.database import known_database
from commands.logs import configure
from commands.options import takes
from commands.settings import POSITIONAL, Stored
from commands.storage import touching
from commands.tables import clock, facts, stdout, table
from processor.database import reading
from processor.projection import find_live_projection
from processor.projection_diff import Difference, Group, Mover, changed_sessions, compare
from processor.projections import read_scope

EXIT_DIFFERENT: Final = 3
SHOWN_MAX: Final = 10


class Comparing(Stored):
    """Which projection to compare with the live one, and how to show it."""

    projection: Annotated[int, Field(ge=1)] = Field(
        description="The candidate's number.", json_schema_extra=POSITIONAL
    )
    csv_file: Path | None = Field(
        None,
        description="Write every figure of every session that differs to this file.",
        validation_alias=f"{ENV_PREFIX}CSV",
    )
    json_output: bool = Field(
        False,
        description="Print one JSON object instead of tables.",
        validation_alias=f"{ENV_PREFIX}JSON",
    )


@takes(Comparing)
def command(settings: Comparing) -> None:
    """Compares the live projection with PROJECTION, session by session.

    Shows totals, how many sessions differ and by how much, who moved most. Sessions that one of the
    two has read further than the other are moving and left out. Exits 3 when they differ.
    """
    configure(settings.log_level, settings.log_format)
    with known_database(settings, read_only=True) as engine:
        live = find_live_projection(engine)
        with reading(engine) as connection:
            is_part = read_scope(connection, settings.projection) is not None
        if settings.csv_file is not None:
            _write_csv(settings.csv_file, engine, live, settings.projection, is_part=is_part)
        found = compare(engine, live, settings.projection, is_part=is_part)
    if settings.json_output:
        print(json.dumps(_as_json(found)))
    else:
        _show(found)
    if not found.is_none:
        raise click.exceptions.Exit(EXIT_DIFFERENT)


def _write_csv(path: Path, engine: Engine, live: int, candidate: int, *, is_part: bool) -> None:
    with touching("CSV file", path), path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("session_id", "player_name", "content_id", "figure", "live", "candidate"))
        for mover in changed_sessions(engine, live, candidate, is_part=is_part):
            for name, (before, after) in mover.figures.items():
                rows.writerow(
                    (mover.session_id, mover.player_name, mover.content_id, name, before, after)
                )


def _as_json(found: Difference) -> dict[str, Any]:
    return {
        "live": found.live,
        "candidate": found.candidate,
        "compared": found.compared,
        "changed": found.changed,
        "moving": found.moving,
        "only_live": found.only_live,
        "only_candidate": found.only_candidate,
        "totals": {
            name: {"live": before, "candidate": after}
            for name, (before, after) in found.totals.items()
        },
        "figures": dict(found.by_column),
        "distribution": dict(found.distribution),
        "groups": [
            {"player_name": player, "content_id": content, **group._asdict()}
            for (player, content), group in _largest_groups(found)
        ],
        "movers": [_mover_as_json(mover) for mover in found.movers],
    }


def _mover_as_json(mover: Mover) -> dict[str, Any]:
    figures = {
        name: {"live": before, "candidate": after}
        for name, (before, after) in mover.figures.items()
    }
    return {**mover._asdict(), "figures": figures}


def _largest_groups(found: Difference) -> list[Any]:
    def moved_ms(item: Any) -> int:
        group: Group = item[1]
        return abs(group.content_ms) + abs(group.ad_ms)

    return sorted(found.groups.items(), key=moved_ms, reverse=True)


def _show(found: Difference) -> None:
    out = stdout()
    names = {
        "compared": f"{found.compared:,} sessions, live projection {found.live} with "
        f"{found.candidate}",
        "differ": f"{found.changed:,}",
        "only in one": f"{found.only_live:,} live, {found.only_candidate:,} candidate",
        "moving, left out": f"{found.moving:,}",
    }
    out.print(facts(names))
    if found.is_none:
        out.print("No difference.")
        return
    totals = table("total", "live", "candidate", "difference")
    for name, (before, after) in found.totals.items():
        if before != after:
            totals.add_row(
                name, _figure(name, before), _figure(name, after), f"{after - before:+,}"
            )
    out.print(totals)
    _show_distribution(found)
    _show_groups(found)
    _show_movers(found)


def _figure(name: str, value: int) -> str:
    return clock(value) if name.endswith("_ms") else f"{value:,}"


def _show_distribution(found: Difference) -> None:
    shown = table("content or ad time moved", "sessions")
    for name, count in found.distribution.most_common():
        shown.add_row(name, f"{count:,}")
    stdout().print(shown)


def _show_groups(found: Difference) -> None:
    shown = table("player", "content", "sessions", "content time", "ad time")
    for (player, content), group in _largest_groups(found)[:SHOWN_MAX]:
        shown.add_row(
            player,
            content,
            f"{group.sessions:,}",
            f"{group.content_ms / 1000:+,.1f} s",
            f"{group.ad_ms / 1000:+,.1f} s",
        )
    stdout().print(shown)


def _show_movers(found: Difference) -> None:
    shown = table("session that moved most", "moved", "content", "ads")
    for mover in found.movers[:SHOWN_MAX]:
        shown.add_row(
            mover.session_id,
            f"{mover.moved_ms / 1000:,.1f} s",
            f"{_seconds(mover, 'content_ms'):+,.1f} s",
            f"{_seconds(mover, 'ad_ms'):+,.1f} s",
        )
    stdout().print(shown)


def _seconds(mover: Mover, name: str) -> float:
    before, after = mover.figures.get(name, (0, 0))
    return float(after - before) / 1000
