"""Players and versions by what they do wrong: the figures of SQL, down to the sessions."""

from sqlalchemy import Engine, text

from tests.explore.served import Answer, Site
from tests.explore.test_sessions import ids
from tests.reports.rows import Rows


def examples(page: Answer) -> list[str]:
    """The addresses of lists of sessions that have a finding."""
    links = [link.attributes["href"] for link in page.all("a")]
    return [link for link in links if link.startswith("/explore/sessions") and "finding=" in link]


def some_findings(rows: Rows) -> None:
    for number, player in enumerate(("tv", "tv", "web")):
        name, moved = f"s{number}", (10_000, 30_000, 20_000)[number]
        rows.session(
            name, "10:00", player_name=player, app_version="1.0", finding_count=2,
            unbookended_ad_ms=moved, channel=("a", "b", "b")[number],
        )  # fmt: skip
        rows.finding(name, "ping_gap", 1_000)
        rows.finding(name, "ad_without_break")
        rows.ad(name, 1, "10:00", playing_ms=moved)


def test_findings_are_ranked_as_sql_ranks_them(engine: Engine, rows: Rows, site: Site) -> None:
    some_findings(rows)
    page = site.ask("/explore/findings")
    query = (
        "SELECT moved_ms, sessions, times FROM findings_daily"
        " ORDER BY coalesce(moved_ms, 0) DESC, sessions DESC"
    )
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    assert page.status == 200
    assert found[:2] == [(40_000, 2, 2), (20_000, 1, 1)]
    builds = [40_000, 2, 20_000, 1]
    assert page.figures == builds + [value for row in found for value in row if value is not None]
    assert [sorted(ids(site.ask(link))) for link in examples(page)] == [
        ["s0", "s1"], ["s2"], ["s0", "s1"], ["s2"],
    ]  # fmt: skip


def test_a_break_that_is_open_moves_only_its_own_ads(rows: Rows, site: Site) -> None:
    rows.session("s", "10:00", finding_count=1, unbookended_ad_ms=7_000, ad_ms=9_000)
    rows.finding("s", "break_not_completed")
    rows.ad_break("s", 1, "10:00", tracked=True)
    rows.ad_break("s", 2, "10:05", tracked=False)
    rows.ad("s", 1, "10:00", break_number=1, playing_ms=9_000)
    rows.ad("s", 2, "10:05", break_number=2, playing_ms=7_000)
    assert site.ask("/explore/findings").figures == [7_000, 1, 7_000, 1, 1]


def test_every_filter_holds(rows: Rows, site: Site) -> None:
    some_findings(rows)
    for query, figures in (
        ("player=web", [20_000, 1]),
        ("channel=b", [30_000, 1, 20_000, 1]),
        ("channel=b&player=tv", [30_000, 1]),
        ("finding=ping_gap&channel=a", [10_000, 1]),
        ("from=2026-03-01T10:01", []),
    ):
        page = site.ask(f"/explore/findings?{query}")
        assert page.status == 200
        assert page.figures[: len(figures)] == figures, query
        assert bool(page.figures) == bool(figures)


def test_hostile_builds_stay_text(rows: Rows, site: Site) -> None:
    rows.session("s", "10:00", player_name="<script>x</script>", app_version="<b>", finding_count=1)
    rows.finding("s", "ping_gap")
    page = site.ask("/explore/findings")
    assert "&lt;script&gt;x" in page.text
    assert not page.all("b")
    (link,) = examples(page)
    assert ids(site.ask(link)) == ["s"]


def test_no_finding_says_what_to_do(rows: Rows, site: Site) -> None:
    rows.session("s", "10:00")
    page = site.ask("/explore/findings")
    assert (page.status, page.figures) == (200, [])
    assert "No findings" in page.text
