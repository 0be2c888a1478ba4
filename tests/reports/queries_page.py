"""docs/queries.md: each file of deploy/queries with what it gives for six sessions of March 2026.

Only for tests, and for writing the page: `python -m tests.reports.queries_page`.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine

import migrations
from processor.database import open_database
from tests.documents import ROOT
from tests.reports.march import write_march
from tests.reports.reading import read
from tests.reports.rows import Rows

PAGE: Final = ROOT / "docs" / "queries.md"
FOLDER: Final = ROOT / "deploy" / "queries"
ORDER: Final = (
    "completion_by_content", "drop_off_by_content", "visitors_by_day", "peak_audience",
    "resumed_sessions", "ads_by_campaign", "ads_by_position", "ads_by_pod_position",
    "unbookended_time", "doubtful_sessions", "rebuffering_by_player", "startup_percentiles",
)  # fmt: skip
_HEAD: Final = """# Questions and their queries

Each of these is a file in `deploy/queries` that runs as it is on SQLite and on PostgreSQL:

```sh
sqlite3 -readonly -box bookended-data/analytics.db < deploy/queries/completion_by_content.sql
psql -U bookended_reader -f deploy/queries/completion_by_content.sql bookended
```

They ask for March 2026; change the two dates. The results below are those of six sessions, which a
test runs them on; all columns of the views are described in [sql.md](sql.md). This page is written
by `python -m tests.reports.queries_page`.
"""


def page(engine: Engine) -> str:
    """The page with the results that the database of `write_march` gives."""
    return "\n".join([_HEAD, *(part for name in ORDER for part in _part(engine, name))])


def _part(engine: Engine, name: str) -> Iterator[str]:
    comment, query = split(name)
    question, _, columns = comment.partition("\n\n")
    yield f"## {question}\n"
    yield f"[`{name}.sql`](../deploy/queries/{name}.sql). {columns}\n"
    yield from _table(engine, query)
    yield ""


def split(name: str) -> tuple[str, str]:
    """The comment at the top of a query's file, and the query."""
    lines = (FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    comment = [line.removeprefix("--").strip() for line in lines if line.startswith("--")]
    query = [line for line in lines if not line.startswith("--")]
    return "\n".join(comment), "\n".join(query).rstrip().removesuffix(";")


def _table(engine: Engine, query: str) -> Iterator[str]:
    with engine.connect() as connection:
        names = list(connection.exec_driver_sql(query).keys())
    yield "| " + " | ".join(names) + " |"
    yield "|" + "---|" * len(names)
    for row in read(engine, query):
        yield "| " + " | ".join(map(_cell, row)) + " |"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{float(value):g}"


def main() -> None:
    """Writes the page anew, from an embedded database."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(f"sqlite:///{Path(folder)}/analytics.db")
        migrations.upgrade(engine)
        write_march(Rows(engine))
        PAGE.write_text(page(engine), encoding="utf-8")
        engine.dispose()


if __name__ == "__main__":
    main()
