"""The fold: events a second of one core, with and without decoding.

Runs the pure core as the processor does: 500 records at a time, a checkpoint now and then; only
what a figure names is timed. Times are of the processor core, so that other programs' share of it
does not count.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from random import Random
from time import process_time
from typing import Final, NamedTuple
from unittest.mock import patch

from fastavro import parse_schema, schemaless_reader

from commands.interpreter import tune_interpreter
from models.avro import schema_text
from models.policy import DEFAULT_POLICY
from models.rows import Activity
from processor import effects, elapsed, session
from processor.snapshot import dump
from processor.state import SessionState
from processor.step import decode_records, fold_records
from processor.summarize import settle, summarize
from tests.bench.figures import Effort, Figure, alternate, at_least, at_most, ratios
from tests.bench.mix import Stored, chunks, whole_log

CHECKPOINT_EVENTS: Final = 50_000
_HEADER_BYTES: Final = 10


class Spent(NamedTuple):
    """Seconds by part of the work, over one log."""

    decode_s: float
    fold_s: float
    checkpoint_s: float
    sessions_written: int


def bench(effort: Effort) -> list[Figure]:
    effort.tell("making the usual mix")
    log = whole_log(Random(1), sessions=effort.size(500, 20), content_ms=1_800_000)
    spent: list[Spent] = []
    tune_interpreter()  # as the processor does

    def bookended() -> float:
        spent.append(run(log))
        return spent[-1].decode_s + spent[-1].fold_s

    without_spans: list[Spent] = []

    def no_spans() -> float:
        with no_time_line():
            without_spans.append(run(log))
        return without_spans[-1].fold_s

    samples = alternate(
        effort,
        {
            "decode and fold": bookended,
            "fold without the time line": no_spans,
            "fastavro alone": fastavro_of(log),
        },
    )
    count = len(log)
    folded = [one.fold_s for one in spent]
    decoded = [one.decode_s for one in spent]
    both, library = samples["decode and fold"], samples["fastavro alone"]
    written = [one.checkpoint_s / one.sessions_written * 1e6 for one in spent]
    return [
        Figure("fold alone", "events/s", [count / s for s in folded], at_least(300_000)),
        Figure("decode and fold", "events/s", [count / s for s in both], at_least(200_000)),
        Figure("decode alone", "events/s", [count / s for s in decoded]),
        Figure("fastavro alone, the same bytes", "events/s", [count / s for s in library]),
        Figure("decode alone to fastavro alone, time", "", ratios(decoded, library)),
        Figure(
            "fold to fold without the time line, time",
            "",
            ratios(folded, [one.fold_s for one in without_spans]),
            at_most(1.25),
        ),
        Figure("summarize and dump at a checkpoint", "µs a session", written),
        Figure("pings among the events", "%", [ping_share(log)]),
    ]


@contextmanager
def no_time_line() -> Iterator[None]:
    """The fold without spans: only their activity is kept, which tells a quiet ping from others."""

    def go_on(state: SessionState, activity: Activity, _: int) -> None:
        state.span_activity = activity

    def nothing(*_: object) -> None:
        pass

    with ExitStack() as stack:
        for module in (effects, elapsed, session):
            stack.enter_context(patch.object(module, "end_span", nothing))
        for name in ("end_span_at", "split_off_stall"):
            stack.enter_context(patch.object(elapsed, name, nothing))
        stack.enter_context(patch.object(elapsed, "go_on", go_on))
        yield


def run(log: Sequence[Stored]) -> Spent:
    """Decodes and folds the whole log."""
    states: dict[str, SessionState] = {}
    changed: set[str] = set()
    decode_s = fold_s = checkpoint_s = 0.0
    sessions_written = 0
    for first in range(0, len(log), CHECKPOINT_EVENTS):
        for log_records in chunks(log[first : first + CHECKPOINT_EVENTS], first):
            begin = process_time()
            decoded = decode_records(log_records)
            between = process_time()
            changed |= fold_records(states, decoded.records, DEFAULT_POLICY)
            end = process_time()
            decode_s += between - begin
            fold_s += end - between
        begin = process_time()
        checkpoint(states, changed)
        checkpoint_s += process_time() - begin
        sessions_written += len(changed)
        changed.clear()
    return Spent(decode_s, fold_s, checkpoint_s, sessions_written)


def checkpoint(states: dict[str, SessionState], changed: set[str]) -> None:
    """What a checkpoint does before it writes: sessions that are closed leave."""
    for session_id in changed:
        state = states[session_id]
        summary = summarize(state, DEFAULT_POLICY)
        settle(state, summary)
        if summary.final:
            del states[session_id]
        else:
            dump(state)


def fastavro_of(log: Sequence[Stored]) -> Callable[[], float]:
    """The library's reader over the same bytes: what decoding costs without any care of ours."""
    schema = parse_schema(json.loads(schema_text()))

    def read() -> float:
        spent_s = 0.0
        for log_records in chunks(log):
            begin = process_time()
            for record in log_records:
                schemaless_reader(BytesIO(record.value[_HEADER_BYTES:]), schema, None)
            spent_s += process_time() - begin
        return spent_s

    return read


def ping_share(log: Sequence[Stored]) -> float:
    records = [placed.record for part in chunks(log) for placed in decode_records(part).records]
    kinds = [event.type for record in records for event in record.events]
    return 100 * kinds.count("ping") / len(kinds)
