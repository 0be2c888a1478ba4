"""Each page, clicked through as people do: its figures are those of SQL."""

import re
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import expect

from models.tables_types import instant_text
from tests.explore.browser.audience import ask, ask_one, spoiled
from tests.explore.browser.conftest import Filled, Open
from tests.explore.browser.tabs import Tab, attributes, exact
from tests.explore.served import NOW

FIRST_PAGE_BYTES_MAX: Final = 200_000
DAY_AGO: Final = instant_text(NOW - 86_400_000)
SUMS: Final = {
    "Sessions": "count(*)",
    "Content starts": "count(*) FILTER (WHERE content_started)",
    "Completions": "count(*) FILTER (WHERE completed)",
    "Left before the start": "count(*) FILTER (WHERE dropped_before_start)",
    "Content": "sum(content_ms)",
    "Unbookended ads": "sum(unbookended_ad_ms)",
    "Ads": "sum(ad_ms)",
    "Rebuffering": "sum(buffer_ms + stall_ms)",
}


def totals_are_those_of_sql(tab: Tab, filled: Filled, where: str, **values: str) -> None:
    query = f"SELECT {', '.join(SUMS.values())} FROM sessions WHERE {where}"  # noqa: S608
    wanted = dict(zip(SUMS, ask_one(filled.engine, query, **values), strict=True))
    assert {label: tab.figure(label) for label in SUMS} == wanted


def test_from_the_first_page_to_each_other(filled: Filled, open_tab: Open) -> None:
    tab = open_tab(filled.site)
    tab.open("/")
    for name in ("Sessions", "Findings", "Retention", "Overview"):
        tab.page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        assert tab.heading() == name
        current = tab.page.locator("nav [aria-current=page]")
        assert current.inner_text() == name


def test_overview(filled: Filled, open_tab: Open) -> None:
    tab = open_tab(filled.site)
    tab.open("/")
    totals_are_those_of_sql(tab, filled, "started_at >= :since", since=DAY_AGO)
    tab.page.get_by_label("Started").select_option("all")
    tab.page.locator("summary", has_text="Filters").click()
    tab.page.get_by_label("Player", exact=True).fill("tv app")
    tab.page.get_by_role("button", name="Show").click()
    assert tab.path == "/overview?range=all&player=tv+app"
    expect(tab.page.get_by_label("Player", exact=True)).to_have_value("tv app")
    totals_are_those_of_sql(tab, filled, "player_name = 'tv app'")
    shared = open_tab(filled.site)  # what somebody sees to whom the address was sent
    shared.open(tab.path)
    assert shared.figure("Content") == tab.figure("Content")


def figures_of(tab: Tab, chart: str) -> None:
    """Opens the table of a chart."""
    plot = tab.page.locator(".plot", has=tab.page.get_by_role("heading", name=chart))
    plot.locator("summary").click()


def test_overview_by_hour(filled: Filled, open_tab: Open) -> None:
    tab = open_tab(filled.site)
    tab.open("/overview")
    figures_of(tab, "Starts")
    hours, counts = (tab.cells("Figures: Starts", column) for column in range(2))
    hour = "substr(CAST(started_at AS text), 1, 13)"
    query = f"""SELECT {hour}, count(*) FROM sessions
        WHERE started_at >= :since GROUP BY 1"""  # noqa: S608 - our own
    wanted = {f"{name}:00": f"{n:,}" for name, n in ask(filled.engine, query, since=DAY_AGO)}
    shown = dict(zip(hours, counts, strict=True))
    assert {name: n for name, n in shown.items() if n != "0"} == wanted


def test_viewers_and_players_of_the_overview(filled: Filled, open_tab: Open) -> None:
    tab = open_tab(filled.site)
    tab.open("/overview")
    figures_of(tab, "Viewers")
    columns = [tab.cells("Figures: Viewers", column) for column in range(2)]
    shown = {at: count for at, count in zip(*columns, strict=True) if count != "0"}
    assert len(shown) > 10
    query = """SELECT count(*) FROM spans WHERE started_at <= :at AND ended_at > :at
        AND activity NOT IN ('pause', 'ended', 'untracked')"""
    for at in [*shown][::40]:
        (count,) = ask_one(filled.engine, query, at=f"{at}:00.000")
        assert shown[at] == f"{count:,}"
    query = """SELECT sum(unbookended_ad_ms), count(*) FROM sessions
        WHERE started_at >= :since AND finding_count > 0
        GROUP BY player_name, app_version ORDER BY 1 DESC, 2 DESC"""
    wanted = [float(n) for row in ask(filled.engine, query, since=DAY_AGO) for n in row]
    assert exact(tab.table("Players and app versions").locator("data")) == wanted


