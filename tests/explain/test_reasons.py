"""Why a stretch counts as it does, in words: small sessions through the real fold and views."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from commands.explaining import find_session
from explore.reading import session_rows
from models.policy import DEFAULT_POLICY, Policy
from models.records import Event
from models.time_line import Reason, SessionRows, Stretch, differences, stretches, totals
from processor.database import snapshot
from tests.documents import read
from tests.processor_shell.test_exactly_once import crowd
from tests.processor_shell.world import World, event, session_id

Rows = Callable[..., SessionRows]
AS_ADS = Policy(unclosed_break="ad")
START = event("sessionStart", 0, params={"media.length": 600, "media.contentType": "VOD"})
AD = {"media.ad.id": "a", "media.ad.length": 5, "media.ad.podPosition": 1}
AD_BREAK = {"media.ad.podIndex": 1, "media.ad.podSecond": 0}


def read_rows(connection: Connection, found: str) -> SessionRows:
    """Of a session that there is."""
    rows = session_rows(connection, found)
    assert rows is not None
    return rows


@pytest.fixture
def rows_of(tmp_path: Path) -> Iterator[Rows]:
    """What the views have of a session that sent these events."""
    made: list[World] = []

    def make(*events: Event, policy: Policy = DEFAULT_POLICY) -> SessionRows:
        made.append(World(tmp_path, policy))
        made[0].append_events(1, START, *events)
        made[0].now_ms = events[-1].received_at
        made[0].process()
        with snapshot(made[0].engine) as connection:
            return read_rows(connection, find_session(connection, session_id(1)))

    yield make
    for world in made:
        world.close()


def reasons(rows: SessionRows) -> list[tuple[str, str, str | None]]:
    return [
        (stretch.reason.rule, stretch.reason.text, stretch.reason.missing)
        for stretch in stretches(rows)
    ]


def opens(at_s: float) -> tuple[Event, Event]:
    """A break and its ad."""
    return (
        event("adBreakStart", at_s, playhead_ms=0, params=AD_BREAK),
        event("adStart", at_s, playhead_ms=0, params=AD),
    )


def at(kind: str, at_s: float, playhead_s: float = 0) -> Event:
    return event(kind, at_s, playhead_ms=round(playhead_s * 1000))


PLAYING = ("elapsed-time", "playing, with neither a break nor an ad open", None)


def test_an_open_break_is_content_unless_its_bookend_comes(rows_of: Rows) -> None:
    rows = rows_of(*opens(0), at("ping", 8))
    assert rows.is_live
    text = "adBreakComplete has not come yet: break 1 is open, its 8 s are content unless it comes"
    assert reasons(rows) == [("tentative", text, "adBreakComplete")]


def test_an_open_break_is_ad_time_by_the_other_policy(rows_of: Rows) -> None:
    rows = rows_of(*opens(0), at("ping", 8), policy=AS_ADS)
    text = "break 1 is still open: ad time, by the policy unclosed_break = ad"
    assert reasons(rows) == [("policy-ad", text, None)]


def test_by_the_other_policy_the_missing_bookend_is_named_all_the_same(rows_of: Rows) -> None:
    whole = (*opens(0), at("adComplete", 5), at("adBreakComplete", 5))
    rows = rows_of(*whole, *opens(10), *opens(17), at("sessionEnd", 25), policy=AS_ADS)
    lost = "adBreakComplete never came ({}): break {} counts as ads all the same, by the policy "
    lost += "unclosed_break = ad"
    assert [reason for reason in reasons(rows) if reason[0] != "elapsed-time"] == [
        ("both-bookends", "break 1 has both bookends", None),
        ("policy-ad", lost.format("another adBreakStart came", 2), "adBreakComplete"),
        ("policy-ad", lost.format("the session closed", 3), "adBreakComplete"),
    ]


def test_where_rows_do_not_tell_which_bookend_was_missing_none_is_named(rows_of: Rows) -> None:
    """The first break was completed at the instant that the second began, and that is void."""
    whole = (*opens(0), at("adComplete", 5), at("adBreakComplete", 5))
    rows = rows_of(*whole, *opens(5), at("sessionEnd", 9), policy=AS_ADS)
    assert [(rule, missing) for rule, _, missing in reasons(rows)] == [("policy-ad", None)] * 2


def test_a_break_that_ended_where_the_next_began_has_its_bookends(rows_of: Rows) -> None:
    whole = (*opens(0), at("adComplete", 5), at("adBreakComplete", 5))
    rows = rows_of(*whole, *opens(5), at("sessionEnd", 9))
    text = "adBreakComplete never came (the session closed): break 2 is void, its 4 s are content"
    assert reasons(rows) == [
        ("both-bookends", "break 1 has both bookends", None),
        ("no-closing", text, "adBreakComplete"),
    ]


def test_the_ads_of_a_void_break_are_told_with_all_of_its_time(rows_of: Rows) -> None:
    rows = rows_of(*opens(0), at("adStart", 5), at("sessionEnd", 30.5))
    texts = {text for _, text, _ in reasons(rows)}
    assert texts == {
        "adBreakComplete never came (the session closed): break 1 is void, its 30.5 s are content"
    }


def test_an_ad_outside_a_break_is_told_with_its_own_time(rows_of: Rows) -> None:
    """Though a pause cut it."""
    ad = (at("adStart", 0), at("pauseStart", 2), at("play", 9))
    rows = rows_of(*ad, at("adComplete", 13), at("sessionEnd", 13))
    text = "adBreakStart never came: ad 1 is in no break, its 6 s are content"
    assert reasons(rows) == [
        ("no-opening", text, "adBreakStart"),
        ("pause-in-ad", "paused in ad 1: that is no ad time", None),
        ("no-opening", text, "adBreakStart"),
    ]


def test_pauses_buffering_and_start_up(rows_of: Rows) -> None:
    rows = rows_of(
        at("play", 3), at("pauseStart", 5, 2), at("bufferStart", 6, 2), at("sessionEnd", 9, 2)
    )
    assert reasons(rows) == [
        ("elapsed-time", "waiting for content to start", None),
        PLAYING,
        ("elapsed-time", "paused", None),
        ("elapsed-time", "buffering, as the player said", None),
    ]


def test_a_seek_is_told_and_a_chapter_is_none(rows_of: Rows) -> None:
    rows = rows_of(
        at("play", 0),
        at("chapterStart", 5, 5),
        at("ping", 10, 10),
        at("ping", 15, 300),
        at("sessionEnd", 20, 305),
    )
    sought = f"{PLAYING[1]}; a seek to 300 s ended it"
    assert reasons(rows) == [PLAYING, ("elapsed-time", sought, None), PLAYING]


def test_the_gap_of_a_break_by_either_policy(rows_of: Rows) -> None:
    rows = rows_of(opens(0)[0], at("ping", 5), at("sessionEnd", 6))
    text = "in break 1, with no ad open: neither content nor ad"
    assert reasons(rows) == [("gap", text, None)]


def test_the_gap_of_a_break_as_content(rows_of: Rows) -> None:
    policy = Policy(break_gap="content")
    rows = rows_of(opens(0)[0], at("ping", 5), at("sessionEnd", 6), policy=policy)
    text = "in break 1, with no ad open: content, by the policy break_gap = content"
    assert reasons(rows) == [("policy-gap", text, None)]
    assert totals(stretches(rows)) | {"content_ms": 6_000, "ad_gap_ms": 0} == totals(
        stretches(rows)
    )


def test_a_clock_that_was_set_back_is_told(rows_of: Rows) -> None:
    sent = (at("play", 0), at("ping", 1_000), at("play", 60), at("sessionEnd", 70, 10))
    came = [at("ping", second).received_at for second in (0, 5, 11, 21)]
    rows = rows_of(*(e._replace(received_at=ms) for e, ms in zip(sent, came, strict=True)))
    texts = [text for _, text, _ in reasons(rows)]
    note = "the device's clock was set back by 940 s before it (docs/rules.md#set-back)"
    assert texts[0] == "more than 10 min without an event: counted in nothing else"
    assert texts[1] == f"{PLAYING[1]}; {note}"


def test_totals_that_differ_are_found(rows_of: Rows) -> None:
    rows = rows_of(at("play", 0), at("ping", 5, 5), at("sessionEnd", 9, 9))
    line = stretches(rows)
    assert differences(rows.session, totals(line)) == {}
    assert differences(rows.session, totals(line[:0])) == {"content_ms": (9_000, 0)}


@pytest.mark.parametrize("policy", [DEFAULT_POLICY, Policy("ad", "content")], ids=str)
def test_whatever_was_sent_is_explained(tmp_path: Path, policy: Policy) -> None:
    """Sessions with faults of every kind, first while most are live, then all of them."""
    world = World(tmp_path, policy)
    records = sorted(crowd(11, 24), key=lambda record: record.events[0].received_at)
    half = len(records) // 2
    told = 0
    for part in (records[:half], records[half:]):
        world.append(*part)
        world.now_ms = part[-1].events[0].received_at
        world.process()
        with snapshot(world.engine) as connection:
            for found in connection.execute(text("SELECT session_id FROM sessions")).scalars():
                rows = read_rows(connection, found)
                line = stretches(rows)
                assert differences(rows.session, totals(line)) == {}
                told += len(line)
                missing = {s.span_number for s in line if s.reason.missing is not None}
                assert missing >= {s.span_number for s in line if s.is_unbookended_ad}
    world.close()
    assert told > 200


def test_every_rule_that_a_reason_names_stands_in_the_rules() -> None:
    source = (Path(__file__).parents[2] / "models/time_line.py").read_text(encoding="utf-8")
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    rules = {
        call.args[1].value
        for call in calls
        if ast.unparse(call.func) == "Reason" and isinstance(call.args[1], ast.Constant)
    }
    assert len(rules) > 12
    assert rules | set(re.findall(r"rules\.md#([\w-]+)", source)) <= {
        *read("docs/rules.md").anchors
    }
    assert sum(ast.unparse(call.func) == "Reason" for call in calls) >= len(rules)


def test_a_stretch_has_the_columns_of_the_view(rows_of: Rows) -> None:
    rows = rows_of(at("play", 0), at("sessionEnd", 9, 9))
    span: Any = rows.spans[0]
    (stretch,) = stretches(rows)
    assert stretch[:11] == tuple(span[name] for name in Stretch._fields[:11])
    assert isinstance(stretch.reason, Reason)
