"""`bookended explain`: one session's time line, and why each stretch counts as what it does.

After the record's way; reads SQL, never the log, and changes nothing. Imports the composition root.
"""

import importlib
import json
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from commands.common import ENV_PREFIX
from commands.database import snapshot_of
from commands.explain_text import show
from commands.explained import as_json, explained
from commands.explaining import VIEWS, find_session
from commands.logs import configure
from commands.options import takes
from commands.settings import POSITIONAL, Stored
from commands.storage import touching
from commands.tables import stdout
from explore.reading import session_rows
from models.limits import SESSION_ID_LENGTH


def _is_beginning_of_an_id(text: str) -> str:
    if not (text.isascii() and text.isalnum() and len(text) <= SESSION_ID_LENGTH):
        raise ValueError(
            f"is no session id, nor the beginning of one: {SESSION_ID_LENGTH} letters and digits"
        )
    return text


class Explaining(Stored):
    """Which session, and how to show it."""

    session: Annotated[str, AfterValidator(_is_beginning_of_an_id)] = Field(
        description="The session's id, or as much of its beginning as no other has.",
        json_schema_extra=POSITIONAL,
    )
    utc: bool = Field(
        False, description="Show when it was, in UTC, instead of the time since the session began."
    )
    html: Path | None = Field(
        None, description="Write it to this file too: a page that needs nothing beside it."
    )
    json_output: bool = Field(
        False,
        description="Print one JSON object instead of tables.",
        validation_alias=f"{ENV_PREFIX}JSON",
    )


@takes(Explaining)
def command(settings: Explaining) -> None:
    """Shows the time line of SESSION, and why each stretch of it counts as what it does.

    What was on screen, what it counted as, by which rule of docs/rules.md, which bookend was
    missing; then findings, with what the player's developer can do, and the totals. SESSION is an
    id, or as much of its beginning as no other has. Works for a live session too.
    """
    configure(settings.log_level, settings.log_format)
    with snapshot_of(settings, *VIEWS) as connection:
        rows = session_rows(connection, find_session(connection, settings.session))
    assert rows is not None, "of one moment"
    told = explained(rows)
    if settings.html is not None:
        # Imported only now: what loads every command's settings need not wait for templates.
        page = importlib.import_module("commands.explain_page").page
        with touching("HTML file", settings.html):
            settings.html.write_text(page(told), encoding="utf-8")
    if settings.json_output:
        print(json.dumps(as_json(told)))
    else:
        show(stdout(), told, with_utc=settings.utc)
