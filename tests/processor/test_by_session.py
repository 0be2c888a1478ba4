"""Records folded session by session give the states of records folded in log order."""

from collections.abc import Sequence
from random import Random

import pytest

from models.avro import encode
from models.policy import DEFAULT_POLICY, Policy
from models.records import Event, LogRecord, Record
from processor.by_session import fold_sessions, stretch_of
from processor.snapshot import dump
from processor.state import SessionState
from processor.step import decode_records, fold_counting
from processor.summarize import settle, summarize
from tests.reference.arrivals import Tick
from tests.reference.wild import realistic, wild

States = dict[str, SessionState]


def log_of(seed: int, sessions: int = 6) -> list[LogRecord]:
    """Sessions of a good player and wild ones, in order of arrival."""
    records: list[Record] = []
    for number in range(sessions):
        make = wild if number % 3 == 0 else realistic
        steps = [one for one in make(seed * 100 + number) if not isinstance(one, Tick)]
        records += [one.record._replace(session_id=f"{number:064x}") for one in steps]
    records.sort(key=lambda record: record.events[-1].received_at)
    return [log_record(offset, record) for offset, record in enumerate(records, 7)]


def log_record(offset: int, record: Record) -> LogRecord:
    session_id, offline, events = record
    value = encode(session_id, events, offline=offline)
    return LogRecord(3, offset, events[-1].received_at, session_id.encode(), value)


def fold_both(
    grouped: States, in_order: States, log_records: Sequence[LogRecord], policy: Policy
) -> None:
    """Session by session, and in log order; with the same counts."""
    stretch = stretch_of(log_records, log_records[-1].offset + 1)
    counted = fold_sessions(grouped, 3, stretch.sessions, policy)
    records = decode_records(log_records).records
    assert len(records) == len(log_records)
    changes = fold_counting(in_order, records, policy)
    events = sum(len(placed.record.events) for placed in records)
    assert counted == (events, changes.late_event_count, changes.duplicate_event_count)
    assert changes.session_ids == stretch.sessions.keys()


def told(states: States) -> dict[str, tuple[object, bytes]]:
    """What each state says and is."""
    found: dict[str, tuple[object, bytes]] = {}
    for session_id, state in sorted(states.items()):
        summary = summarize(state)
        settle(state, summary)
        found[session_id] = (summary, dump(state))
    return found


@pytest.mark.parametrize("seed", range(120))
def test_both_orders_give_the_same_states(seed: int) -> None:
    policy = DEFAULT_POLICY if seed % 2 else Policy(unclosed_break="ad", idle_ms=120_000)
    log, chance = log_of(seed), Random(seed)
    grouped: States = {}
    in_order: States = {}
    begin = 0
    while begin < len(log):
        end = begin + chance.choice([1, 5, 40, 400])
        fold_both(grouped, in_order, log[begin:end], policy)
        if chance.random() < 0.3:
            assert told(grouped) == told(in_order)
        begin = end
    assert told(grouped) == told(in_order)


def pings(count: int, *, pause_ms: int = 0) -> list[Event]:
    started = [Event("sessionStart", 0, 0), Event("play", 0, 0)]
    events = [*started, *(Event("ping", k * 10_000, k * 10_000) for k in range(1, count))]
    return [event._replace(received_at=event.ts + 1 + pause_ms) for event in events]


@pytest.mark.parametrize("spoilt", [None, 300, 513, 999])
def test_a_long_row_is_folded_to_its_end(spoilt: int | None) -> None:
    """One event in a row may be odd: a playhead that stands still, then goes on."""
    events = pings(1_000)
    if spoilt is not None:
        events[spoilt] = events[spoilt]._replace(playhead_ms=events[spoilt - 1].playhead_ms)
    session_id = "a" * 64
    log = [log_record(n, Record(session_id, False, (it,))) for n, it in enumerate(events)]
    grouped: States = {}
    in_order: States = {}
    fold_both(grouped, in_order, log, DEFAULT_POLICY)
    assert grouped[session_id].quiet == in_order[session_id].quiet
    assert grouped[session_id].quiet is not None or spoilt == 999
    assert told(grouped) == told(in_order)
