"""The schema: from nothing to head, what is refused, and that models and migrations agree."""

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event, inspect, text

import migrations
from models.tables import metadata
from models.views import create_statements, view_queries
from processor.database import open_database
from tests.migrations.upgrades import assert_newer_is_refused, interrupted_upgrades

VIEW_DIGESTS = {
    "0001": "e1726e495cd72b34",
    "0002": "8b26aa78316ac2c6",
    "0003": "fc311bab228fe02e",
    "0004": "92af4edfeb82e80f",
    "0005": "d4c706ff28a26c5c",
    "0006": "d4c706ff28a26c5c",
    "0007": "dc4f35ec23ed7d19",
    "0008": "dc4f35ec23ed7d19",
    "0009": "dc4f35ec23ed7d19",
    "0010": "0351edaa67778c56",
    "0011": "0351edaa67778c56",
}
"""By revision: a digest of the views' SQL. Views are made anew only with a new revision, so a view
that changes needs one, if only an empty one."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "analytics.db"


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{path}")
    yield engine
    engine.dispose()


def shape(engine: Engine) -> dict[str, object]:
    """Tables with columns, keys, indexes and storage, as SQLite itself tells them."""
    with engine.connect() as connection:
        tables = connection.execute(text("PRAGMA table_list")).mappings().all()
        found: dict[str, object] = {}
        for table in tables:
            name = table["name"]
            if table["type"] != "table" or name.startswith(("sqlite_", "alembic_")):
                continue
            columns = connection.execute(text(f"PRAGMA table_xinfo({name})")).all()
            indexes = connection.execute(text(f"PRAGMA index_list({name})")).mappings().all()
            keys = {
                index["name"]: connection.execute(text(f"PRAGMA index_info({index['name']})")).all()
                for index in indexes
            }
            sql = connection.execute(
                text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name}
            ).scalar_one()
            is_counting = "AUTOINCREMENT" in sql
            found[name] = (table["wr"], is_counting, "CHECK" in sql, columns, keys)
        return found


def test_migrations_and_models_agree(engine: Engine, path: Path) -> None:
    migrations.upgrade(engine)
    by_models = open_database(f"sqlite:///{path.with_name('models.db')}")
    metadata.create_all(by_models)
    assert shape(engine) == shape(by_models)
    by_models.dispose()


def test_from_nothing_to_head(engine: Engine) -> None:
    assert migrations.current(engine) is None
    assert migrations.upgrade(engine) is True
    assert migrations.current(engine) == migrations.head()
    migrations.check(engine)
    assert set(inspect(engine).get_view_names()) == set(view_queries())


def test_at_head_nothing_is_done(engine: Engine) -> None:
    migrations.upgrade(engine)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    assert migrations.upgrade(engine) is False
    assert not [s for s in statements if s.startswith(("CREATE", "DROP", "UPDATE", "INSERT"))]


def test_an_empty_database_is_told_from_a_ready_one(engine: Engine) -> None:
    with pytest.raises(migrations.OlderSchemaError, match=r"no tables yet.* run `bookended migr"):
        migrations.check(engine)


def test_an_older_schema_names_the_next_step(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations.upgrade(engine)
    found = migrations.head()
    monkeypatch.setattr(migrations, "head", lambda: "9998")
    with pytest.raises(migrations.OlderSchemaError, match=rf"schema {found}, this .* needs 9998"):
        migrations.check(engine)


def test_a_newer_schema_is_refused_and_left_alone(engine: Engine) -> None:
    migrations.upgrade(engine)
    before = shape(engine)
    assert_newer_is_refused(engine)
    assert shape(engine) == before
    assert migrations.current(engine) == "9999"


def test_an_interrupted_upgrade_leaves_nothing(engine: Engine) -> None:
    """At each statement in turn."""
    for _ in interrupted_upgrades(engine, range(1, 40)):
        assert shape(engine) == {}
        assert migrations.current(engine) is None
    assert migrations.upgrade(engine) is True


def test_two_upgrades_at_once(path: Path) -> None:
    done: list[bool] = []

    def upgrade() -> None:
        engine = open_database(f"sqlite:///{path}")
        done.append(migrations.upgrade(engine))
        engine.dispose()

    threads = [threading.Thread(target=upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False, False, True]


def test_older_views_are_replaced(engine: Engine, path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE VIEW sessions AS SELECT 1 AS old")
    connection.commit()
    connection.close()
    migrations.upgrade(engine)
    assert "old" not in {column["name"] for column in inspect(engine).get_columns("sessions")}


def test_a_changed_view_has_a_revision_of_its_own(engine: Engine) -> None:
    statements = " ".join("".join(create_statements(engine.dialect)).split())
    digest = hashlib.sha256(statements.encode()).hexdigest()[:16]
    assert {migrations.head(): digest}.items() <= VIEW_DIGESTS.items(), (
        "a view has changed: add a revision, and its digest here"
    )


def test_files_are_numbered_by_their_revisions() -> None:
    """So that a start need not read them all to know which is the newest."""
    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    history = [revision.revision for revision in script.walk_revisions()]
    assert history[::-1] == migrations._revisions()
    assert script.get_current_head() == migrations.head()
