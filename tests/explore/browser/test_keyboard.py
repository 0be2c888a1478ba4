"""Everything by keyboard: the order of the stops, what has the focus, and what it tells."""

from typing import Final

from playwright.sync_api import expect

from tests.explore.browser.audience import spoiled
from tests.explore.browser.conftest import Filled, Open
from tests.explore.browser.tabs import Tab

STOPS_MAX: Final = 120
KIND: Final = """(e => `${e.localName} ${e.getAttribute('type')} ${e.getAttribute('class')}`)
    (document.activeElement)"""
IS_NEW: Final = "window.stop !== (window.stop = document.activeElement)"


def walk(tab: Tab, seen: set[str]) -> list[str]:
    """Presses Tab from the page's top to its end. Each kind of stop must show its focus; kinds in
    `seen` have shown it before."""
    stops: list[str] = []
    for _ in range(STOPS_MAX):
        tab.page.keyboard.press("Tab")
        now = tab.focused()
        if now in ("body", *stops[:1]) and len(stops) > 1:
            return stops
        if tab.page.evaluate(IS_NEW):  # a date has a stop for each of its parts
            stops.append(now)
            kind = tab.page.evaluate(KIND)
            assert kind in seen or tab.focus_shows(), f"the focus on {now} does not show"
            seen.add(kind)
    raise AssertionError(f"more than {STOPS_MAX} stops")


def test_each_stop_shows_and_the_order_is_the_page_s(sqlite_filled: Filled, open_tab: Open) -> None:
    tab = open_tab(sqlite_filled.site)
    seen: set[str] = set()
    for path in (
        "/overview",
        "/sessions?range=all&version=2.0&q=night",
        f"/session?id={spoiled(sqlite_filled.engine)}",
        "/findings?version=2.0",
        "/retention?content=none",
    ):
        tab.open(path)
        stops = walk(tab, seen)
        assert stops == tab.stops(), path  # a stretch in focus brings the link to its rule


def test_skip_link(sqlite_filled: Filled, open_tab: Open) -> None:
    tab = open_tab(sqlite_filled.site)
    tab.open("/sessions")
    tab.page.keyboard.press("Tab")
    skip = tab.page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    tab.page.keyboard.press("Enter")
    tab.page.keyboard.press("Tab")
    expect(tab.page.get_by_label("Search")).to_be_focused()


def test_a_filter_is_set_and_a_session_opened(sqlite_filled: Filled, open_tab: Open) -> None:
    tab = open_tab(sqlite_filled.site)
    tab.open("/sessions?range=all")
    tab.page.get_by_label("Search").focus()
    tab.page.keyboard.type(spoiled(sqlite_filled.engine))
    tab.page.keyboard.press("Enter")
    link = tab.page.get_by_role("region", name="List").locator("tbody a")
    expect(link).to_have_count(1)
    for _ in range(STOPS_MAX):
        tab.page.keyboard.press("Tab")
        if link.evaluate("e => e === document.activeElement"):
            break
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator(".id")).to_have_text(spoiled(sqlite_filled.engine))


def test_the_time_line_tells_each_stretch(sqlite_filled: Filled, open_tab: Open) -> None:
    tab = open_tab(sqlite_filled.site)
    tab.open(f"/session?id={spoiled(sqlite_filled.engine)}")
    stretches = tab.page.locator(".line a[data-row=stretches]").all()
    stretches[0].focus()
    numbers = tab.page.locator("#detail dd").first
    for place, stretch in enumerate(stretches, 1):
        expect(stretch).to_be_focused()
        expect(numbers).to_have_text(str(place))
        tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("Home")
    expect(stretches[0]).to_be_focused()
    tab.page.keyboard.press("Tab")  # one stop, however many stretches
    tab.page.keyboard.press("Shift+Tab")
    expect(stretches[0]).to_be_focused()
    tab.page.keyboard.press("End")
    expect(stretches[-1]).to_be_focused()
    tab.page.keyboard.press("Enter")
    target = (stretches[-1].get_attribute("href") or "").removeprefix("#")
    expect(tab.page.locator(f"[id='{target}']")).to_be_in_viewport()


FULL, MUTE = "player state fullscreen", "player state mute"


def test_breaks_and_player_states_are_below_the_stretches(
    sqlite_filled: Filled, open_tab: Open
) -> None:
    tab = open_tab(sqlite_filled.site)
    tab.open(f"/session?id={spoiled(sqlite_filled.engine)}")
    tab.page.locator(".line a").first.focus()
    told = tab.page.locator("#detail dd")
    steps = (
        ("ArrowDown", "break 1 “pre-roll”", "1"), ("ArrowDown", "chapter 1 “Chapter 1”", "1"),
        ("ArrowDown", FULL, "1"),
        ("ArrowDown", MUTE, "1"), ("ArrowRight", MUTE, "2"),
        ("ArrowDown", MUTE, "2"), ("Home", MUTE, "1"), ("ArrowUp", FULL, "1"),
    )  # fmt: skip
    for key, what, number in steps:
        tab.page.keyboard.press(key)
        expect(told.nth(4)).to_have_text(f" {what}")
        expect(told.first).to_have_text(number)
        assert tab.focus_shows()
    for _ in range(3):
        tab.page.keyboard.press("ArrowUp")
    expect(tab.page.locator(".line a[data-row=stretches]:focus")).to_have_count(1)
