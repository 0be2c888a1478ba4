"""What every projection must do, whatever database it writes to; a subclass gives the database.

Only for tests. One class per interface: SQLite is the first to run it.
"""

from abc import ABC, abstractmethod
from typing import Any

import pytest
from sqlalchemy import Engine, select, text, update

from models.policy import FOLD_VERSION, Policy
from models.records import Event, Record
from models.rows import Summary
from models.tables import closes_outbox, live_projection, projections
from processor import drop_projection
from processor.claim import Claim, ProjectionMissingError, RulesError, StaleOwnerError, take
from processor.projection import (
    IDS_MAX,
    Projection,
    create_projection,
    ensure_live_projection,
    find_live_projection,
)
from processor.projections import create_candidate
from processor.quiet import offset_of
from processor.snapshot import dump
from processor.source import Close, OtherLogError
from processor.sql_rows import BIGINT_MAX, AfterCloseWrite, PartitionBatch, SessionWrite
from processor.state import SessionState
from processor.step import AfterClose, DeadLetter, PlacedRecord, fold_records
from processor.summarize import settle, summarize
from tests.contract.tables import content, everything, live_ids, place

LOG = ("the log", "log-1")
T0 = 1_760_000_000_000
POLICY = Policy()


def session_id(number: int) -> str:
    return f"{number:064x}"


def folded(number: int, *events: Event, partition: int = 0) -> SessionState:
    """A session after these events, one record each, at offsets from 10 x its number on."""
    states: dict[str, SessionState] = {}
    records = [
        PlacedRecord(partition, 10 * number + i, Record(session_id(number), False, (event,)))
        for i, event in enumerate(events)
    ]
    fold_records(states, records, POLICY)
    return states[session_id(number)]


def event(kind: Any, at_s: int, **more: Any) -> Event:
    ts = T0 + at_s * 1_000
    return Event(kind, ts, at_s * 1_000, received_at=ts, **more)


def written(state: SessionState) -> SessionWrite:
    summary = summarize(state, POLICY)
    settle(state, summary)
    return as_write(summary, state)


def as_write(summary: Summary, state: SessionState) -> SessionWrite:
    data = dump(state)
    return SessionWrite(summary, state.partition, state.first_offset, offset_of(state), T0, data)


def batch(claim: Claim, next_offset: int, *sessions: SessionWrite, **more: Any) -> PartitionBatch:
    parts: dict[str, Any] = {"tick": None, "after_closes": (), "dead_letters": (), "closes": ()}
    return PartitionBatch(claim, next_offset, sessions=sessions, **{**parts, **more})


def closed_session(number: int, title: str = "film") -> SessionState:
    return folded(
        number,
        event("sessionStart", 0, params={"media.id": title, "media.length": 100}),
        event("play", 0),
        event("sessionEnd", 20),
        event("ping", 30),  # releases what waits
    )


