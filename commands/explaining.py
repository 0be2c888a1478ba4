"""Which session people mean, who give its id or the beginning of it.

After the record's way. Imports `explore`'s reading of a session, and `models`.
"""

from typing import Final

from sqlalchemy import Connection, select

from commands.errors import Failure
from explore.reading import LIKE_MAX, SESSION_VIEWS, sessions_like
from models.views import view_table

VIEWS: Final = ("sessions", *SESSION_VIEWS)


def find_session(connection: Connection, text: str) -> str:
    """The id of the session that `text` is the id of, or the beginning of the id.

    Errors: `Failure` if there is none, or more than one.
    """
    session_id = view_table("sessions").c.session_id
    if connection.execute(select(session_id).where(session_id == text)).first():
        return text
    found = sessions_like(connection, text)
    if len(found) == 1:
        return found[0]
    if not found:
        raise Failure(
            f"session {text}: there is none whose id is that or begins with it",
            "Take one from the view sessions. A session is there about a second after its first "
            "event.",
        )
    named = ", ".join(found[:LIKE_MAX])
    more = " and more" if len(found) > LIKE_MAX else ""
    raise Failure(f"session {text}: the ids {named}{more} begin with it", "Give more of the one.")
