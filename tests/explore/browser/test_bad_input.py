"""What should not be asked for, and of odd databases: a clear page, the right status."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import expect
from sqlalchemy import Engine, text

from tests.commands.processes import Server
from tests.explore.browser.audience import HOSTILE, ask_one
from tests.explore.browser.conftest import Filled, Open
from tests.explore.served import Site
from tests.sqlite import new_sqlite

HOSTILE_PATHS = (
    "/sessions?range=all&q={}",
    "/sessions?range=all&content={}",
    "/sessions?range=all&finding={}",
    "/overview?range=all&player={}",
    "/findings?range=all&version={}",
    "/retention?range=all&content={}",
)


def test_unknown_session(filled: Filled, open_tab: Open) -> None:
    tab = open_tab(filled.site)
    tab.open(f"/session?id={quote('<b>none</b>')}", 404)
    assert tab.heading() == "There is no session “<b>none</b>”"
    tab.page.get_by_role("main").get_by_role("link", name="All sessions").click()
    assert tab.heading() == "Sessions"


def test_ten_years(filled: Filled, open_tab: Open) -> None:
    tab = open_tab(filled.site)
    query = "SELECT count(*), count(*) FILTER (WHERE content_started) FROM sessions"
    count, _ = ask_one(filled.engine, query)
    for page in ("overview", "sessions", "findings", "retention"):
        tab.open(f"/{page}?from=2020-01-01&to=2030-01-01")
        assert tab.heading() == page.capitalize()
        if page == "overview":
            assert tab.figure("Sessions") == count


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_hostile_filters_and_names(sqlite_filled: Filled, open_tab: Open, path: str) -> None:
    tab = open_tab(sqlite_filled.site)
    tab.page.on("dialog", lambda dialog: pytest.fail(f"ran {dialog.message}"))
    tab.open(path.format(quote(HOSTILE)))
    assert tab.page.locator("img").count() == 0
    assert tab.page.locator("script:not([src])").count() == 0
    assert HOSTILE in [field.input_value() for field in tab.page.locator("form input").all()]


@pytest.mark.parametrize("path", ["/sessions?sort=DROP", "/overview?range=eon", "/findings?a=1"])
def test_what_cannot_be_asked_for(sqlite_filled: Filled, open_tab: Open, path: str) -> None:
    tab = open_tab(sqlite_filled.site)
    tab.open(path, 400)
    assert tab.heading() == "The address asks for too much"


def test_empty_database(engine: Engine, serve: Callable[..., Site], open_tab: Open) -> None:
    tab = open_tab(serve(engine))
    for page in ("overview", "sessions", "findings", "retention"):
        tab.open(f"/{page}")
        assert tab.heading() == page.capitalize()
        assert tab.page.locator(".message").count() == 1
    tab.open("/sessions")
    expect(tab.page.get_by_text("bookended simulate")).to_be_visible()


def test_database_of_another_schema(tmp_path: Path, open_tab: Open) -> None:
    engine = new_sqlite(tmp_path / "analytics.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    args = ("explore", "--data", ".", "--explore-listen", "127.0.0.1:0")
    server = Server(tmp_path, args, {})
    try:
        host, port = urlsplit(server.wait_for("explorer_listening")["url"]).netloc.split(":")
        tab = open_tab(Site(host, int(port)))
        tab.open("/overview", 503)
        assert tab.heading() == "The database does not fit"
        assert "9999" in tab.page.locator(".message").inner_text()
    finally:
        server.end()
