"""Looks into the log from a session's page: fetched in place, as pages of their own without script,
and what they say when they cannot be had."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import expect

from tests.explore.browser.conftest import Open
from tests.explore.browser.tabs import PHONE, Tab
from tests.explore.played import ID, a_session, log_of
from tests.explore.served import Site, serving
from tests.processor_shell.world import World

TOLD: Final = {"events": "th:has-text('Type')", "policy": ".line"}
"""What must be whole in the window of a phone, by the page; the next column is what events did."""


@pytest.fixture
def looked_into(tmp_path: Path) -> Iterator[tuple[World, Site]]:
    world = World(tmp_path)
    world.append_events(1, *a_session())
    world.now_ms = a_session()[-1].received_at
    world.process()
    with serving(world.engine, log=log_of(world)) as site:
        yield world, site
    world.close()


def opened(site: Site, open_tab: Open) -> Tab:
    tab = open_tab(site)
    tab.open(f"/session?id={ID}")
    return tab


def test_the_events_come_into_the_page(looked_into: tuple[World, Site], open_tab: Open) -> None:
    tab = opened(looked_into[1], open_tab)
    tab.page.get_by_role("link", name="Show the events").click()
    heading = tab.page.get_by_role("heading", name="Events as received")
    expect(heading).to_be_focused()
    expect(tab.table("Events as received")).to_have_count(len(a_session()))
    expect(tab.page.get_by_role("heading", name="Time line")).to_be_visible()
    tab.page.get_by_role("link", name="Leave out plain pings").click()
    expect(tab.table("Events as received")).to_have_count(len(a_session()) - 1)
    assert tab.path == f"/session?id={ID}"
    tab.page.get_by_text("customMetadata").first.click()
    expect(tab.page.locator("details[open] pre").first).to_contain_text("<script>alert(1)</script>")
    # The name turns the direction of what follows it: of itself alone.
    name = tab.page.locator("h1").get_by_text("alert(1)")
    expect(name).to_have_css("unicode-bidi", "isolate")
    assert tab.faults() == []
    tab.shot("events-light-wide")


def test_the_other_policy_comes_into_the_page(
    looked_into: tuple[World, Site], open_tab: Open
) -> None:
    tab = opened(looked_into[1], open_tab)
    tab.page.get_by_role("link", name="Other unclosed_break").click()
    changed = tab.page.locator("tr.differs")
    expect(changed.first).to_be_visible()
    assert "ads" in changed.locator("th").all_inner_texts()
    tab.page.get_by_role("link", name="stall_detection").click()
    expect(tab.page.get_by_text("Nothing differs")).to_be_visible()
    assert tab.faults() == []


@pytest.mark.parametrize("page", ["events", "policy"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_of_its_own_on_a_phone(
    looked_into: tuple[World, Site], open_tab: Open, page: str, scheme: str
) -> None:
    tab = open_tab(looked_into[1], PHONE, color_scheme=scheme)
    tab.open(f"/session/{page}?id={ID}")
    assert tab.faults() == []
    assert tab.overhang_px() <= 0
    told = tab.page.locator(TOLD[page]).first.bounding_box()
    assert told is not None
    assert told["x"] + told["width"] <= PHONE[0], "one must scroll to see what it is about"
    tab.shot(f"{page}-{scheme}-phone")


def test_without_javascript_they_are_pages(looked_into: tuple[World, Site], open_tab: Open) -> None:
    tab = open_tab(looked_into[1], java_script_enabled=False)
    tab.open(f"/session?id={ID}")
    tab.page.get_by_role("link", name="Show the events").click()
    expect(tab.table("Events as received")).to_have_count(len(a_session()))
    tab.page.get_by_role("main").get_by_role("link", name="<script>").click()
    tab.page.get_by_role("link", name="Other unclosed_break").click()
    expect(tab.page.locator("tr.differs").first).to_be_visible()


def test_what_is_wrong_is_told_in_place(looked_into: tuple[World, Site], open_tab: Open) -> None:
    world, site = looked_into
    tab = opened(site, open_tab)
    world.log_path.rename(world.log_path.with_suffix(".away"))
    tab.page.get_by_role("link", name="Show the events").click()
    told = tab.page.locator("#events").get_by_role("status")
    expect(told).to_contain_text("there is no such file")
    tab.complaints.clear()  # the browser tells of the 503 itself
    world.log_path.with_suffix(".away").rename(world.log_path)
    tab.page.get_by_role("link", name="Show the events").click()
    expect(tab.table("Events as received")).to_have_count(len(a_session()))


def test_a_live_session_goes_on(tmp_path: Path, open_tab: Open) -> None:
    world = World(tmp_path)
    some = a_session()
    world.append_events(1, *some[:4])
    world.now_ms = some[3].received_at
    world.process()
    with serving(world.engine, log=log_of(world)) as site:
        tab = open_tab(site, fresh=True)
        tab.page.clock.install()
        tab.open(f"/session?id={ID}")
        expect(tab.page.locator("h1 .status")).to_have_text("live")
        world.append_events(1, *some[4:])
        world.now_ms = some[-1].received_at
        world.process()
        tab.page.clock.run_for(5_500)
        expect(tab.page.locator("h1 .status")).to_have_text("closed")
        expect(tab.page.locator("section.missing")).to_be_visible()
        tab.page.locator(".line a").first.focus()
        expect(tab.page.locator("#detail dd").first).to_have_text("1")
    world.close()
