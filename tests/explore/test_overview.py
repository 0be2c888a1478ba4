"""The overview: every figure is that of SQL, under every filter; who watches at each instant."""

from typing import Any, Final

import pytest
from sqlalchemy import Engine, text

from tests.explore.served import NOW, Site
from tests.reports.rows import DAY, Rows, at

TOTALS: Final = """
SELECT count(*),
       sum(CASE WHEN content_started THEN 1 ELSE 0 END),
       sum(CASE WHEN dropped_before_start THEN 1 ELSE 0 END),
       sum(CASE WHEN completed THEN 1 ELSE 0 END),
       sum(content_ms), sum(unbookended_ad_ms), sum(ad_ms), sum(buffer_ms + stall_ms),
       sum(CASE WHEN finding_count > 0 THEN 1 ELSE 0 END)
FROM sessions WHERE channel = 'web'
"""
WATCHING: Final = text("""
SELECT count(*) FROM spans JOIN sessions USING (session_id)
WHERE spans.started_at <= :at AND spans.ended_at > :at AND activity <> 'pause'
AND channel LIKE '%' || :channel
""")
VIEWERS: Final = 2
STARTS: Final = 7
"""Cells of a row of these charts."""
TILES: Final = 1 + 9  # viewers now, then what TOTALS asks for


def some_sessions(rows: Rows) -> None:
    for number, channel in enumerate(("web", "web", "app", "web")):
        figures: dict[str, Any] = {
            "content_ms": 3_600_000 * (number + 1), "ad_ms": 60_000 * number,
            "unbookended_ad_ms": 30_000 * number, "buffer_ms": 1_000, "stall_ms": 500,
            "watched_ms": 4_000_000, "finding_count": number % 2, "completed": number == 1,
            "content_started": number > 0, "dropped_before_start": number == 0,
        }  # fmt: skip
        rows.session(f"s{number}", f"0{number}:30", channel=channel, live=number == 3, **figures)


def test_totals_are_those_of_sql(engine: Engine, rows: Rows, site: Site) -> None:
    some_sessions(rows)
    page = site.ask("/explore/overview?channel=web")
    with engine.connect() as connection:
        wanted = [int(value) for value in connection.execute(text(TOTALS)).one()]
    assert page.status == 200
    assert page.figures[1:TILES] == wanted


def test_each_hour_has_its_figures(rows: Rows, site: Site) -> None:
    some_sessions(rows)
    page = site.ask(f"/explore/overview?from={DAY}&to={DAY}T04:00")
    hour = [cells for x, cells in page.lines if x == at("03:00") // 1000]
    time, starts, rebuffering = (cells for cells in hour if len(cells) > VIEWERS)
    assert time[1:] == ["3 h 58 min", "1 min 30 s", "3 min 00 s", "4 h 00 min"]
    assert starts[1:] == ["1", "1", "0", "0", "0.0 %", "0.0 %"]
    assert rebuffering[1:] == ["0.0 %", "0.0 %", "0.0 %", "1.5 s"]


def test_an_hour_in_which_nothing_began_is_there(rows: Rows, site: Site) -> None:
    rows.session("a", "01:30", content_ms=1_000)
    rows.session("b", "04:30", content_ms=1_000)
    page = site.ask(f"/explore/overview?from={DAY}T01:00&to={DAY}T05:00")
    assert [cells[0] for _, cells in page.lines if len(cells) == STARTS] == [
        f"{DAY} 0{hour}:00" for hour in (1, 2, 3, 4)
    ]
    page = site.ask(f"/explore/overview?from={DAY}&to=2026-03-09")
    assert [cells[0] for _, cells in page.lines if len(cells) == STARTS] == [DAY]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("range=week", [DAY]),
        ("range=month", [DAY]),
        ("range=all", [DAY[:7]]),
        ("from=2020-01-01&to=2030-01-01", [DAY[:7]]),
        (f"from={DAY}T02:00", [f"{DAY} 02:00", f"{DAY} 03:00"]),
    ],
)
def test_a_longer_time_has_longer_parts(
    rows: Rows, site: Site, query: str, wanted: list[str]
) -> None:
    some_sessions(rows)
    page = site.ask(f"/explore/overview?{query}")
    assert page.status == 200
    assert [cells[0] for _, cells in page.lines][-len(wanted) :] == wanted


