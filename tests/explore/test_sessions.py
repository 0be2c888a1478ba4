"""The list of sessions: the figures of SQL, filters in the address, parts found by key."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from sqlalchemy import Engine, text

import explore.reading
from explore.filters import RANGES_MS, SORTS
from explore.pages import RANGE_WORDS, SORT_WORDS
from explore.reading import PAGE_ROWS
from tests.explore.served import Answer, Site
from tests.reports.rows import DAY, Rows


def ids(page: Answer) -> list[str]:
    """The sessions of a page, in its order."""
    links = [link.attributes["href"] for link in page.all("a")]
    return [
        parse_qs(urlsplit(link).query)["id"][0]
        for link in links
        if link.startswith("/explore/session?")
    ]


def test_figures_are_those_of_sql(engine: Engine, rows: Rows, site: Site) -> None:
    rows.session("a", "10:00", content_ms=3_723_000, ad_ms=45_000, unbookended_ad_ms=1_500)
    rows.session("b", "11:00", content_ms=59_999, live=True, finding_count=1_234)
    page = site.sessions()
    with engine.connect() as connection:
        query = "SELECT content_ms, ad_ms, unbookended_ad_ms FROM sessions ORDER BY started_at DESC"
        wanted = [value for row in connection.execute(text(query)) for value in row]
    assert page.status == 200
    assert page.figures == wanted
    words = [element.text for element in page.all("data")]
    assert (words[0], words[3]) == ("59.999 s", "1 h 02 min")
    assert "1,234" in page.text
    assert [status.text for status in page.all("span", "status")] == ["live", "closed"]


def test_filters_stand_in_the_address(rows: Rows, site: Site) -> None:
    rows.session("a", "10:00", content_id="film", channel="web", content_name="100 % Night_Train")
    rows.session("b", "10:30", content_id="film", channel="app", player_name="tv", live=True)
    rows.session("c", "11:30", content_id="news", channel="web", app_version="2.0")
    rows.session("old", "2026-02-01 10:00", content_id="film")
    for query, wanted in (
        ({}, ["c", "b", "a"]),
        ({"range": "hour"}, ["c"]),
        ({"range": "all"}, ["c", "b", "a", "old"]),
        ({"range": "all", "sort": "oldest"}, ["old", "a", "b", "c"]),
        ({"content": "film"}, ["b", "a"]),
        ({"content": "film", "channel": "web"}, ["a"]),
        ({"player": "tv"}, ["b"]),
        ({"version": "2.0"}, ["c"]),
        ({"status": "live"}, ["b"]),
        ({"from": f"{DAY}T10:30", "to": f"{DAY}T11:30"}, ["b"]),
        ({"q": "night_train"}, ["a"]),
        ({"q": "100 %"}, ["a"]),
        ({"q": "%"}, ["a"]),
        ({"q": "_"}, ["a"]),
        ({"q": "b"}, ["b"]),
        ({"q": "' OR 1=1 --"}, []),
    ):
        page = site.sessions(**query)
        assert (page.status, ids(page)) == (200, wanted), query


@pytest.mark.parametrize("sort", ["newest", "oldest"])
@pytest.mark.parametrize("bounds", [{"range": "all"}, {"from": "2025-12-01", "to": "2026-03-02"}])
def test_time_is_gone_through_from_the_nearest_hour_to_the_first(
    rows: Rows, site: Site, sort: str, bounds: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore.reading, "PAGE_ROWS", 2)
    starts = ("2025-12-31 00:00", "2026-02-27 11:00", "2026-02-28 10:00", "2026-03-01 10:30",
              "2026-03-01 11:30", "2026-03-01 11:31", "2026-03-01 13:00")  # fmt: skip
    for number, start in enumerate(starts):
        rows.session(f"s{number}", start)
    found: list[str] = []
    query = f"?{urlencode({'sort': sort, **bounds})}"
    while query:
        page = site.ask(f"/explore/sessions{query}")
        found += ids(page)
        following = [a for a in page.all("a") if a.attributes.get("rel") == "next"]
        query = following[0].attributes["href"] if following else ""
    wanted = [f"s{number}" for number in range(7)]
    assert found == (wanted if sort == "oldest" else wanted[::-1])


@pytest.mark.parametrize("sort", SORTS)
def test_parts_join_without_a_gap_or_a_repeat(rows: Rows, site: Site, sort: str) -> None:
    count = 2 * PAGE_ROWS + 7
    for number in range(count):
        # Many share a value: the id decides then.
        figures: dict[str, Any] = {"content_ms": number % 5, "unbookended_ad_ms": number % 3}
        rows.session(f"s{number:03}", f"11:{number % 10:02}", **figures, finding_count=number % 2)
    found: list[str] = []
    page = site.sessions(sort=sort)
    for _ in range(3):
        found += ids(page)
        following = [a for a in page.all("a") if a.attributes.get("rel") == "next"]
        if following:
            page = site.ask(f"/explore/sessions{following[0].attributes['href']}")
    assert not following
    assert len(found) == count
    assert set(found) == {f"s{number:03}" for number in range(count)}


def test_the_form_shows_what_was_asked_for(rows: Rows, site: Site) -> None:
    rows.session("a", "10:00", channel='"><b>')
    page = site.sessions(channel='"><b>', sort="findings", **{"from": f"{DAY}T09:00"})
    values = {e.attributes.get("name"): e.attributes.get("value") for e in page.all("input")}
    assert values["channel"] == '"><b>'
    assert values["from"] == f"{DAY}T09:00"
    chosen = [e.attributes["value"] for e in page.all("option") if "selected" in e.attributes]
    assert "findings" in chosen
    assert not page.all("b")


def test_every_choice_has_words() -> None:
    assert RANGE_WORDS.keys() == RANGES_MS.keys()
    assert SORT_WORDS.keys() == SORTS.keys()


def test_nothing_there_says_what_to_do(engine: Engine, serve: Callable[..., Site]) -> None:
    assert "bookended simulate" in serve(engine).sessions().text


def test_nothing_that_fits_says_what_to_do(rows: Rows, site: Site) -> None:
    rows.session("old", "2026-02-01 10:00")
    page = site.sessions()
    assert page.status == 200
    assert "No session fits" in page.text
    assert "/explore/sessions?range=all" in [a.attributes["href"] for a in page.all("a")]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"nonsense": "1"}, "nonsense"),
        ({"sort": "content_ms; DROP TABLE sessions"}, "sort"),
        ({"range": "eon"}, "range"),
        ({"from": "yesterday"}, "from"),
        ({"from": "0001-01-01"}, "1970"),
        ({"from": "9999-12-31T23:59:59-23:00"}, "from"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "before"),
        ({"q": "x" * 301}, "longer"),
        ({"channel": "a\0b"}, "control"),
        ({"after": "1"}, "after"),
        ({"after": "999999999999999~a"}, "after"),
        ({"after": "²~a"}, "after"),
    ],
)
def test_hostile_filters_are_refused(
    rows: Rows, site: Site, query: dict[str, str], told: str
) -> None:
    page = site.sessions(**query)
    assert page.status == 400
    assert told in page.text
    assert page.all("h1")


def test_ten_years_are_a_range_like_any_other(rows: Rows, site: Site) -> None:
    rows.session("a", "10:00")
    page = site.sessions(**{"from": "2020-01-01", "to": "2030-01-01"})
    assert (page.status, ids(page)) == (200, ["a"])
