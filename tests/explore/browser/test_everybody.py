"""Usable by everybody: axe-core's rules, light and dark, at phone width, and without JavaScript."""

from typing import Any, Final
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.explore.browser.audience import HOSTILE, NO_TIME, ask_one, spoiled
from tests.explore.browser.conftest import Filled, Open
from tests.explore.browser.tabs import PHONE, WIDE

LOOKS: Final = {"light-wide": ("light", WIDE), "dark-phone": ("dark", PHONE)}
"""Colours and widths, each once: what axe-core looks for depends on one of them at a time."""
SHOTS_ALONE: Final = {"dark-wide": ("dark", WIDE), "light-phone": ("light", PHONE)}


def pages(filled: Filled) -> dict[str, tuple[str, int]]:
    """The pages by name, with the statuses of their answers."""
    query = "SELECT content_id FROM retention WHERE percent = 0 ORDER BY plays DESC LIMIT 1"
    content = ask_one(filled.engine, query)[0]
    return {
        "overview": ("/overview", 200),
        "sessions": ("/sessions?player=tv+app", 200),
        "session": (f"/session?id={spoiled(filled.engine)}", 200),
        "session-hostile": (f"/session?id={quote(HOSTILE)}", 200),
        "session-no-time": (f"/session?id={NO_TIME}", 200),
        "findings": ("/findings?range=all", 200),
        "retention": (f"/retention?range=all&content={quote(content)}", 200),
        "contents": ("/retention?range=all", 200),
        "nothing-fits": ("/overview?player=none", 200),
        "no-session": ("/session?id=none", 404),
    }


@pytest.mark.parametrize("look", [*LOOKS, *SHOTS_ALONE])
def test_axe_finds_no_serious_fault(sqlite_filled: Filled, open_tab: Open, look: str) -> None:
    scheme, size = {**LOOKS, **SHOTS_ALONE}[look]
    tab = open_tab(sqlite_filled.site, size, color_scheme=scheme)
    found: dict[str, Any] = {}
    for name, (path, status) in pages(sqlite_filled).items():
        tab.open(path, status)
        tab.shot(f"{name}-{look}")
        found[name] = tab.faults() if look in LOOKS else []
        found[name] += ["wider than the window"] * (tab.overhang_px() > 0)
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_without_javascript(sqlite_filled: Filled, open_tab: Open) -> None:
    session_id = spoiled(sqlite_filled.engine)
    tab = open_tab(sqlite_filled.site, java_script_enabled=False)
    tab.open("/sessions")
    tab.page.get_by_label("Started").select_option("all")
    tab.page.get_by_label("Search").fill(session_id)
    tab.page.get_by_role("button", name="Show").click()
    tab.page.get_by_role("region", name="List").locator("tbody a").click()
    expect(tab.page.locator(".id")).to_have_text(session_id)
    expect(tab.page.get_by_text("Update every 5 s")).to_be_hidden()
    tab.page.locator(".line a .bar").first.click()
    expect(tab.page.locator("tr:target")).to_be_in_viewport()
    for name in ("Overview", "Findings", "Retention"):
        tab.page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        assert tab.heading() == name
