"""The retention page: shares of SQL, and where most left."""

from sqlalchemy import Engine, text

from explore.retention import curve
from tests.explore.served import Site
from tests.reports.rows import Rows


def three_plays(rows: Rows) -> None:
    """Of a content of 100 s one plays 30 s, one 60 s, one all of it."""
    for number, end in enumerate((30, 60, 100)):
        name = f"s{number}"
        rows.session(name, "10:00", content_id="film", content_length_s=100.0, content_started=True)
        rows.span(name, 1, "10:00", "10:01", playhead_from_s=0.0, playhead_to_s=float(end))


def test_the_curve_is_that_of_sql(engine: Engine, rows: Rows, site: Site) -> None:
    three_plays(rows)
    page = site.ask("/explore/retention?content=film")
    with engine.connect() as connection:
        query = "SELECT percent, sessions FROM retention ORDER BY percent"
        found = [tuple(row) for row in connection.execute(text(query))]
    labels = [title.text for title in page.all("title")[1:]]
    assert page.status == 200
    assert len(labels) == 100
    assert labels == [f"{p} %: {n} plays, {100 * n / 3:.1f} %" for p, n in found]
    assert page.figures == [3, 1, 1]
    assert [item.text for item in page.all("li")] == [
        "after 30 %: 1 play fewer, 33.3 %",
        "after 60 %: 1 play fewer, 33.3 %",
    ]
    assert [place for place, rect in enumerate(page.all("rect")) if "c-moved" in rect.classes] == [
        29, 59,
    ]  # fmt: skip


def test_without_a_content_there_is_a_choice(rows: Rows, site: Site) -> None:
    three_plays(rows)
    page = site.ask("/explore/retention")
    assert page.figures == [3]
    assert "/explore/retention?content=film" in [a.attributes["href"] for a in page.all("a")]


def test_nothing_played_says_what_to_do(rows: Rows, site: Site) -> None:
    for query in ("", "?content=none"):
        page = site.ask(f"/explore/retention{query}")
        assert page.status == 200
        assert "No plays" in page.text
    assert site.ask("/explore/retention?player=tv").status == 400


def test_the_steepest_places_are_marked() -> None:
    counts = [10, 10, 9, 9, 5, 5, 4, 3, 2, 1, 0]
    rows = [{"percent": p, "sessions": n, "plays": 10} for p, n in enumerate(counts)]
    drawn = curve(rows)
    assert drawn is not None
    assert [tuple(drop) for drop in drawn.drops] == [(3, 4), (1, 1), (5, 1), (6, 1), (7, 1)]
    assert curve([]) is None
