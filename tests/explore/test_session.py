"""A session's page: its time line, what a missing bookend moved, findings, and hostile names."""

import re
from typing import Any, Final

from sqlalchemy import Engine, text

from models.rule_texts import RULE_TEXTS
from tests.documents import read
from tests.explore.served import Site
from tests.reports.rows import Rows, at

HOSTILE: Final = """<script>alert(1)</script>"'&{{7*7}}</title><svg onload=x>\u202e"""


def two_breaks(rows: Rows) -> None:
    """One break with both bookends, one that was never completed."""
    figures: dict[str, Any] = {"content_ms": 75_000, "ad_ms": 15_000, "unbookended_ad_ms": 15_000}
    rows.session("s1", "10:00", **figures, finding_count=1, content_name="Night Train")
    rows.ad_break("s1", 1, "10:00", ended_at=at("10:00:15"), tracked=True, ad_ms=15_000)
    rows.ad("s1", 1, "10:00", break_number=1, ended_at=at("10:00:15"))
    rows.ad_break("s1", 2, "10:01", ended_at=at("10:01:30"), tracked=False, ad_ms=15_000)
    rows.ad("s1", 2, "10:01", break_number=2, ended_at=at("10:01:15"))
    ad = {"activity": "ad", "duration_ms": 15_000}
    rows.span("s1", 1, "10:00", "10:00:15", break_number=1, ad_number=1, **ad)
    rows.span("s1", 2, "10:00:15", "10:01", duration_ms=45_000)
    rows.span("s1", 3, "10:01", "10:01:15", break_number=2, ad_number=2, **ad)
    rows.span("s1", 4, "10:01:15", "10:01:30", duration_ms=15_000)
    rows.finding("s1", "break_not_completed")


def test_the_time_line_has_every_stretch_in_both_rows(
    engine: Engine, rows: Rows, site: Site
) -> None:
    two_breaks(rows)
    page = site.session("s1")
    assert page.status == 200
    bars = page.all("rect", "bar")
    assert [bar.classes[1] for bar in bars[::2]] == ["a-ad", "a-content", "a-ad", "a-content"]
    assert [bar.classes[1] for bar in bars[1::2]] == [
        "c-ad", "c-content", "c-moved", "c-content",
    ]  # fmt: skip
    places = [(bar.attributes["x"], bar.attributes["width"]) for bar in bars[::2]]
    assert places == [
        ("0.0%", "16.667%"), ("16.667%", "50.0%"), ("66.667%", "16.666%"), ("83.333%", "16.667%"),
    ]  # fmt: skip
    with engine.connect() as connection:
        query = "SELECT duration_ms FROM spans WHERE session_id = 's1' ORDER BY span_number"
        lengths = list(connection.execute(text(query)).scalars())
    assert page.figures[-len(lengths) :] == lengths


def test_a_missing_bookend_stands_out_with_what_it_moved(rows: Rows, site: Site) -> None:
    two_breaks(rows)
    page = site.session("s1")
    (missing,) = page.all("section", "missing")
    assert "adBreakComplete of break 2 : 15 s of ads counted as content" in missing.text.replace(
        "break 2:", "break 2 :"
    )
    assert page.figures[0] == 15_000
    assert [mark.classes[1] for mark in page.all("rect", "mark")] == ["whole", "broken"]
    (flag,) = page.all("g", "flag")
    assert "adBreakComplete of break 2 is missing, 15 s of ads" in flag.attributes["aria-label"]
    (line,) = [line for line in page.all("line") if line.attributes["x1"] == "83.333%"]
    assert line.attributes["x2"] == "83.333%"  # where the last ad ended


def test_a_stretch_tells_all_of_itself_to_a_keyboard(rows: Rows, site: Site) -> None:
    two_breaks(rows)
    page = site.session("s1")
    links = [a for a in page.all("a") if a.attributes.get("data-row") == "stretches"]
    label = links[2].attributes["aria-label"]
    for part in ("ad, 1:00 to 1:15, 15 s", "playhead 0 to 0 s", "a bookend is missing", "rule"):
        assert part in label
    targets = {row.attributes.get("id") for row in page.all("tr")}
    assert {link.attributes["href"].removeprefix("#") for link in links} <= targets


