"""Live sessions update by themselves, and only while that disturbs nobody."""

from collections.abc import Callable
from typing import Final

from playwright.sync_api import expect
from sqlalchemy import Engine

from tests.explore.browser.conftest import Open
from tests.explore.browser.tabs import Tab
from tests.explore.served import Site
from tests.reports.rows import Rows

EVERY_MS: Final = 5_000


def opened(engine: Engine, rows: Rows, serve: Callable[..., Site], open_tab: Open) -> Tab:
    """The list of one live session, in a tab whose clock the test moves."""
    rows.session("first", "11:30", live=True)
    tab = open_tab(serve(engine), fresh=True)
    tab.page.clock.install()
    tab.open("/sessions")
    expect(tab.table("List")).to_have_count(1)
    return tab


def requests_in(tab: Tab, ms: int) -> list[str]:
    """The addresses that the page asks for in so much of its time."""
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.clock.run_for(ms)
    tab.page.evaluate("0")  # answered after all that was asked for before it was told of
    return asked


def test_the_list_goes_on(
    engine: Engine, rows: Rows, serve: Callable[..., Site], open_tab: Open
) -> None:
    tab = opened(engine, rows, serve, open_tab)
    rows.session("second", "11:40", live=True)
    assert requests_in(tab, EVERY_MS) == [tab.page.url]
    expect(tab.table("List")).to_have_count(2)


def test_whoever_is_at_work_in_it_is_left_alone(
    engine: Engine, rows: Rows, serve: Callable[..., Site], open_tab: Open
) -> None:
    tab = opened(engine, rows, serve, open_tab)
    link = tab.table("List").get_by_role("link")
    link.focus()
    rows.session("second", "11:40", live=True)
    assert requests_in(tab, EVERY_MS) == [tab.page.url]
    tab.page.wait_for_load_state("networkidle")
    expect(tab.table("List")).to_have_count(1)  # no row moves below a hand
    expect(link).to_be_focused()
    tab.page.get_by_label("Update every 5 s").uncheck()
    assert requests_in(tab, 2 * EVERY_MS) == []
