"""Production under faults of all kinds, and that the comparison afterwards sees what is wrong: the
short run of `make chaos`, on servers of its own.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from models.tables import ad_rows, dead_letters, sessions_closed
from processor.database import open_database, writing
from tests.kafka.broker import collect_sockets
from tests.simulation.chaos import Chaos, Ended, ended
from tests.simulation.chaos_faults import AT_PROGRAMS, AT_SERVERS
from tests.simulation.crowd import bare
from tests.simulation.journal import Journal

SEED = 20_261_125
FAULTS = len(AT_PROGRAMS) + len(AT_SERVERS)


def test_faults_of_all_kinds_lose_and_double_nothing(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    request.addfinalizer(collect_sockets)
    with ended(tmp_path, Chaos(SEED, FAULTS, pause_s=1.5), journal) as end:
        assert end.wrong() == []
        assert end.struck == FAULTS
        assert end.fates.acknowledged.total() > 300
        assert end.fates.doubtful, "the faults did hit requests"
        assert has_noted(journal, "woken", is_taken_over=True), "a stale owner woke up"
        for spoil, _ in SPOILT:
            spoil(end)
        wrong = "\n".join(end.wrong())
        assert [told for _, told in SPOILT if told not in wrong] == []


def has_noted(journal: Journal, event: str, **details: object) -> bool:
    lines = map(json.loads, journal.path.read_text(encoding="utf-8").splitlines())
    return any(line["event"] == event and details.items() <= line.items() for line in lines)


def move_a_figure(end: Ended) -> None:
    columns = sessions_closed.c
    run(end, update(sessions_closed).values(content_ms=columns.content_ms + 1))


def lose_a_child_row(end: Ended) -> None:
    run(end, delete(ad_rows).where(ad_rows.c.ad_number == 1))


def lose_a_dead_letter(end: Ended) -> None:
    run(end, delete(dead_letters))


def run(end: Ended, statement: object) -> None:
    engine = open_database(end.cluster.postgres.url)
    with writing(engine) as connection:
        connection.execute(statement)  # type: ignore[call-overload]  # both kinds are statements
    engine.dispose()


def acknowledge_what_was_never_sent(end: Ended) -> None:
    known = next(iter(end.fates.acknowledged))
    end.fates.acknowledged[known] += 1


def send_less(end: Ended) -> None:
    fates = end.fates
    del fates.acknowledged[
        next(known for known in reversed(fates.acknowledged) if bare(known) not in fates.doubtful)
    ]


SPOILT: list[tuple[Callable[[Ended], None], str]] = [
    (move_a_figure, "table sessions_closed has"),
    (move_a_figure, "view sessions has"),
    (lose_a_child_row, "table ad_rows has"),
    (lose_a_dead_letter, "table dead_letters has"),
    (acknowledge_what_was_never_sent, "1 events were acknowledged and are not in the topic"),
    (send_less, "events are in the topic more often than they were sent"),
]