def some_viewers(rows: Rows) -> None:
    """One watches, waits and watches again; one has paused; one goes on; one began long before;
    two more began before 09:30 and go on after it, one of them by a clock that was set back."""
    for name, channel in (("a", "web"), ("b", "web"), ("long", "app")):
        rows.session(name, "10:00", channel=channel)
    rows.span("a", 1, "10:00", "10:10")
    rows.span("a", 2, "10:10", "10:20", activity="stall")
    rows.span("a", 3, "10:20", "10:40")
    rows.span("b", 1, "10:00", "10:15")
    rows.span("b", 2, "10:15", "10:45", activity="pause")
    rows.span("long", 1, "2026-02-28 11:00", "10:12")
    rows.session("early", "09:00", channel="web", last_event_at=at("09:50"))
    rows.span("early", 1, "09:00", "09:50")
    rows.session(
        "set-back", "09:10", channel="web", last_event_at=at("09:05"), finding_count=1
    )  # fmt: skip
    rows.span("set-back", 1, "09:10", "09:45")
    rows.session(
        "on", "11:30", live=True, channel="web", last_event_at=NOW - 5_000, span_number=1,
        span_started_at=at("11:30"), span_activity="content",
    )  # fmt: skip


@pytest.mark.parametrize("channel", ["", "web"])
def test_viewers_are_those_of_the_time_line(
    engine: Engine, rows: Rows, site: Site, channel: str
) -> None:
    some_viewers(rows)
    page = site.ask(f"/explore/overview?from={DAY}T09:30&channel={channel}")
    shown = {x: int(cells[1]) for x, cells in page.lines if len(cells) == VIEWERS}
    with engine.connect() as connection:
        wanted = {
            ms // 1000: connection.execute(
                WATCHING, {"at": instant(ms), "channel": channel}
            ).scalar_one()
            for ms in range(at("09:30"), NOW - 60_000, 60_000)
        }
    assert shown == wanted
    assert set(wanted.values()) == ({0, 1, 2} if channel else {0, 1, 2, 3})
    assert page.figures[:2] == [1, 3 if channel else 4]  # watch now, and began in that time


def instant(ms: int) -> str:
    """As both databases compare it."""
    hours, rest = divmod((ms - at("00:00")) // 60_000, 60)
    return f"{DAY} {hours:02}:{rest:02}:00.000"


def test_a_long_time_has_no_line_of_viewers(rows: Rows, site: Site) -> None:
    some_viewers(rows)
    page = site.ask("/explore/overview?range=all")
    assert "there is no line of viewers" in page.text
    assert page.figures[0] == 1
    past = site.ask("/explore/overview?from=2020-01-01&to=2026-03-02")
    assert past.status == 200


def test_a_time_that_is_over_has_no_viewers_now(rows: Rows, site: Site) -> None:
    some_viewers(rows)
    page = site.ask(f"/explore/overview?from={DAY}T10:00&to={DAY}T11:00")
    assert "Viewers now" not in page.text
    assert "At most" in page.text
    assert "Counted every minute." in page.text


def test_a_line_of_viewers_says_how_close_it_looks(rows: Rows, site: Site) -> None:
    some_viewers(rows)
    page = site.ask(f"/explore/overview?from={DAY}T00:00&to={DAY}T12:00")
    assert "Counted every 5 minutes: a shorter time shows more." in page.text


def test_nothing_that_fits_says_what_to_do(rows: Rows, site: Site) -> None:
    for query in ("", "?channel=none", "?from=1970-01-01&to=1970-01-02", "?from=9999-01-01"):
        page = site.ask(f"/explore/overview{query}")
        assert page.status == 200
        assert "No session fits" in page.text


def test_the_worst_players_stand_on_the_overview(rows: Rows, site: Site) -> None:
    for number, player in enumerate(("tv", "web", "fine")):
        moved: dict[str, Any] = {"unbookended_ad_ms": 1_000 * number}
        moved["finding_count"] = int(player != "fine")
        rows.session(f"s{number}", "10:00", player_name=player, app_version="1", **moved)
    page = site.ask("/explore/overview")
    heads = [head.text for head in page.all("th") if head.attributes["scope"] == "row"]
    assert heads[-2:] == ["web", "tv"]
