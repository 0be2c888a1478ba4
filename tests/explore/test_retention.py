"""The retention page: shares of SQL, and where most left."""

import pytest
from sqlalchemy import Engine, text

import explore.retention
from explore.retention import curve
from tests.explore.served import Site
from tests.reports.rows import Rows


def three_plays(rows: Rows) -> None:
    """Of a content of 100 s one plays 30 s, one 60 s, one all of it."""
    for number, end in enumerate((30, 60, 100)):
        name = f"s{number}"
        rows.session(
            name, f"10:0{number}", content_id="film", content_length_s=100.0, content_started=True,
            channel=("web", "app", "web")[number],
        )  # fmt: skip
        rows.span(name, 1, "10:00", "10:01", playhead_from_s=0.0, playhead_to_s=float(end))


def test_the_curve_is_that_of_sql(engine: Engine, rows: Rows, site: Site) -> None:
    three_plays(rows)
    page = site.ask("/explore/retention?content=film")
    with engine.connect() as connection:
        query = "SELECT percent, sessions FROM retention ORDER BY percent"
        found = [tuple(row) for row in connection.execute(text(query))]
    assert page.status == 200
    assert len(found) == 100
    steep = {29: "100.0 %", 59: "66.7 %"}
    assert page.lines == [
        (p, [f"{p} %", f"{100 * n / 3:.1f} %", steep.get(p, "–"), str(n)]) for p, n in found
    ]
    assert page.figures[0] == 3
    assert [item.text for item in page.all("li") if "fewer" in item.text] == [
        "after 30 %: 1 play fewer, 33.3 %",
        "after 60 %: 1 play fewer, 33.3 %",
    ]


def test_a_part_played_twice_and_a_live_play_count_once(
    engine: Engine, rows: Rows, site: Site
) -> None:
    three_plays(rows)
    rows.span("s0", 2, "10:01", "10:02", playhead_from_s=20.0, playhead_to_s=45.5)
    rows.session(
        "on", "11:00", live=True, content_id="film", content_length_s=100.0, content_started=True,
        span_number=1, span_activity="content", span_started_at=0, span_playhead_from_s=80.0,
        span_playhead_to_s=250.0,
    )  # fmt: skip
    rows.session("none", "11:00", content_id="film", content_length_s=100.0, content_started=True)
    with engine.connect() as connection:
        query = "SELECT sessions FROM retention ORDER BY percent"
        found = list(connection.execute(text(query)).scalars())
    page = site.ask("/explore/retention?content=film")
    assert [int(cells[-1]) for _, cells in page.lines] == found
    assert page.figures[0] == 5


def test_every_filter_holds(rows: Rows, site: Site) -> None:
    three_plays(rows)
    for query, plays in (("channel=web", 2), ("from=2026-03-01T10:01", 2), ("player=none", 0)):
        page = site.ask(f"/explore/retention?content=film&{query}")
        assert page.status == 200
        assert page.figures[:1] == ([plays] if plays else []), query
        assert site.ask(f"/explore/retention?{query}").figures[:1] == ([plays] if plays else [])


def test_of_very_many_plays_the_newest_make_the_curve(
    rows: Rows, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_plays(rows)
    monkeypatch.setattr(explore.retention, "_AT_ONCE", 1)
    assert site.ask("/explore/retention?content=film").figures[0] == 3
    monkeypatch.setattr(explore.retention, "PLAYS_MAX", 2)
    page = site.ask("/explore/retention?content=film")
    assert page.figures[0] == 2
    assert "The newest" in page.text
    assert page.lines[99] == (99, ["99 %", "50.0 %", "–", "1"])


def test_without_a_content_there_is_a_choice(rows: Rows, site: Site) -> None:
    three_plays(rows)
    page = site.ask("/explore/retention?channel=web")
    assert page.figures == [2, 0]
    links = [a.attributes["href"] for a in page.all("a")]
    assert "/explore/retention?channel=web&content=film" in links


def test_nothing_played_says_what_to_do(rows: Rows, site: Site) -> None:
    for query in ("", "?content=none"):
        page = site.ask(f"/explore/retention{query}")
        assert page.status == 200
        assert "No plays" in page.text


def test_the_steepest_places_are_marked() -> None:
    counts = dict(enumerate([10, 10, 9, 9, 5, 5, 4, 3, 2, 1] + [0] * 90))
    drawn = curve(10, counts)
    assert drawn is not None
    assert [tuple(drop) for drop in drawn.drops] == [(3, 4), (1, 1), (5, 1), (6, 1), (7, 1)]
    assert [point.percent for point in drawn.points if point.is_drop] == [1, 3, 5, 6, 7]
    assert curve(0, {}) is None
