"""What every database has to hold of upgrades. Only for tests."""

from collections.abc import Iterable, Iterator

import pytest
from sqlalchemy import Engine, event, text

import migrations


def assert_newer_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for refuses in (migrations.check, migrations.upgrade):
        with pytest.raises(
            migrations.NewerSchemaError, match=rf"schema 9999, newer than {migrations.head()}"
        ):
            refuses(engine)


def interrupted_upgrades(engine: Engine, statements: Iterable[int]) -> Iterator[int]:
    """Upgrades, each killed at the next of these statements; told when it is over."""
    ahead = 0

    def fail(*_: object) -> None:
        nonlocal ahead
        ahead -= 1
        if ahead == 0:
            raise KeyboardInterrupt

    event.listen(engine, "before_cursor_execute", fail)
    for at in statements:
        ahead = at
        with pytest.raises(KeyboardInterrupt):
            migrations.upgrade(engine)
        yield at