def test_findings_come_with_advice(rows: Rows, site: Site) -> None:
    two_breaks(rows)
    assert "Send adBreakComplete after the last ad" in site.session("s1").text


def test_the_rules_that_decided_stand_on_the_page(rows: Rows, site: Site) -> None:
    two_breaks(rows)
    page = site.session("s1")
    linked = {a.attributes["href"] for a in page.all("a") if a.text.startswith("rule ")}
    there = {f"#{dt.attributes['id']}" for dt in page.all("dt") if "id" in dt.attributes}
    assert linked == there
    assert "#rule-no-closing" in linked
    assert "that break is void" in page.text


def test_rules_have_the_words_of_the_document() -> None:
    document = read("docs/rules.md")
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", document.text)
    plain = re.sub(r" \(lines? [\d, and]+\)", "", re.sub(r"[`*]|<a id=.*?></a>", "", plain))
    for anchor, words in RULE_TEXTS.items():
        assert anchor in document.anchors
        first, _, rest = words.partition(": ")
        told = rest if anchor.startswith("policy-") else words
        assert told in " ".join(plain.split()), first


def test_player_states_have_their_totals(rows: Rows, site: Site) -> None:
    two_breaks(rows)
    rows.player_state("s1", 1, "fullscreen", count=2, total_ms=61_000)
    told = site.session("s1").all("dl", "totals")[0].text
    assert "player state fullscreen, 2 ×1 min 01 s" in told


def test_player_states_are_drawn_and_told(rows: Rows, site: Site) -> None:
    two_breaks(rows)
    periods = [[at("10:00:30"), at("10:01")], [at("10:01:15"), at("10:01:30")]]
    rows.player_state("s1", 1, "mute", count=1, total_ms=0, periods=[])
    rows.player_state("s1", 2, "fullscreen", count=2, total_ms=45_000, periods=periods)
    page = site.session("s1")
    drawn = [(bar.attributes["x"], bar.attributes["width"]) for bar in page.all("rect", "on")]
    assert drawn == [("33.333%", "33.334%"), ("83.333%", "16.667%")]
    links = [a for a in page.all("a") if a.attributes.get("data-row") == "state 2"]
    labels = [link.attributes["aria-label"] for link in links]
    assert labels[0] == (
        "player state fullscreen, 0:30 to 1:00, 30 s, playhead 0 – 0 s: "
        "on, whatever the player did meanwhile (rule state-time)"
    )
    told = {row.attributes.get("id"): row.text for row in page.all("tr")}
    assert [link.attributes["href"] for link in links] == ["#state-2-1", "#state-2-2"]
    assert "fullscreen" in told["state-2-2"]
    assert "Their time runs from start to end" in page.text
    assert "periods are kept" not in page.text


def test_breaks_and_chapters_are_drawn_and_told(rows: Rows, site: Site) -> None:
    two_breaks(rows)
    rows.session("s2", "10:00", content_ms=100_000)
    rows.ad_break("s2", 1, "10:00:30", ended_at=at("10:00:40"), tracked=True, name="mid")
    rows.chapter("s2", 1, "10:00", ended_at=at("10:00:30"), completed=True, name="Opening")
    rows.chapter("s2", 2, "10:00:50", ended_at=at("10:01"), completed=False)
    playheads = {"playhead_from_s": 100.0, "playhead_to_s": 130.0}
    rows.span("s2", 1, "10:00", "10:00:30", duration_ms=30_000, **playheads)
    rows.span("s2", 2, "10:00:30", "10:00:40", activity="break", break_number=1, **STANDING)
    playheads = {"playhead_from_s": 130.0, "playhead_to_s": 170.0}
    rows.span("s2", 3, "10:00:40", "10:01", duration_ms=20_000, **playheads)
    page = site.session("s2")
    rest = "(rule both-bookends)", "(rule chapter-time)", "(rule chapter-left)"
    labels = [a.attributes["aria-label"] for a in page.all("a") if is_mark(a.attributes)]
    assert labels == [
        f"break 1 “mid”, 0:30 to 0:40, 10 s, playhead 130 – 130 s: both bookends came {rest[0]}",
        f"chapter 1 “Opening”, 0:00 to 0:30, 30 s, playhead 100 – 130 s: completed {rest[1]}",
        f"chapter 2, 0:50 to 1:00, 10 s, playhead 150 – 170 s: not completed {rest[2]}",
    ]
    told = {row.attributes.get("id"): row.text for row in page.all("tr")}
    assert "150 – 170 s" in told["chapter-2"]
    broken = {row.attributes.get("id"): row.text for row in site.session("s1").all("tr", "moved")}
    assert "a bookend is missing" in broken["break-2"]
    assert "break-1" not in broken