class ProjectionContract(ABC):
    """Subclasses give the fixture `engine`: a database with the newest schema, and no rows."""

    @pytest.fixture
    @abstractmethod
    def engine(self) -> Engine:
        """What is tested, of one implementation."""

    @pytest.fixture
    def projection(self, engine: Engine) -> Projection:
        return Projection(engine, ensure_live_projection(engine, POLICY, T0))

    # --- the projection's row -------------------------------------------------------------------

    def test_the_first_start_decides_the_policy(self, engine: Engine) -> None:
        with pytest.raises(ProjectionMissingError, match="no live projection"):
            find_live_projection(engine)
        first = ensure_live_projection(engine, Policy(unclosed_break="ad"), T0)
        assert ensure_live_projection(engine, POLICY, T0 + 1) == first
        assert find_live_projection(engine) == first
        rules = Projection(engine, first).rules()
        assert rules == (Policy(unclosed_break="ad"), True)

    def test_a_projection_of_other_rules_is_not_claimed(
        self, engine: Engine, projection: Projection
    ) -> None:
        with engine.begin() as connection:
            connection.execute(update(projections).values(fold_version=FOLD_VERSION + 1))
        before = everything(engine)
        with pytest.raises(RulesError, match=f"version {FOLD_VERSION + 1}.*; run the release"):
            projection.claim(0, LOG, 1)
        assert everything(engine) == before

    def test_a_projection_of_older_rules_says_what_to_run(
        self, engine: Engine, projection: Projection
    ) -> None:
        with engine.begin() as connection:
            connection.execute(update(projections).values(fold_version=FOLD_VERSION - 1))
        steps = "; run `bookended rebuild` with this release, then `bookended promote`"
        with pytest.raises(RulesError, match=steps):
            projection.rules()

    def test_a_projection_that_is_not_there_is_named(
        self, engine: Engine, projection: Projection
    ) -> None:
        with pytest.raises(ProjectionMissingError, match="no projection 7"):
            Projection(engine, 7).claim(0, LOG, 1)

    def test_a_candidate_is_not_live(self, engine: Engine, projection: Projection) -> None:
        with engine.begin() as connection:
            connection.execute(update(live_projection).values(projection=99))
        assert projection.rules().is_live is False

    def test_what_is_being_dropped_is_claimed_by_nobody(
        self, engine: Engine, projection: Projection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nor does the next projection of its number begin where a claim in flight was."""
        mark = drop_projection._mark

        def mark_between_claims(engine: Engine, number: int) -> None:
            mark(engine, number)
            with pytest.raises(ProjectionMissingError, match=f"no projection {number}"):
                Projection(engine, number).claim(0, LOG, 500)
            with engine.begin() as connection:
                take(connection, number, LOG, {1: 500})

        monkeypatch.setattr(drop_projection, "_mark", mark_between_claims)
        candidate = create_candidate(engine, POLICY, None, T0)
        Projection(engine, candidate).claim(0, LOG, 400)
        drop_projection.drop(engine, candidate)
        assert create_candidate(engine, POLICY, None, T0) == candidate
        again = Projection(engine, candidate)
        for partition in (0, 1):
            assert again.restore(again.claim(partition, LOG, 1)).next_offset == 1

    # --- claims ---------------------------------------------------------------------------------

    def test_a_new_partition_begins_where_the_log_starts(self, projection: Projection) -> None:
        claim = projection.claim(0, LOG, 17)
        restored = projection.restore(claim)
        assert (restored.next_offset, restored.tick, restored.live) == (17, None, [])

    def test_a_known_partition_goes_on_where_it_was(self, projection: Projection) -> None:
        projection.checkpoint("", [batch(projection.claim(0, LOG, 1), 40, tick=T0)])
        restored = projection.restore(projection.claim(0, LOG, 1))
        assert (restored.next_offset, restored.tick) == (40, T0)

    def test_every_claim_is_a_new_owner(self, projection: Projection) -> None:
        first, second = projection.claim(0, LOG, 1), projection.claim(0, LOG, 1)
        assert first.owner != second.owner
        assert second.version == first.version + 1

    def test_another_log_is_refused_and_changes_nothing(
        self, engine: Engine, projection: Projection
    ) -> None:
        projection.claim(0, LOG, 1)
        before = everything(engine)
        with pytest.raises(OtherLogError, match=r"another log \(log-1\) than the log \(log-2\)"):
            projection.claim(0, ("the log", "log-2"), 1)
        assert everything(engine) == before

    def test_only_the_partitions_own_sessions_are_restored(self, projection: Projection) -> None:
        claims = [projection.claim(partition, LOG, 1) for partition in (0, 1)]
        states = [folded(n, event("play", 0), partition=n) for n in (0, 1)]
        both = [batch(c, 9, written(s)) for c, s in zip(claims, states, strict=True)]
        claims = projection.checkpoint("", both)
        for number in (0, 1):
            (live,) = projection.restore(claims[number]).live
            assert live == (session_id(number), dump(states[number]), T0)

    def test_partitions_claimed_together_each_go_on_where_they_were(
        self, projection: Projection
    ) -> None:
        state = folded(1, event("play", 0), partition=1)
        stale = projection.claim(1, LOG, 1)
        (stale,) = projection.checkpoint("", [batch(stale, 9, written(state), tick=T0)])
        claims = projection.claim_all(LOG, {2: 30, 1: 3})
        assert [(it.partition, it.version) for it in claims] == [(2, 1), (1, stale.version + 1)]
        new, known = projection.restore_all(claims)
        assert (new.next_offset, new.tick, new.live) == (30, None, [])
        assert (known.next_offset, known.tick) == (9, T0)
        assert known.live == [(session_id(1), dump(state), T0)]
        with pytest.raises(StaleOwnerError):
            projection.checkpoint("", [batch(stale, 10)])
        projection.checkpoint("", [batch(claim, 31) for claim in claims])

    def test_of_several_partitions_one_of_another_log_is_named(
        self, engine: Engine, projection: Projection
    ) -> None:
        projection.claim(1, ("the log", "log-2"), 1)
        before = everything(engine)
        with pytest.raises(OtherLogError) as error:
            projection.claim_all(LOG, {0: 1, 1: 1})
        assert error.value.partition == 1
        assert everything(engine) == before

    # --- checkpoints ----------------------------------------------------------------------------

    def test_a_stale_owner_writes_nothing(self, engine: Engine, projection: Projection) -> None:
        stale = projection.claim(0, LOG, 1)
        projection.claim(0, LOG, 1)
        before = everything(engine)
        with pytest.raises(StaleOwnerError) as error:
            projection.checkpoint("", [batch(stale, 5, written(folded(1, event("play", 0))))])
        assert error.value.partition == 0
        assert everything(engine) == before

    def test_a_claim_serves_one_checkpoint(self, engine: Engine, projection: Projection) -> None:
        claim = projection.claim(0, LOG, 1)
        (following,) = projection.checkpoint("", [batch(claim, 5)])
        with pytest.raises(StaleOwnerError):
            projection.checkpoint("", [batch(claim, 6)])
        projection.checkpoint("", [batch(following, 7)])
        assert place(engine) == (7, None)

    def test_one_stale_partition_stops_the_whole_checkpoint(
        self, engine: Engine, projection: Projection
    ) -> None:
        claims = [projection.claim(partition, LOG, 1) for partition in (0, 1)]
        projection.claim(1, LOG, 1)
        before = everything(engine)
        with pytest.raises(StaleOwnerError) as error:
            projection.checkpoint("", [batch(claim, 5) for claim in claims])
        assert error.value.partition == 1
        assert everything(engine) == before
        projection.checkpoint("", [batch(claims[0], 5)])
        assert place(engine, 0) == (5, None)

    def test_a_session_moves_to_the_closed_ones_once(
        self, engine: Engine, projection: Projection
    ) -> None:
        claim = projection.claim(0, LOG, 1)
        opened = folded(1, event("sessionStart", 0, params={"media.id": "film"}), event("play", 1))
        (claim,) = projection.checkpoint("", [batch(claim, 5, written(opened))])
        assert live_ids(engine) == {session_id(1)}
        (claim,) = projection.checkpoint("", [batch(claim, 9, written(closed_session(1)))])
        assert live_ids(engine) == set()
        rows = content(engine)["sessions_closed"]
        assert [(r["session_id"], r["content_ms"], r["first_offset"]) for r in rows] == [
            (session_id(1), 20_000, 10)
        ]
        assert [r["content_id"] for r in content(engine)["session_starts"]] == ["film"]

    def test_rows_are_absolute(self, engine: Engine, projection: Projection) -> None:
        write = written(closed_session(1))
        claim = projection.claim(0, LOG, 1)
        (claim,) = projection.checkpoint("", [batch(claim, 5, write)])
        once = content(engine)
        projection.checkpoint("", [batch(claim, 5, write)])
        assert content(engine) == once

    def test_rows_that_are_no_more_are_deleted(
        self, engine: Engine, projection: Projection
    ) -> None:
        """A waiting adStart is told; a sessionEnd with a smaller ts takes it back."""
        state = folded(1, event("play", 0), event("adStart", 9))
        claim = projection.claim(0, LOG, 1)
        (claim,) = projection.checkpoint("", [batch(claim, 5, written(state))])
        assert len(content(engine)["ad_rows"]) == 1
        states = {session_id(1): state}
        end = event("sessionEnd", 5)._replace(received_at=T0 + 9_000)
        fold_records(states, [PlacedRecord(0, 12, Record(session_id(1), False, (end,)))], POLICY)
        projection.checkpoint("", [batch(claim, 6, written(state))])
        assert content(engine)["ad_rows"] == []

    def test_after_close_only_its_counters_move(
        self, engine: Engine, projection: Projection
    ) -> None:
        claim = projection.claim(0, LOG, 1)
        (claim,) = projection.checkpoint("", [batch(claim, 5, written(closed_session(1)))])
        (known,) = projection.closed_sessions([session_id(1), session_id(2)])
        assert (known.events_after_close_count, known.first_ts) == (1, T0 + 30_000)
        before = content(engine)
        figures = AfterClose(session_id(1), 3, T0 + 30_000, "late", 77)
        write = AfterCloseWrite(figures, known.finding_count)
        projection.checkpoint("", [batch(claim, 6, after_closes=[write])])
        after = content(engine)
        (row,), (row_before,) = after["sessions_closed"], before["sessions_closed"]
        assert row == {**row_before, "events_after_close_count": 3, "last_offset": 77}
        findings = {r["code"]: r["count"] for r in after["finding_rows"]}
        assert findings["event_after_close"] == 3
        assert len(findings) == row["finding_count"]
        changed = {name for name, rows in after.items() if rows != before[name]}
        assert changed == {"sessions_closed", "finding_rows", "progress"}

    def test_many_ids_are_looked_up_in_chunks(self, projection: Projection) -> None:
        claim = projection.claim(0, LOG, 1)
        projection.checkpoint("", [batch(claim, 5, written(closed_session(1)))])
        ids = [session_id(n) for n in range(2 * IDS_MAX, 0, -1)]
        assert [c.session_id for c in projection.closed_sessions(ids)] == [session_id(1)]
        assert projection.closed_sessions([]) == []

    def test_dead_letters_keep_place_reason_and_bytes(
        self, engine: Engine, projection: Projection
    ) -> None:
        letter = DeadLetter(0, 12, T0, "no Avro", b"\xff", b"\x00junk")
        claim = projection.claim(0, LOG, 1)
        projection.checkpoint("the log", [batch(claim, 13, dead_letters=[letter])])
        assert content(engine)["dead_letters"] == [
            {
                "projection": 1,
                "log_partition": 0,
                "offset": 12,
                "topic": "the log",
                "received_at": T0,
                "reason": "no Avro",
                "key": b"\xff",
                "value": b"\x00junk",
                "replay_from": None,
            }
        ]

    def test_closes_wait_in_the_outbox_in_order(
        self, engine: Engine, projection: Projection
    ) -> None:
        claim = projection.claim(0, LOG, 1)
        told = [Close("b", 2), Close("a", 1), Close("b", None)]
        projection.checkpoint("", [batch(claim, 5, closes=told)])
        statement = select(closes_outbox.c.session_id, closes_outbox.c.closed_at)
        with engine.connect() as connection:
            rows = connection.execute(statement.order_by(closes_outbox.c.position)).all()
        assert [tuple(row) for row in rows] == told

    def test_two_projections_stand_side_by_side(
        self, engine: Engine, projection: Projection
    ) -> None:
        second = projection.projection + 1
        with engine.begin() as connection:
            create_projection(connection, second, POLICY, T0)
        candidate = Projection(engine, second)
        for which, next_offset in ((projection, 5), (candidate, 3)):
            claim = which.claim(0, LOG, 1)
            which.checkpoint("", [batch(claim, next_offset, written(closed_session(1)))])
        assert [r["projection"] for r in content(engine)["sessions_closed"]] == [1, 2]
        assert projection.next_offsets() == {0: 5}
        assert projection.read_by_all(0) == 3
        with engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM sessions")).scalar() == 1
            assert connection.execute(text("SELECT count(*) FROM findings")).scalar() == 1

    def test_a_figure_beyond_all_bounds_stops_nothing(
        self, engine: Engine, projection: Projection
    ) -> None:
        """A clock that jumps by 8,000 years and back, 40,000 times, in one offline list."""
        state = closed_session(1)
        summary = summarize(state, POLICY)
        figures = summary.figures._replace(untracked_ms=2**64, initial_startup_ms=2**64)
        write = as_write(summary._replace(figures=figures), state)
        projection.checkpoint("", [batch(projection.claim(0, LOG, 1), 5, write)])
        (row,) = content(engine)["sessions_closed"]
        assert (row["untracked_ms"], row["initial_startup_ms"]) == (BIGINT_MAX, BIGINT_MAX)

    def test_json_booleans_and_instants_read_back(
        self, engine: Engine, projection: Projection
    ) -> None:
        params = {"media.id": "é", "media.resume": True, "visitor.customerIDs": {"a": {"id": "1"}}}
        state = folded(1, event("sessionStart", 0, params=params, custom={"k": "v"}))
        claim = projection.claim(0, LOG, 1)
        projection.checkpoint("", [batch(claim, 5, written(state))])
        (start,), (live,) = content(engine)["session_starts"], content(engine)["sessions_live"]
        assert start["content_id"] == "é"
        assert start["resumed"] is True
        assert start["downloaded"] is None
        assert start["customer_ids"] == {"a": {"id": "1"}}
        assert start["custom_metadata"] == {"k": "v"}
        assert live["started_at"] == T0
        assert live["player_error_ids"] == []
