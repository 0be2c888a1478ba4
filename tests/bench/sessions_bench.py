"""Live sessions: what an event costs when there are many, and what one of them weighs.

Each number of sessions has a process of its own, with its own heap and garbage collector, as a
processor would; they take turns. Only what a figure names is timed.
"""

import gc
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from random import Random
from time import process_time
from typing import Final, NamedTuple

from commands.interpreter import tune_interpreter
from models.avro import encode
from models.policy import DEFAULT_POLICY
from models.records import Event, EventType, LogRecord
from processor.due_times import DueTimes
from processor.snapshot import dump
from processor.state import SessionState
from processor.step import decode_records, fold_records
from processor.summarize import settle, summarize
from tests.bench.figures import Effort, Figure, alternate, at_most, ratios
from tests.bench.mix import CHUNK, T0_MS, Stored, chunks, live_log, session_ids
from tests.bench.workers import questions, worker

COUNTS: Final = (1_000, 10_000, 100_000)
_PING_MS: Final = 10_000
_CHECKPOINT_CHUNKS: Final = 20
_WARM_UP: Final[tuple[EventType, ...]] = ("sessionStart", "play", "ping", "ping", "ping")


class Cost(NamedTuple):
    """µs an event."""

    fold: float
    decode_and_fold: float


def bench(effort: Effort) -> list[Figure]:
    return [*costs(effort), *sizes(effort)]


# --- cost by number of sessions -----------------------------------------------------------------


def costs(effort: Effort) -> list[Figure]:
    counts = (100, 1_000) if effort.quick else COUNTS
    events = effort.size(50_000, 2_000)
    found: dict[int, list[Cost]] = {count: [] for count in counts}
    with ExitStack() as stack:
        effort.tell("opening sessions")
        crowds = {count: stack.enter_context(worker(_serve, count)) for count in counts}
        for ask in crowds.values():
            ask(0)  # answered once its sessions are open

        def run(count: int) -> Callable[[], float]:
            def one_round() -> float:
                found[count].append(crowds[count](events))
                return found[count][-1].fold

            return one_round

        alternate(effort, {f"{count:,} live sessions": run(count) for count in counts})
    return [figure for count in counts for figure in _cost_figures(found, count)]


def _cost_figures(found: dict[int, list[Cost]], count: int) -> list[Figure]:
    """What an event costs, and against what it costs with the fewest sessions."""
    fewest, most = min(found), max(found)
    kinds = {
        "fold": {n: [cost.fold for cost in found[n]] for n in found},
        "decode and fold": {n: [cost.decode_and_fold for cost in found[n]] for n in found},
    }
    figures = [
        Figure(f"{kind} a ping, {count:,} live sessions", "µs", costs[count])
        for kind, costs in kinds.items()
    ]
    if count == fewest:
        return figures
    goal = at_most(1.5) if count == most else None
    return figures + [
        Figure(
            f"{kind}, {count:,} live sessions to {fewest:,}",
            "",
            ratios(costs[count], costs[fewest]),
            goal,
        )
        for kind, costs in kinds.items()
    ]


def _serve(connection: Connection, count: int) -> None:
    tune_interpreter()  # as the processor does
    crowd = _Crowd(count)
    for events in questions(connection):
        connection.send(crowd.ping(events))


class _Crowd:
    """Sessions that play and ping every 10 s, each at its own moment of them."""

    def __init__(self, count: int) -> None:
        self._ids = session_ids(Random(1), count)
        self._states: dict[str, SessionState] = {}
        self._sent = 0
        for kind in _WARM_UP:
            self._send(kind, count)
        for state in self._states.values():
            settle(state, summarize(state, DEFAULT_POLICY))
        # The order in which players ping is not that in which their sessions lie in memory.
        Random(2).shuffle(self._ids)
        self._send("ping", 2 * count)

    def ping(self, events: int) -> Cost:
        return self._send("ping", events)

    def _send(self, kind: EventType, events: int) -> Cost:
        fold_s = decode_s = 0.0
        for first in range(0, events, CHUNK):
            log_records = [self._record(kind) for _ in range(min(CHUNK, events - first))]
            begin = process_time()
            decoded = decode_records(log_records)
            between = process_time()
            fold_records(self._states, decoded.records, DEFAULT_POLICY)
            end = process_time()
            decode_s += between - begin
            fold_s += end - between
        per_event = 1e6 / max(events, 1)
        return Cost(fold_s * per_event, (decode_s + fold_s) * per_event)

    def _record(self, kind: EventType) -> LogRecord:
        turn, place = divmod(self._sent, len(self._ids))
        at_ms = turn * _PING_MS + place * _PING_MS // len(self._ids)
        session_id = self._ids[place]
        value = encode(session_id, (Event(kind, T0_MS + at_ms, at_ms),))
        self._sent += 1
        return LogRecord(0, self._sent, T0_MS + at_ms + 50, session_id.encode(), value)


# --- size of a session --------------------------------------------------------------------------


def sizes(effort: Effort) -> list[Figure]:
    """Of usual sessions at every stage, right after a checkpoint."""
    count = effort.size(1_000, 50)
    effort.tell(f"opening {count:,} usual sessions")
    log = live_log(Random(3), count, content_ms=900_000)
    states: dict[str, SessionState] = {}
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        _fold_and_settle(states, log)
        with_states = _traced()
        due = DueTimes(lambda _: None)
        for session_id, state in states.items():
            due.set(session_id, state.arrival_clock)
        with_due = _traced()
    finally:
        tracemalloc.stop()
    assert len(states) == count
    stored = [float(len(dump(state))) for state in states.values()]
    held = (with_states - before) / count
    in_chapter = sum(state.chapter is not None for state in states.values()) / count
    return [
        Figure("live session in memory, with its key", "bytes", [held], at_most(1536)),
        Figure("in a chapter (about 300 bytes more)", "% of sessions", [in_chapter * 100]),
        Figure(
            "its place among the due times, besides", "bytes", [(with_due - with_states) / count]
        ),
        Figure("live session serialised", "bytes", stored, at_most(600)),
    ]


def _fold_and_settle(states: dict[str, SessionState], log: list[Stored]) -> None:
    changed: set[str] = set()
    for number, log_records in enumerate(chunks(log), 1):
        changed |= fold_records(states, decode_records(log_records).records, DEFAULT_POLICY)
        if number % _CHECKPOINT_CHUNKS == 0 or number * CHUNK >= len(log):
            for session_id in changed:
                settle(states[session_id], summarize(states[session_id], DEFAULT_POLICY))
            changed.clear()


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
