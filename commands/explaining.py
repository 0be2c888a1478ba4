"""Which session people mean, who give its id or the beginning of it.

After the record's way. Imports `explore`'s reading of a session, and `models`.
"""

from typing import Final

from sqlalchemy import Connection, func, select

from commands.errors import Failure
from explore.reading import SESSION_VIEWS
from models.limits import SESSION_ID_LENGTH
from models.views import view_table

CANDIDATES_MAX: Final = 5
"""Session ids that are named when a beginning fits several."""
VIEWS: Final = ("sessions", *SESSION_VIEWS)


def find_session(connection: Connection, text: str) -> str:
    """The id of the session that `text` is the id of, or the beginning of the id.

    Errors: `Failure` if there is none, or more than one.
    """
    session_id = view_table("sessions").c.session_id
    if connection.execute(select(session_id).where(session_id == text)).first():
        return text
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
