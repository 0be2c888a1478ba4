"""deploy/sqlite/local_days.sql: the reports by the days of the reading process's time zone.

Only for tests, and for writing the file: `python -m tests.reports.local_days`.
"""

from typing import Final

from models.views import local_day_statements
from tests.documents import ROOT

FILE: Final = ROOT / "deploy" / "sqlite" / "local_days.sql"
_HEAD: Final = """\
-- Reports by the days of another time zone, for one connection to the embedded database:
--
--   TZ=Europe/Berlin sqlite3 -readonly -init deploy/sqlite/local_days.sql analytics.db
--
-- The zone is that of the process (TZ, else the machine's). Temporary views of the same names stand
-- before those of the file, and are gone with the connection. Written by
-- `python -m tests.reports.local_days`.
"""


def script() -> str:
    return "\n".join([_HEAD, *(f"{statement};\n" for statement in local_day_statements())])


if __name__ == "__main__":
    FILE.write_text(script(), encoding="utf-8")