def test_a_chart_tells_what_its_table_says(sqlite_filled: Filled, open_tab: Open) -> None:
    tab = open_tab(sqlite_filled.site)
    tab.open("/overview")
    chart = tab.page.get_by_role("slider", name="Starts")
    chart.focus()
    tab.page.keyboard.press("Home")
    tab.page.keyboard.press("ArrowRight")
    figures_of(tab, "Starts")
    second = tab.table("Figures: Starts").nth(1).locator("th, td").all_inner_texts()
    told = chart.get_attribute("aria-valuetext") or ""
    assert told.startswith(f"{second[0]}: Sessions {second[1]}, Content starts {second[2]}")
    plot = tab.page.locator(".plot", has=chart)
    expect(plot.locator(".readout")).to_have_text(told)
    chart.focus()
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url("**/overview?from=*")
    hour = second[0].replace(" ", "T")
    assert parse_qs(urlsplit(tab.path).query)["from"] == [hour]


def test_a_time_is_dragged_over(sqlite_filled: Filled, open_tab: Open) -> None:
    tab = open_tab(sqlite_filled.site)
    tab.open("/overview?channel=web")
    over = tab.page.locator("#viewers .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    x, y, width = box["x"], box["y"] + box["height"] / 2, box["width"]
    tab.page.mouse.move(x + width / 4, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x + width / 2, y, steps=4)
    tab.page.mouse.up()
    tab.page.wait_for_url("**from=*")
    query = parse_qs(urlsplit(tab.path).query)
    begin, end = (datetime.fromisoformat(query[name][0]) for name in ("from", "to"))
    assert query["channel"] == ["web"]
    assert "range" not in query
    assert timedelta(hours=5.5) < end - begin < timedelta(hours=6.5)


def test_the_first_page_comes_in_few_bytes(sqlite_filled: Filled, open_tab: Open) -> None:
    tab = open_tab(sqlite_filled.site, fresh=True)
    sizes: list[int] = []
    devtools = tab.page.context.new_cdp_session(tab.page)
    devtools.send("Network.enable")
    devtools.on("Network.loadingFinished", lambda told: sizes.append(told["encodedDataLength"]))
    tab.open("/")
    tab.page.wait_for_load_state("networkidle")
    assert len(sizes) >= 3  # the page, its style, its script
    assert sum(sizes) <= FIRST_PAGE_BYTES_MAX


def listed(tab: Tab) -> list[str]:
    """The session ids of the list's rows."""
    links = attributes(tab.table("List").locator("th a"), "href")
    return [parse_qs(urlsplit(link).query)["id"][0] for link in links]


def test_list_of_sessions(filled: Filled, open_tab: Open) -> None:
    tab = open_tab(filled.site)
    tab.open("/sessions")
    tab.page.get_by_label("Started").select_option("all")
    tab.page.get_by_label("Order").select_option("most content time")
    tab.page.get_by_role("button", name="Show").click()
    query = "SELECT session_id, content_ms FROM sessions ORDER BY content_ms DESC, session_id"
    wanted = ask(filled.engine, query)
    found = listed(tab)
    figures = exact(tab.table("List").locator("td:nth-child(6) data"))
    tab.page.get_by_role("link", name="Next").click()
    found += listed(tab)
    expect(tab.page.get_by_text("End of the list")).to_be_visible()
    assert found == [row.session_id for row in wanted]
    assert figures == [row.content_ms for row in wanted][: len(figures)]
    tab.page.get_by_role("link", name="First page").click()
    assert listed(tab) == found[: len(figures)]


def test_a_session_is_searched_for_and_opened(filled: Filled, open_tab: Open) -> None:
    session_id = spoiled(filled.engine)
    tab = open_tab(filled.site)
    tab.open("/sessions?range=all")
    tab.page.get_by_label("Search").fill(session_id[:12])
    tab.page.get_by_label("Search").press("Enter")
    assert listed(tab) == [session_id]
    tab.page.get_by_role("region", name="List").locator("tbody a").click()
    assert tab.page.locator(".id").inner_text() == session_id


def test_a_session(filled: Filled, open_tab: Open) -> None:
    session_id = spoiled(filled.engine)
    tab = open_tab(filled.site)
    tab.open(f"/session?id={session_id}")
    row = ask_one(filled.engine, "SELECT * FROM sessions WHERE session_id = :id", id=session_id)
    totals = tab.page.locator("section", has=tab.page.get_by_role("heading", name="Totals"))
    assert exact(totals.locator("data"))[0] == row.content_ms
    query = """SELECT duration_ms, activity, counted_as FROM spans
        WHERE session_id = :id ORDER BY span_number"""
    spans = ask(filled.engine, query, id=session_id)
    lengths = exact(tab.table("Stretches").locator("data"))
    assert lengths == [span.duration_ms for span in spans]
    on_screen, counted = (
        attributes(tab.page.locator(f".line a .bar:nth-of-type({row})"), "class") for row in (1, 2)
    )
    assert on_screen == [f"bar a-{span.activity}" for span in spans]
    assert [kind.replace("moved", "content") for kind in counted] == [
        f"bar c-{span.counted_as}" for span in spans
    ]
    assert sum(exact(tab.page.locator("section.missing data"))) == row.unbookended_ad_ms > 0


MARKS: Final = "Breaks, chapters, player states"


def test_player_states_of_a_session(filled: Filled, open_tab: Open) -> None:
    session_id = spoiled(filled.engine)
    tab = open_tab(filled.site)
    tab.open(f"/session?id={session_id}")
    query = "SELECT name, total_ms FROM player_states WHERE session_id = :id ORDER BY state_number"
    states = ask(filled.engine, query, id=session_id)
    names = [name.strip() for name in tab.cells(MARKS, 4)]
    lengths = exact(tab.table(MARKS).locator("data"))
    assert len(lengths) > len(states) > 1
    for name, total in states:
        what = f"player state {name}"
        times = [ms for one, ms in zip(names, lengths, strict=True) if one == what]
        assert sum(times) == total
    mark = tab.page.get_by_role("link", name="player state mute,").last
    mark.locator(".on").hover()
    told = tab.page.locator("#detail dd")
    row = tab.table(MARKS).last
    expect(told).to_have_text(row.locator("th, td").all_text_contents())
    width = tab.page.locator(".line").evaluate("e => e.getBoundingClientRect().width")
    box, whole = mark.locator(".on").bounding_box(), tab.page.locator(".line").bounding_box()
    assert box is not None
    assert whole is not None
    row_ms = float(ask_one(filled.engine, LENGTH, id=session_id)[0])
    assert box["width"] / width == pytest.approx(lengths[-1] / row_ms, abs=0.005)
    assert box["x"] + box["width"] == pytest.approx(whole["x"] + whole["width"], abs=2)


LENGTH: Final = "SELECT sum(duration_ms) FROM spans WHERE session_id = :id"


def test_a_stretch_tells_of_itself_under_the_pointer(filled: Filled, open_tab: Open) -> None:
    tab = open_tab(filled.site)
    tab.open(f"/session?id={spoiled(filled.engine)}")
    stretch = tab.page.locator(".line a").nth(1)
    bar = stretch.locator(".bar").first
    bar.hover()
    told = stretch.get_attribute("aria-label") or ""
    assert re.search(r"\d:\d\d to \d+:\d\d, .* playhead .* counted as .* \(rule ", told)
    row = tab.page.locator("table.stretches tbody tr").nth(1)
    detail = tab.page.locator("#detail")
    expect(detail.locator("dd")).to_have_text(row.locator("th, td").all_text_contents())
    names = ["No.", "From", "To", "Length", "On screen", "Counted as", "Playhead", "Why"]
    expect(detail.locator("dt")).to_have_text(names)
    expect(detail.get_by_role("link", name="rule ")).to_be_visible()
    bar.click()
    target = (stretch.get_attribute("href") or "").removeprefix("#")
    expect(tab.page.locator(f"[id='{target}']")).to_be_in_viewport()


def test_findings_down_to_their_sessions(filled: Filled, open_tab: Open) -> None:
    tab = open_tab(filled.site)
    tab.open("/findings?range=all")
    query = """SELECT player_name, app_version, code,
            sum(moved_ms) AS moved_ms, sum(sessions) AS sessions
        FROM findings_daily GROUP BY player_name, app_version, code
        ORDER BY coalesce(sum(moved_ms), 0) DESC, sum(sessions) DESC, code LIMIT 1"""
    worst = ask_one(filled.engine, query)
    first = tab.table("Findings, and what to do").first
    assert first.locator("td").nth(1).inner_text() == worst.app_version
    assert exact(first.locator("data"))[:2] == [int(worst.moved_ms), int(worst.sessions)]
    first.locator("th a").first.click()
    assert tab.heading() == "Sessions"
    assert len(listed(tab)) == worst.sessions


def test_retention_of_a_content(filled: Filled, open_tab: Open) -> None:
    tab = open_tab(filled.site)
    tab.open("/retention?range=all")
    query = """SELECT content_id, sum(plays) AS plays FROM retention WHERE percent = 0
        GROUP BY content_id ORDER BY sum(plays) DESC, content_id LIMIT 1"""
    most = ask_one(filled.engine, query)
    tab.page.get_by_role("link", name=most.content_id, exact=True).click()
    assert exact(tab.page.locator("main data"))[0] == most.plays
    query = """SELECT percent, sum(sessions) AS plays FROM retention
        WHERE content_id = :id GROUP BY percent ORDER BY percent"""
    wanted = [f"{row.plays:,}" for row in ask(filled.engine, query, id=most.content_id)]
    figures_of(tab, "Share of plays")
    assert tab.cells("Figures: Share of plays", 3) == wanted
    assert f"content={quote(most.content_id)}" in tab.path
