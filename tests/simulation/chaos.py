"""`make chaos`: production under faults, and whether every figure is right afterwards.

A real broker, a real PostgreSQL, collectors and processors as processes of their own, players over
HTTP. What happened stands in `journal.jsonl` of the run's directory, beside the logs of all
programs; the directory is kept when something was wrong.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import click
from kafka.errors import KafkaError

from tests.kafka.broker import abandon, producer
from tests.simulation.chaos_faults import AT_PROGRAMS, AT_SERVERS, Strike
from tests.simulation.cluster import PARTITIONS, Cluster
from tests.simulation.crowd import Crowd, Fates
from tests.simulation.journal import Journal
from tests.simulation.recovery import recovery
from tests.simulation.verdict import verdict

COLLECTORS: Final = 2
PROCESSORS: Final = 3
_CAUGHT_UP_WITHIN_S: Final = 300.0
_LOOKED_EVERY_S: Final = 0.2
_SPEED: Final = 80.0


class Chaos(NamedTuple):
    """What a run is to be. `pause_s`: the longest pause of a lane between two faults."""

    seed: int
    faults: int
    rate: float = 120.0
    pause_s: float = 4.0
    client: str = ""


class Ended(NamedTuple):
    """A run that is over: all programs have ended, both servers answer."""

    cluster: Cluster
    fates: Fates
    struck: int

    def wrong(self) -> list[str]:
        """A line each; empty when all is as it must be."""
        return [*self.cluster.journal.violations, *verdict(self.cluster, self.fates)]


@contextmanager
def ended(directory: Path, chaos: Chaos, journal: Journal) -> Iterator[Ended]:
    """Plays, strikes, heals, and waits until SQL has all."""
    rng = Random(chaos.seed)
    journal.note("begin", **chaos._asdict())
    with Cluster(directory, rng, journal, chaos.client) as cluster:
        for _ in range(COLLECTORS):
            cluster.add_collector()
        for number in range(PROCESSORS):
            cluster.add_processor(is_static=number < PROCESSORS - 1)
        cluster.wait_until_begun(*cluster.collectors, *cluster.processors)
        crowd = Crowd(cluster.collector_urls, chaos.rate, _SPEED, chaos.seed)
        crowd.start()
        struck = _strike(cluster, chaos)
        fates = crowd.stop()
        journal.note("players stopped", statuses=str(dict(fates.statuses)))
        _settle(cluster)
        yield Ended(cluster, fates, struck)


def drawn(kinds: Sequence[Strike], count: int, rng: Random) -> list[Strike]:
    """Every kind as often as every other, in an order of chance."""
    rounds = -(-count // len(kinds))
    strikes = [strike for _ in range(rounds) for strike in rng.sample(kinds, len(kinds))]
    return strikes[:count]


def _strike(cluster: Cluster, chaos: Chaos) -> int:
    at_programs = round(chaos.faults * len(AT_PROGRAMS) / len(AT_PROGRAMS + AT_SERVERS))
    lanes = [
        _Lane(cluster, chaos, "programs", AT_PROGRAMS, at_programs),
        _Lane(cluster, chaos, "servers", AT_SERVERS, chaos.faults - at_programs),
    ]
    for lane in lanes:
        lane.start()
    while any(lane.is_alive() for lane in lanes):
        _spoil(cluster)
        time.sleep(1.0)
    for lane in lanes:
        lane.join()
        if lane.error is not None:
            raise lane.error
    return sum(lane.struck for lane in lanes)


class _Lane(threading.Thread):
    """Strikes one fault after the other, with pauses."""

    def __init__(
        self, cluster: Cluster, chaos: Chaos, name: str, kinds: Sequence[Strike], count: int
    ) -> None:
        super().__init__(daemon=True)
        self.struck = 0
        self.error: BaseException | None = None
        self._cluster = cluster
        self._chance = Random(f"{chaos.seed}/{name}")
        self._strikes = drawn(kinds, count, self._chance)
        self._pause_s = chaos.pause_s

    def run(self) -> None:
        try:
            for strike in self._strikes:
                time.sleep(self._chance.uniform(0.3, self._pause_s))
                strike(self._cluster, self._chance)
                self.struck += 1
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.error = error


def _spoil(cluster: Cluster) -> None:
    """A record that is none, as a producer gone wrong would write it; or nothing, while the broker
    is away."""
    if not cluster.kafka.answers():
        return
    with suppress(KafkaError):
        client = producer(cluster.log)
        try:
            place = int(time.monotonic()) % PARTITIONS
            client.send(cluster.log.topic, b"no record", b"nobody", partition=place).get(2)
        finally:
            abandon(client)


def _settle(cluster: Cluster) -> None:
    """Waits until SQL has the whole topic and all closes are told, then ends all programs."""
    for collector in cluster.collectors:
        collector.stop()
    cluster.journal.note("collectors stopped")
    _until(lambda: _is_settled(cluster), "SQL did not catch up with the topic")
    time.sleep(1.0)  # a stale owner that just woke up would write now
    for processor in cluster.processors:
        processor.stop()
    cluster.journal.note("processors stopped")


def _is_settled(cluster: Cluster) -> bool:
    ends = cluster.end_offsets()
    places = cluster.places()
    is_read = bool(ends) and all(
        number in places and places[number].next_offset == end for number, end in ends.items()
    )
    with cluster.connected() as connection:
        row = connection.execute("SELECT count(*) FROM closes_outbox").fetchone()
    return is_read and row is not None and row[0] == 0


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _CAUGHT_UP_WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(_LOOKED_EVERY_S)


@click.command()
@click.option("--seed", type=int, help="Which faults, which players. Default: a new one.")
@click.option("--faults", type=click.IntRange(1), default=60, show_default=True)
@click.option("--pause", default=4.0, show_default=True, help="Longest pause of a lane, s.")
@click.option("--client", default="", help="The Kafka client of all programs: librdkafka.")
def main(seed: int | None, faults: int, pause: float, client: str) -> None:
    """Strikes faults at random for about ten minutes, then compares every row. At the end it says
    how long SQL stands still after a processor has gone, with 10,000 live sessions."""
    chosen = Random().randrange(1_000_000) if seed is None else seed
    directory = Path(tempfile.mkdtemp(prefix=f"bookended-chaos-{chosen}-"))
    directory.chmod(0o755)  # as root PostgreSQL runs as another account, which must get in
    click.echo(f"Seed {chosen}; --seed {chosen} strikes the same faults. {directory}")
    journal = Journal(directory / "journal.jsonl", click.echo)
    chaos = Chaos(chosen, faults, pause_s=pause, client=client)
    with ended(_below(directory, "chaos"), chaos, journal) as end:
        wrong = end.wrong()
        events = end.fates.acknowledged.total()
    click.echo(f"{end.struck} faults, {events:,} events acknowledged")
    for line in wrong:
        journal.note("WRONG", what=line)
    if wrong:
        raise click.ClickException(f"figures are wrong; all there is to see lies in {directory}")
    click.echo("Every acknowledged event is in the topic, and every row is that of a clean fold.")
    for times in recovery(_below(directory, "recovery"), chosen, client, journal):
        click.echo(times)
    shutil.rmtree(directory)


def _below(directory: Path, name: str) -> Path:
    path = directory / name
    path.mkdir(mode=0o755)
    return path


if __name__ == "__main__":
    main()
