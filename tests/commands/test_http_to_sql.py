"""Worked sessions and recorded traffic over HTTP into SQL rows, read through the public views.

One `run` takes all of them; no checkpoint is written but the first and the last, so that no close
is told meanwhile and nothing depends on how fast the machine is.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from commands.results import Row, rows, viewing
from models.tables_types import instant_ms
from tests.commands.http import request
from tests.commands.processes import Server
from tests.commands.traffic import Replayed, replay
from tests.golden.loading import BREAK_COLUMNS, golden_names, load_golden, spans_in_part
from tests.reference.spans import Span

GOLDEN = [name for name in golden_names() if not load_golden(name).needs_own_clock]
VIEWS = ("sessions", "ad_breaks", "ads", "chapters", "player_states", "findings", "spans")


class Played(NamedTuple):
    """What came of all sessions: golden ids by name, the traffic's answers, and all rows, by view
    and session id."""

    ids: dict[str, str]
    traffic: Replayed
    rows: dict[str, dict[str, list[Row]]]


def listening(server: Server) -> str:
    entry = server.wait_for("collector_listening")
    return f"http://{entry['host']}:{entry['port']}"


def play_golden(url: str, name: str) -> str:
    first, *others = load_golden(name).bodies
    opened = request(f"{url}/api/v1/sessions", first)
    assert opened.status == 201
    for body in others:
        assert request(f"{url}{opened.location}/events", body).status == 204
    return opened.location.rsplit("/", 1)[-1]


def read(database: Path) -> dict[str, dict[str, list[Row]]]:
    """All rows of each view, by session id."""
    found: dict[str, dict[str, list[Row]]] = {}
    with viewing(database) as connection:
        for view in VIEWS:
            by_session = found.setdefault(view, {})
            for row in rows(connection, f"SELECT * FROM {view}"):  # noqa: S608 - names of ours
                by_session.setdefault(row["session_id"], []).append(row)
    return found


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    directory = tmp_path_factory.mktemp("golden")
    args = ("run", "--listen", "127.0.0.1:0", "--checkpoint-interval", "1m")
    server = Server(directory, args, {})
    try:
        url = listening(server)
        ids = {name: play_golden(url, name) for name in GOLDEN}
        traffic = replay(url)
        assert server.stop() == 0
    finally:
        server.end()
    return Played(ids, traffic, read(directory / "bookended-data" / "analytics.db"))


def told(played: Played, name: str) -> dict[str, Any]:
    """The figures of a session in the words of the golden files."""
    session_id = played.ids[name]
    of = {view: found.get(session_id, []) for view, found in played.rows.items()}
    (figures,) = of["sessions"]
    return {
        **{key: bool(value) if key in BOOLEANS else value for key, value in figures.items()},
        "breaks": [
            {name: row[name] for name in BREAK_COLUMNS} | {"tracked": bool(row["tracked"])}
            for row in of["ad_breaks"]
        ],
        "findings": {row["code"]: row["count"] for row in of["findings"]},
        "spans": spans_in_part(
            [span_of(row) for row in of["spans"]], instant_ms(figures["started_at"])
        ),
        "ads": [
            {
                "id": row["ad_id"],
                "playing_ms": row["playing_ms"],
                "completed": bool(row["completed"]),
                "tracked": bool(row["tracked"]),
            }
            for row in of["ads"]
        ],
        "chapters": [
            {
                "index": row["chapter_index"],
                "content_ms": row["content_ms"],
                "completed": bool(row["completed"]),
            }
            for row in of["chapters"]
        ],
        "player_states": {
            row["name"]: {
                "count": row["count"],
                "total_ms": row["total_ms"],
                "on_s": [
                    [(at - instant_ms(figures["started_at"])) / 1000 for at in period]
                    for period in json.loads(row["periods"])
                ],
            }
            for row in of["player_states"]
        },
    }


def span_of(row: Row) -> Span:
    instants = {name: instant_ms(row[name]) for name in ("started_at", "ended_at")}
    return Span(**{name: {**row, **instants}[name] for name in Span._fields})


BOOLEANS = frozenset(
    "content_started completed dropped_before_start valid_play complete_play progress_10 "
    "progress_25 progress_50 progress_75 progress_95".split()
)


def test_there_are_many() -> None:
    assert len(GOLDEN) >= 22


@pytest.mark.parametrize("name", GOLDEN)
def test_a_worked_session_has_its_exact_figures_in_sql(played: Played, name: str) -> None:
    expected = load_golden(name).expected
    found = told(played, name)
    assert {key: found[key] for key in expected} == expected


def test_nothing_else_came_into_the_tables(played: Played) -> None:
    of_traffic = {sid for ids in played.traffic.sessions.values() for sid in ids}
    assert set(played.rows["sessions"]) == {*played.ids.values(), *of_traffic}


def test_a_real_connector_gets_the_answers_that_its_situations_call_for(played: Played) -> None:
    statuses = played.traffic.statuses
    assert len(statuses) == 211
    assert [pair for pair in statuses if pair[0] != pair[1]] == []
    assert sorted({status for status, _ in statuses}) == [201, 204, 404]


# content, ads, unbookended ads, pause, buffer, stall: seconds, worked out by hand from the file.
CONNECTOR_S = {
    "vod_plain": [(55, 0, 0, 12, 3, 0)],
    "vod_preroll_midroll": [(120, 50, 0, 0, 0, 0)],
    "closed_mid_ad": [(35, 0, 15, 0, 0, 0)],
    "live": [(65, 0, 0, 5, 0, 0)],
    "expired_404": [(20, 0, 0, 0, 0, 0), (25, 0, 0, 0, 0, 0)],
    "expired_410_in_ad": [(10, 0, 0, 0, 0, 0), (15, 10, 0, 0, 0, 0)],
    "start_fails_500": [(24, 0, 0, 5, 0, 0)],
    "chapters_quality_error": [(45, 0, 0, 0, 0, 0)],
    "source_change": [(15, 0, 0, 0, 0, 0), (15, 0, 0, 0, 0, 0), (5, 0, 0, 0, 0, 0)],
    "fractional": [(25, 0, 0, 0, 0, 0)],
}
# What was odd, besides the placeholders "N/A" that this connector sends for what it does not know.
CONNECTOR_FINDINGS = {
    "closed_mid_ad": {"break_not_completed"},
    "expired_404": {"inferred_play"},
    "chapters_quality_error": {"end_without_chapter"},
    "source_change": {"unknown_param"},
}


@pytest.mark.parametrize("situation", CONNECTOR_S)
def test_a_real_connectors_sessions_in_sql(played: Played, situation: str) -> None:
    ids = played.traffic.sessions[situation]
    names = ("content_ms", "ad_ms", "unbookended_ad_ms", "pause_ms", "buffer_ms", "stall_ms")
    figures = [played.rows["sessions"][sid][0] for sid in ids]
    found = [tuple(row[name] / 1000 for name in names) for row in figures]
    assert found == CONNECTOR_S[situation]
    codes = {row["code"] for sid in ids for row in played.rows["findings"].get(sid, [])}
    assert codes - {"placeholder_value"} == CONNECTOR_FINDINGS.get(situation, set())
