"""Worked sessions through the real command: the text of a few, the rules that decided in all."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bookended import main
from models.policy import DEFAULT_POLICY, Policy
from tests.documents import read
from tests.explain.conftest import Explain, MakeWorld
from tests.explain.worked import address, id_of, make_world, process
from tests.golden.loading import golden_names, load_golden
from tests.processor_shell.world import World
from tests.reference.arrivals import Arrival

BOTH = f"""\
session     {id_of("bookends-both")}
status      closed, session_end
content     Movie One (movie-1)
player      golden
started     2025-10-09 08:53:20.000 UTC
last event  2025-10-09 08:54:05.000 UTC
events      10

on screen   {"C" * 23}{"A" * 22}{"C" * 23}
counted as  {"C" * 23}{"A" * 22}{"C" * 23}
            0:00                                                        0:45.000
            C content  A ad
            C content  A ad

       from          to      length  on screen     counted as  playhead
   0:00.000    0:15.000    0:15.000  content       content     0 – 15 s
    playing, with neither a break nor an ad open (docs/rules.md#elapsed-time)
   0:15.000    0:30.000    0:15.000  ad 1          ad          15 s
    break 1 “pod”, ad 1 “a1”: break 1 has both bookends
    (docs/rules.md#both-bookends)
   0:30.000    0:45.000    0:15.000  content       content     15 – 30 s
    playing, with neither a break nor an ad open (docs/rules.md#elapsed-time)

totals, each the sum of its stretches
  content                       0:30.000
    of it unbookended ads       0:00.000
  ads                           0:15.000
  all together                  0:45.000
"""
# 68 cells for 45 s: one for each of three stretches and the other 65 by time, so that the stretches
# end after 1 + 21.7, 2 + 43.3 and 3 + 65 cells.

NO_OPENING = f"""\
session     {id_of("bookends-no-opening")}
status      closed, session_end
content     Movie One (movie-1)
player      golden
started     2025-10-09 08:53:20.000 UTC
last event  2025-10-09 08:54:05.000 UTC
events      8

on screen   {"C" * 23}{"A" * 22}{"C" * 23}
counted as  {"C" * 23}{"!" * 22}{"C" * 23}
            0:00                                                        0:45.000
            C content  A ad
            C content  ! content, for a bookend is missing

       from          to      length  on screen     counted as  playhead
   0:00.000    0:15.000    0:15.000  content       content     0 – 15 s
    playing, with neither a break nor an ad open (docs/rules.md#elapsed-time)
   0:15.000    0:30.000    0:15.000  ad 1          content !   15 s
    ad 1 “a1”: adBreakStart never came: ad 1 is in no break, its 15 s are
    content (docs/rules.md#no-opening)
   0:30.000    0:45.000    0:15.000  content       content     15 – 30 s
    playing, with neither a break nor an ad open (docs/rules.md#elapsed-time)

findings
  ad_without_break, once, first at 0:15.000
    ad 1: 15000 ms without adBreakStart
    → Send adBreakStart before an adStart: else the ad counts as content.
  break_without_start, once, first at 0:30.000
    adBreakComplete without adBreakStart
    → Send adBreakStart at the beginning of every ad break.

totals, each the sum of its stretches
  content                       0:45.000
    of it unbookended ads       0:15.000
  ads                           0:00.000
  all together                  0:45.000
"""


@pytest.mark.parametrize(
    ("name", "text"), [("bookends-both", BOTH), ("bookends-no-opening", NO_OPENING)]
)
def test_the_text(make_world: MakeWorld, explain: Explain, name: str, text: str) -> None:
    assert explain(make_world(name), id_of(name)) == text


BREAK_OVER_BREAK = """\
2025-10-09 08:53:20.000  2025-10-09 08:53:30.000    0:10.000  ad 1          content !   0 s
    break 1 “pod”, ad 1 “a1”: adBreakComplete never came (another adBreakStart came): break 1 is \
void,
    its 10 s are content (docs/rules.md#no-closing)
 2025-10-09 08:53:30.000  2025-10-09 08:53:50.000    0:20.000  ad 2          ad          0 s
    break 2 “pod”, ad 2 “a2”: break 2 has both bookends (docs/rules.md#both-bookends)
 2025-10-09 08:53:50.000  2025-10-09 08:54:05.000    0:15.000  content       content     0 – 15 s
"""


def test_the_text_on_a_wide_terminal_with_the_wall_clock(
    make_world: MakeWorld, explain: Explain
) -> None:
    world = make_world("bookends-break-over-break")
    shown = explain(world, "bookendsbreak", "--utc", COLUMNS="102")
    assert BREAK_OVER_BREAK in shown
    # 90 cells for 45 s: three for the stretches, 87 by time.
    assert f"on screen   {'A' * 60}{'C' * 30}\n" in shown
    assert f"counted as  {'!' * 20}{'A' * 40}{'C' * 30}\n" in shown


def test_the_text_in_the_readme(make_world: MakeWorld, explain: Explain) -> None:
    section = read("README.md").section("How a session is counted")
    (block,) = re.findall(r"```text\n(.*?)```", section, re.DOTALL)
    assert block.startswith("on screen")
    assert block in explain(make_world("bookends-no-closing"), id_of("bookends-no-closing"))


# --- all of them ---------------------------------------------------------------------------------

RULES = {
    "ad-gap": "gap both-bookends gap both-bookends elapsed-time",
    "bookends-abandoned-in-ad": "elapsed-time no-closing",
    "bookends-abandoned-in-ad-policy-ad": "elapsed-time policy-ad",
    "bookends-both": "elapsed-time both-bookends elapsed-time",
    "bookends-break-over-break": "no-closing both-bookends elapsed-time",
    "bookends-no-closing": "elapsed-time no-closing content-in-break",
    "bookends-no-opening": "elapsed-time no-opening elapsed-time",
    "bookends-no-opening-no-end": "elapsed-time no-opening elapsed-time",
    "bookends-none": "elapsed-time no-opening elapsed-time",
    "break-left-open-content-runs": "no-closing content-in-break elapsed-time content-in-break",
    "drop-before-start-preroll": "elapsed-time gap no-closing",
    "inactive-by-next-event": "elapsed-time no-closing",
    "inferred-play": "inferred-play elapsed-time",
    "media-edge-example-2-chapters-ads": "elapsed-time elapsed-time elapsed-time elapsed-time gap "
    "both-bookends gap both-bookends gap elapsed-time elapsed-time elapsed-time",
    "postroll": "elapsed-time both-bookends ended-time",
    "reordered": "elapsed-time both-bookends gap elapsed-time",
    "sleeping-laptop": "elapsed-time untracked elapsed-time",
    "stall": "elapsed-time stall elapsed-time",
    "stall-across-chapters": "elapsed-time stall elapsed-time",
    "swapped-opening": "elapsed-time both-bookends elapsed-time",
    "timeline-1-view-to-end": "both-bookends both-bookends elapsed-time elapsed-time elapsed-time "
    "both-bookends elapsed-time elapsed-time elapsed-time",
    "timeline-2-user-abandons": "both-bookends elapsed-time elapsed-time elapsed-time no-closing",
    "timeline-3-chapters": "both-bookends both-bookends elapsed-time elapsed-time elapsed-time "
    "elapsed-time elapsed-time both-bookends elapsed-time elapsed-time elapsed-time elapsed-time "
    "elapsed-time",
}
"""The rules that decide, stretch by stretch; in all others the table of elapsed time alone does."""


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Policy, World]]:
    """All worked sessions, by the policy that they are worked under."""
    found: dict[Policy, World] = {}
    for name in golden_names():
        golden = load_golden(name, id_of(name))
        if golden.policy not in found:
            folder = tmp_path_factory.mktemp("world")
            found[golden.policy] = make_world_of(folder, golden.policy)
    yield found
    for world in found.values():
        world.close()


def make_world_of(folder: Path, policy: Policy) -> World:
    world = make_world(folder, policy, "")
    for name in golden_names():
        golden = load_golden(name, id_of(name))
        if golden.policy == policy:
            process(world, [s.record for s in golden.steps if isinstance(s, Arrival)])
    return world


def told(world: World, session: str) -> dict[str, Any]:
    done = CliRunner().invoke(main, ["explain", session, "--json", "--database", address(world)])
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("name", golden_names())
def test_every_worked_session_is_explained(worlds: dict[Policy, World], name: str) -> None:
    golden = load_golden(name)
    found = told(worlds[golden.policy], id_of(name))
    keys = ("activity", "counted_as", "from_ms", "to_ms", "playhead_from_s", "playhead_to_s")
    assert [tuple(stretch[key] for key in keys) for stretch in found["time_line"]] == [
        (
            span["activity"],
            span["counted_as"],
            round(1000 * span["from_s"]),
            round(1000 * span["to_s"]),
            *span["playheads_s"],
        )
        for span in golden.expected["spans"]
    ]
    expected = golden.expected
    assert {key: expected[key] for key in found["totals"].keys() & expected.keys()} == {
        key: value for key, value in found["totals"].items() if key in expected
    }
    assert found["unequal"] == {}
    rules = [stretch["rule"].removeprefix("docs/rules.md#") for stretch in found["time_line"]]
    assert " ".join(rules) == RULES.get(name, " ".join(["elapsed-time"] * len(rules)))
    missing = [stretch["missing_bookend"] for stretch in found["time_line"]]
    moved = [s["activity"] == "ad" and s["counted_as"] == "content" for s in found["time_line"]]
    if golden.policy == DEFAULT_POLICY:
        assert [bookend is not None for bookend in missing] == moved
