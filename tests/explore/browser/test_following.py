"""What goes on is brought up to date under the eyes of who looks, and disturbs nobody's work."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from sqlalchemy import Engine, text

from tests.explore.browser.conftest import Open
from tests.explore.served import Site
from tests.reports.rows import Rows


@pytest.mark.parametrize("is_in_use", [False, True])
def test_the_list_of_sessions(
    engine: Engine, rows: Rows, serve: Callable[..., Site], open_tab: Open, is_in_use: bool
) -> None:
    rows.session("first", "11:00", live=True, content_ms=1_000)
    tab = open_tab(serve(engine), fresh=True)
    tab.page.clock.install()
    tab.open("/sessions")
    row = tab.page.locator("tr[data-id=first]")
    row.evaluate("row => { window.kept = row; }")
    if is_in_use:
        row.get_by_role("link").focus()
    rows.session("second", "11:30", live=True)
    with engine.begin() as connection:
        connection.execute(text("UPDATE sessions_live SET content_ms = 2000 WHERE content_ms > 0"))
    tab.page.clock.run_for(5_500)
    expect(row.locator("td").nth(4)).to_have_text("2 s")
    shown = tab.table("List of sessions")
    expect(shown).to_have_count(1 if is_in_use else 2)
    assert row.evaluate("row => row === window.kept")
    assert row.get_by_role("link").evaluate("e => e === document.activeElement") == is_in_use
    tab.page.get_by_label("Update every 5 s").uncheck()
    rows.session("third", "11:40", live=True)
    tab.page.clock.run_for(11_000)
    expect(tab.page.locator("tr[data-id=third]")).to_have_count(0)


def test_the_figures_of_the_overview(
    engine: Engine, rows: Rows, serve: Callable[..., Site], open_tab: Open
) -> None:
    rows.session("first", "11:00", live=True)
    tab = open_tab(serve(engine), fresh=True)
    tab.page.clock.install()
    tab.open("/overview")
    assert tab.figure("Sessions") == 1
    rows.session("second", "11:30", live=True)
    tab.page.clock.run_for(30_500)
    expect(tab.page.locator("#totals dd").nth(1)).to_contain_text("2")
