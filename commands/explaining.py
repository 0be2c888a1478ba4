"""One session's rows out of the public views, all of one moment.

After the record's way: what `explain` shows is read here, and never from the log. Imports `models`.
"""

from typing import Final

from sqlalchemy import Connection, func, select

from commands.errors import Failure
from models.limits import SESSION_ID_LENGTH
from models.time_line import Row, SessionRows
from models.views import view_table

CANDIDATES_MAX: Final = 5
"""Session ids that are named when a beginning fits several."""
_ORDER: Final = {
    "spans": ("span_number",),
    "ad_breaks": ("break_number",),
    "ads": ("ad_number",),
    "chapters": ("chapter_number",),
    "findings": ("first_ts", "code"),
}
"""The fields of `SessionRows` after the first: each a view, in this order."""
VIEWS: Final = ("sessions", *_ORDER)


def find_session(connection: Connection, text: str) -> str:
    """The id of the session that `text` is the id of, or the beginning of the id.

    Errors: `Failure` if there is none, or more than one.
    """
    if _rows(connection, "sessions", text):
        return text
    session_id = view_table("sessions").c.session_id
    # The bounds reach the index, whatever order of letters the database has.
    near = session_id.between(text, text + "z" * SESSION_ID_LENGTH)
    fits = func.substr(session_id, 1, len(text)) == text
    query = select(session_id).where(near, fits).order_by(session_id).limit(CANDIDATES_MAX + 1)
    found = list(connection.execute(query).scalars())
    if len(found) == 1:
        return str(found[0])
    if not found:
        raise Failure(
            f"session {text}: there is none whose id is that or begins with it",
            "Take one from the view sessions. A session is there about a second after its first "
            "event.",
        )
    named = ", ".join(found[:CANDIDATES_MAX])
    more = " and more" if len(found) > CANDIDATES_MAX else ""
    raise Failure(f"session {text}: the ids {named}{more} begin with it", "Give more of the one.")


def read_session(connection: Connection, session_id: str) -> SessionRows:
    """All rows of one session, which there must be. Of one moment if the transaction is."""
    (session,) = _rows(connection, "sessions", session_id)
    return SessionRows(session, *(_rows(connection, view, session_id) for view in _ORDER))


def _rows(connection: Connection, view: str, session_id: str) -> list[Row]:
    source = view_table(view)
    query = select(source).where(source.c.session_id == session_id)
    if view in _ORDER:
        query = query.order_by(*(source.c[name] for name in _ORDER[view]))
    return [dict(row) for row in connection.execute(query).mappings()]
