"""The faults of a chaos run: each strikes at a moment drawn by chance and is healed again.

Only for tests. Two lanes strike at the same time, one at the programs and one at the servers, so
that faults overlap as they do in life. A seed gives the same faults with the same pauses; what the
machine makes of them differs.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from deploy.local.server import LocalServer
from tests.simulation.cluster import PARTITIONS, SESSION_TIMEOUT_S, Cluster, Program

PROCESSORS_MIN: Final = 2
PROCESSORS_MAX: Final = 4
_TAKEN_OVER_WITHIN_S: Final = 90.0
_AT_WORK_WITHIN_S: Final = 180.0
_ENDED_WITHIN_S: Final = 120.0
_LOOKED_EVERY_S: Final = 0.1

Strike = Callable[[Cluster, Random], None]


# --- at the programs ----------------------------------------------------------------------------


def kill_collector(cluster: Cluster, chance: Random) -> None:
    """SIGKILL, or an orderly end, and a new start; sometimes once more while it starts."""
    program = chance.choice(cluster.collectors)
    number = chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
    _restart(cluster, chance, [program], number)


def kill_processor(cluster: Cluster, chance: Random) -> None:
    """In place: a static member is back before its session is over, or sometimes after."""
    _restart(cluster, chance, [_drawn(cluster, chance)], signal.SIGKILL)


def kill_two_processors(cluster: Cluster, chance: Random) -> None:
    with cluster.lock:
        programs = chance.sample(cluster.processors, PROCESSORS_MIN)
    _restart(cluster, chance, programs, signal.SIGKILL)


def _restart(
    cluster: Cluster, chance: Random, programs: Sequence[Program], number: signal.Signals
) -> None:
    names = ",".join(program.name for program in programs)
    down_s = chance.choice((0.0, chance.uniform(0, 1), SESSION_TIMEOUT_S + chance.uniform(0, 1)))
    cluster.journal.note("strike", fault=number.name, at=names, down_s=round(down_s, 2))
    for program in programs:
        program.stop(number)
    time.sleep(down_s)
    for program in programs:
        program.start()
    if chance.random() < 0.3:
        time.sleep(chance.uniform(0.1, 2.0))
        cluster.journal.note("strike", fault="SIGKILL at the start", at=names)
        for program in programs:
            program.kill()
            program.start()


def add_processor(cluster: Cluster, chance: Random) -> None:
    """A rebalance: the others give partitions away."""
    if len(cluster.processors) >= PROCESSORS_MAX:
        remove_processor(cluster, chance)
    program = cluster.add_processor(is_static=chance.random() < 0.5)
    cluster.journal.note("strike", fault="added", at=program.name)


def remove_processor(cluster: Cluster, chance: Random) -> None:
    """A rebalance: it ends in its own way, the others take its partitions."""
    if len(cluster.processors) <= PROCESSORS_MIN:
        add_processor(cluster, chance)
    program = _drawn(cluster, chance)
    with cluster.lock:
        cluster.processors.remove(program)
    cluster.journal.note("strike", fault="removed", at=program.name)
    program.stop(signal.SIGTERM)


def freeze_processor(cluster: Cluster, chance: Random) -> None:
    """SIGSTOP until others have its partitions and write them, then it wakes as a stale owner."""
    with cluster.servers_lock:
        program = _drawn(cluster, chance)
        partitions = _wait_for_work(cluster, program)
        cluster.journal.note("strike", fault="SIGSTOP", at=program.name, partitions=partitions)
        program.send(signal.SIGSTOP)
        try:
            time.sleep(SESSION_TIMEOUT_S)
            is_taken = _all_move(cluster)
            time.sleep(chance.uniform(0, 2))
        finally:
            program.send(signal.SIGCONT)
        cluster.journal.note("woken", program=program.name, is_taken_over=is_taken)


def replace_frozen_processor(cluster: Cluster, chance: Random) -> None:
    """As when a node is cut off: a new process has the name of the frozen one, which then wakes.
    Kafka leaves the place to the one that joined last, the other has to see that and end."""
    with cluster.servers_lock:
        program = cluster.add_processor(is_static=True)
        program.may_end = "another processor has joined as instance"
        partitions = _wait_for_work(cluster, program)
        cluster.journal.note("strike", fault="replaced", at=program.name, partitions=partitions)
        frozen = program.leave_alone()
        frozen.send_signal(signal.SIGSTOP)
        try:
            program.start()
            cluster.wait_until_begun(program)
            is_taken = _all_move(cluster)
            time.sleep(chance.uniform(0, 1))
            frozen.send_signal(signal.SIGCONT)
            cluster.journal.note("woken", program=program.name, is_taken_over=is_taken)
            frozen.wait(_ENDED_WITHIN_S)
        except subprocess.TimeoutExpired:
            cluster.journal.violation(f"the woken {program.name} goes on beside its successor")
        finally:
            frozen.kill()
            frozen.wait()


def _wait_for_work(cluster: Cluster, program: Program) -> list[int]:
    """The partitions that the program has, once it has some."""
    deadline = time.monotonic() + _AT_WORK_WITHIN_S
    while time.monotonic() < deadline:
        partitions = cluster.owned(program)
        if partitions:
            return partitions
        time.sleep(_LOOKED_EVERY_S)
    raise AssertionError(f"{program.name} is given no partition")


def _all_move(cluster: Cluster) -> bool:
    """Waits until each partition is written on; not for ever, a server may be away just now."""
    deadline = time.monotonic() + _TAKEN_OVER_WITHIN_S
    before = cluster.places()
    while time.monotonic() < deadline:
        time.sleep(_LOOKED_EVERY_S)
        now = cluster.places()
        before = now | before
        if len(now) == PARTITIONS and all(
            place.version > before[number].version + 1 for number, place in now.items()
        ):
            return True
    return False


def _drawn(cluster: Cluster, chance: Random) -> Program:
    with cluster.lock:
        return chance.choice(cluster.processors)


# --- at the servers -----------------------------------------------------------------------------


def stop_broker(cluster: Cluster, chance: Random) -> None:
    _take_away(cluster, cluster.kafka, cluster.kafka.stop, chance)


def kill_broker(cluster: Cluster, chance: Random) -> None:
    _take_away(cluster, cluster.kafka, cluster.kafka.kill, chance)


def stop_postgres(cluster: Cluster, chance: Random) -> None:
    _take_away(cluster, cluster.postgres, cluster.postgres.stop, chance)


def kill_postgres(cluster: Cluster, chance: Random) -> None:
    _take_away(cluster, cluster.postgres, cluster.postgres.kill, chance)


def _take_away(
    cluster: Cluster, server: LocalServer, end: Callable[[], None], chance: Random
) -> None:
    away_s = chance.uniform(0, 3)
    with cluster.servers_lock:
        cluster.journal.note("strike", fault=end.__name__, at=server.name, away_s=round(away_s, 2))
        end()
        time.sleep(away_s)
        server.start()
        cluster.journal.note("healed", server=server.name)


def freeze_broker(cluster: Cluster, chance: Random) -> None:
    """It keeps its connections and says nothing."""
    frozen_s = chance.uniform(1, 7)
    with cluster.servers_lock:
        process = cluster.kafka.process()
        assert process is not None
        cluster.journal.note("strike", fault="SIGSTOP", at="Kafka", frozen_s=round(frozen_s, 2))
        process.suspend()
        try:
            time.sleep(frozen_s)
        finally:
            process.resume()
        cluster.journal.note("healed", server="Kafka")


AT_PROGRAMS: Final[tuple[Strike, ...]] = (
    kill_collector,
    kill_processor,
    kill_two_processors,
    add_processor,
    remove_processor,
    freeze_processor,
    replace_frozen_processor,
)
AT_SERVERS: Final[tuple[Strike, ...]] = (
    stop_broker,
    kill_broker,
    stop_postgres,
    kill_postgres,
    freeze_broker,
)
