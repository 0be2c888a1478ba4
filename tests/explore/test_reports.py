"""Overview and ranking of findings: every figure is that of SQL, under every filter."""

from typing import Any, Final

import pytest
from sqlalchemy import Engine, text

from explore.bars import HEIGHT, chart
from tests.explore.served import Answer, Site
from tests.explore.test_sessions import ids
from tests.reports.rows import DAY, Rows

TOTALS: Final = """
SELECT count(*), sum(CASE WHEN status = 'live' THEN 1 ELSE 0 END),
       sum(CASE WHEN content_started THEN 1 ELSE 0 END),
       sum(CASE WHEN dropped_before_start THEN 1 ELSE 0 END),
       sum(CASE WHEN completed THEN 1 ELSE 0 END),
       sum(content_ms), sum(unbookended_ad_ms), sum(ad_ms), sum(buffer_ms + stall_ms),
       sum(CASE WHEN finding_count > 0 THEN 1 ELSE 0 END)
FROM sessions WHERE channel = 'web'
"""


def some_sessions(rows: Rows) -> None:
    for number, channel in enumerate(("web", "web", "app", "web")):
        figures: dict[str, Any] = {
            "content_ms": 3_600_000 * (number + 1), "ad_ms": 60_000 * number,
            "unbookended_ad_ms": 30_000 * number, "buffer_ms": 1_000, "stall_ms": 500,
            "watched_ms": 4_000_000, "finding_count": number % 2, "completed": number == 1,
            "content_started": number > 0, "dropped_before_start": number == 0,
        }  # fmt: skip
        rows.session(f"s{number}", f"0{number}:30", channel=channel, live=number == 3, **figures)


def parts(page: Answer) -> list[str]:
    """The units of time that have a bar."""
    return [title.text.partition(": ")[0] for title in page.all("title")[1:]]


def examples(page: Answer) -> list[str]:
    """The addresses of lists of sessions that have a finding."""
    links = [link.attributes["href"] for link in page.all("a")]
    return [link for link in links if "finding=" in link]


def test_totals_are_those_of_sql(engine: Engine, rows: Rows, site: Site) -> None:
    some_sessions(rows)
    page = site.ask("/explore/overview?channel=web")
    with engine.connect() as connection:
        wanted = [int(value) for value in connection.execute(text(TOTALS)).one()]
    assert page.status == 200
    assert page.figures == wanted
    assert parts(page) == [f"{DAY} 00", f"{DAY} 01", f"{DAY} 03"]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("range=week", [DAY]),
        ("range=all", [DAY[:7]]),
        ("from=2020-01-01&to=2030-01-01", [DAY[:7]]),
        (f"from={DAY}T02:00", [f"{DAY} 02", f"{DAY} 03"]),
    ],
)
def test_a_longer_time_has_longer_parts(
    rows: Rows, site: Site, query: str, wanted: list[str]
) -> None:
    some_sessions(rows)
    page = site.ask(f"/explore/overview?{query}")
    assert page.status == 200
    assert parts(page) == wanted


def test_bars_stand_where_their_time_is() -> None:
    def part(name: str, content_ms: int, moved: int = 0, ad_ms: int = 0) -> dict[str, Any]:
        figures = {"content_ms": content_ms, "unbookended_ad_ms": moved, "ad_ms": ad_ms}
        return {"part": name, "sessions": 1, **figures}

    drawn = chart([part("2026-02-27", 60, 20, 40), part("2026-03-02", 50)], "day")
    assert drawn is not None
    assert [bar.x for bar in drawn.bars] == [0, 75]
    pieces = drawn.bars[0].pieces
    assert [(piece.kind, piece.height) for piece in pieces] == [
        ("content", 0.4 * HEIGHT),
        ("moved", 0.2 * HEIGHT),
        ("ad", 0.4 * HEIGHT),
    ]
    assert pieces[-1].y == 0
    assert chart([part("2026-03-01", 0)], "day") is None


@pytest.mark.parametrize("path", ["overview", "findings"])
def test_nothing_says_what_to_do(rows: Rows, site: Site, path: str) -> None:
    page = site.ask(f"/explore/{path}")
    assert page.status == 200
    assert f"/explore/{path}?range=all" in page.text


def test_findings_are_ranked_by_the_time_they_moved(engine: Engine, rows: Rows, site: Site) -> None:
    for number, player in enumerate(("tv", "tv", "web")):
        name = f"s{number}"
        rows.session(name, "10:00", player_name=player, app_version="1.0", finding_count=2)
        rows.finding(name, "ping_gap", 1_000)
        rows.finding(name, "ad_without_break")
        rows.ad(name, 1, "10:00", playing_ms=(10_000, 30_000, 20_000)[number])
    page = site.ask("/explore/findings")
    query = (
        "SELECT moved_ms, sessions, times FROM findings_daily"
        " ORDER BY coalesce(moved_ms, 0) DESC, sessions DESC"
    )
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    assert page.status == 200
    assert found[:2] == [(40_000, 2, 2), (20_000, 1, 1)]
    assert page.figures == [value for row in found for value in row if value is not None]
    assert [sorted(ids(site.ask(link))) for link in examples(page)] == [
        ["s0", "s1"], ["s2"], ["s0", "s1"], ["s2"],
    ]  # fmt: skip
    only = site.ask("/explore/findings?player=web")
    builds = [cell.text for cell in only.all("th") if cell.attributes["scope"] == "row"]
    assert builds == ["web", "web"]


def test_findings_refuse_a_filter_that_they_do_not_have(rows: Rows, site: Site) -> None:
    page = site.ask("/explore/findings?channel=web")
    assert page.status == 400
    assert "player and version" in page.text


def test_hostile_builds_stay_text(rows: Rows, site: Site) -> None:
    rows.session("s", "10:00", player_name="<script>x</script>", app_version="<b>", finding_count=1)
    rows.finding("s", "ping_gap")
    page = site.ask("/explore/findings")
    assert "&lt;script&gt;x" in page.text
    assert not page.all("b")
    (link,) = examples(page)
    assert ids(site.ask(link)) == ["s"]