STANDING: Final = {"playhead_from_s": 130.0, "playhead_to_s": 130.0, "duration_ms": 10_000}


def is_mark(attributes: dict[str, str]) -> bool:
    return attributes.get("data-row") in ("breaks", "chapters")


def test_an_open_break_of_a_live_session_may_still_be_completed(rows: Rows, site: Site) -> None:
    rows.session("s1", "10:00", live=True)
    rows.ad_break("s1", 1, "10:00", tracked=False)
    rows.span("s1", 1, "10:00", "10:01", activity="ad", break_number=1, ad_number=1)
    told = {row.attributes.get("id"): row.text for row in site.session("s1").all("tr")}
    assert "adBreakComplete has not come yet" in told["break-1"]


def test_player_states_whose_periods_are_not_all_known(rows: Rows, site: Site) -> None:
    two_breaks(rows)
    periods = [[at("10:00:30"), at("10:01")]]
    rows.player_state("s1", 1, "mute", count=9, total_ms=31_000, periods=periods)
    assert "Of mute the first 1 periods are kept" in site.session("s1").text
    rows.player_state("s1", 2, "cc", count=1, total_ms=1_000)
    assert "is not known of rows that older rules made" in site.session("s1").text


def test_without_a_log_the_page_says_how_to_give_one(rows: Rows, site: Site) -> None:
    two_breaks(rows)
    assert site.session("s1").text.count("The explorer was given no log.") == 2
    for page in ("events", "policy"):
        answer = site.session("s1", page)
        assert answer.status == 503
        assert "--log" in answer.text
        assert site.session("s2", page).status == 404


def test_a_live_session_says_how_old_it_is(rows: Rows, site: Site) -> None:
    rows.session("s1", "10:00", live=True)
    page = site.session("s1")
    assert "As of 2026-03-01 12:00:00" in page.text
    assert page.all("div")[0].attributes["data-live"] == "yes"


def test_a_session_in_which_no_time_passed(rows: Rows, site: Site) -> None:
    rows.session("s1", "10:00", live=True)
    page = site.session("s1")
    assert page.status == 200
    assert "No time has passed" in page.text
    assert "would be if it closed now" in page.text


def test_hostile_names_stay_text(rows: Rows, site: Site) -> None:
    names: dict[str, Any] = {"content_name": HOSTILE, "player_name": HOSTILE, "channel": HOSTILE}
    rows.session(HOSTILE, "10:00", **names, app_version=HOSTILE, close_reason=HOSTILE)
    rows.ad_break(HOSTILE, 1, "10:00", name=HOSTILE, tracked=True)
    rows.ad(HOSTILE, 1, "10:00", break_number=1, name=HOSTILE)
    rows.span(HOSTILE, 1, "10:00", "10:01", activity="ad", break_number=1, ad_number=1)
    rows.finding(HOSTILE, HOSTILE)
    for page in (site.sessions(), site.session(HOSTILE)):
        assert page.status == 200
        scripts = page.all("script")
        assert all(script.attributes["src"].startswith("/explore/static/") for script in scripts)
        assert all("onload" not in svg.attributes for svg in page.all("svg"))
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert(1)" in page.text
        assert "{{7*7}}" in page.all("main")[0].text


def test_an_unknown_session(rows: Rows, site: Site) -> None:
    page = site.session("<b>none</b>")
    assert page.status == 404
    assert "There is no session “<b>none</b>”" in page.all("h1")[0].text
    assert site.session("").status == 404
    rows.session("<b>none</b>1", "10:00")
    page = site.session("<b>none</b>")
    assert page.status == 404
    assert "/explore/session?id=%3Cb%3Enone%3C/b%3E1" in [
        a.attributes["href"] for a in page.all("a", "id")
    ]
    assert site.session("a\0").status == 400
