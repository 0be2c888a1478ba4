"""Rebuild from Kafka, beside a bare loop over the same partition by the same client.

Times are of the clock: the client fetches in a thread of its own. Broker and rebuild share the
machine. SQLite takes the rows.
"""

import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from typing import Final

import migrations
from commands.interpreter import tune_interpreter
from models.kafka_log import KafkaLog
from models.placement import Placement, parse_partition_counts
from models.policy import DEFAULT_POLICY
from processor.database import open_database
from processor.kafka_reader import KafkaReader
from processor.projection import Projection, ensure_live_projection
from processor.projections import create_candidate
from processor.rebuild import Part, RebuildBounds, Target, batches_of, rebuild_part
from tests.bench.figures import Effort, Figure, alternate, at_least, ratios
from tests.bench.mix import whole_log
from tests.bench.topic import TIMES_OF_THE_MIX, bare_kafka_python, broker_for, fill
from tests.kafka.broker import new_topic

PARTITIONS: Final = 1
_PLACEMENT: Final = Placement(parse_partition_counts(str(PARTITIONS)))


def bench(effort: Effort) -> list[Figure]:
    tune_interpreter()  # as a rebuild's workers do
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        effort.tell("starting Kafka")
        broker = stack.enter_context(broker_for(effort, directory))
        log = new_topic(broker.bootstrap, PARTITIONS, **TIMES_OF_THE_MIX)
        effort.tell("filling the topic")
        stored = whole_log(Random(7), effort.size(800, 30), 2_700_000)
        target = Target(fill(log, _PLACEMENT, stored), stored[-1][0])
        samples = alternate(
            effort,
            {
                "bare": lambda: bare_kafka_python(log, PARTITIONS, target.next_offset),
                "rebuild": lambda: _rebuild(log, target),
            },
        )
    bare, rebuild = samples.values()
    count = target.next_offset
    return [
        Figure("bare loop, kafka-python", "events/s", [count / s for s in bare]),
        Figure("rebuild from Kafka", "events/s", [count / s for s in rebuild]),
        Figure("rebuild from Kafka to the bare loop", "", ratios(bare, rebuild), at_least(0.5)),
    ]


def _rebuild(log: KafkaLog, target: Target) -> float:
    with tempfile.TemporaryDirectory() as place, closing(KafkaReader(log)) as source:
        engine = open_database(f"sqlite:///{place}/analytics.db")
        migrations.upgrade(engine)
        ensure_live_projection(engine, DEFAULT_POLICY, 0)
        candidate = create_candidate(engine, DEFAULT_POLICY, None, 0)
        bounds = RebuildBounds()
        part = Part(0, (source.name(), source.log_id()), log.topic, 0, target)
        begin = time.perf_counter()
        read = batches_of(None, source, 0, bounds)
        rebuild_part(Projection(engine, candidate), read, part, bounds, lambda *_: None)
        spent_s = time.perf_counter() - begin
        engine.dispose()
        return spent_s
