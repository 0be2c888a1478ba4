"""`bookended simulate`: many realistic players against any collector, then what came of it.

Before the record's way. Imports the simulation's engine and the rendering.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, Annotated, Any, Final

from pydantic import AfterValidator, Field
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from commands.common import ENV_PREFIX, Common
from commands.errors import Failure
from commands.faults import FAULTS, parse_faults
from commands.http_client import NO_ANSWER, client
from commands.logs import configure
from commands.options import takes
from commands.simulation import Acknowledged, Plan, Simulation, Tally
from commands.storage import touching
from commands.tables import facts, stderr, stdout, table
from commands.values import CollectorUrl, Duration

PERCENTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p100": 1.0}


def _are_faults(text: str) -> str:
    parse_faults(text)
    return text


class Simulating(Common):
    """The simulation."""

    url: CollectorUrl = Field("http://127.0.0.1:8080", description="The collector to play against.")
    sessions: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        50, description="Sessions to play in all."
    )
    rate: Annotated[float, Field(gt=0, le=100_000)] = Field(
        50.0, description="Events a second, over all players, to aim at."
    )
    speed: Annotated[float, Field(ge=1, le=10_000)] = Field(
        60.0,
        description="How much faster than real time players live; their ts stay consistent and "
        "end at the present.",
    )
    faults: Annotated[str, AfterValidator(_are_faults)] = Field(
        "none",
        description=f"What goes wrong on the way: all, none, or a list of {', '.join(FAULTS)}.",
    )
    seed: int = Field(1, description="One seed gives one audience and its faults.")
    connections: Annotated[int, Field(ge=1, le=10_000)] = Field(
        64, description="Requests at a time at most."
    )
    duration: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(days=30))] = Field(
        timedelta(minutes=10), description="Stop after this time."
    )
    truth: Path | None = Field(
        None, description="Write each acknowledged request to this file, a JSON object a line."
    )
    insecure: bool = Field(False, description="Accept any certificate over HTTPS.")
    json_output: bool = Field(
        False,
        description="Print one JSON object instead of tables.",
        validation_alias=f"{ENV_PREFIX}JSON",
    )


@takes(Simulating)
def command(settings: Simulating) -> None:
    """Plays realistic sessions against any collector and reports what it answered.

    Sessions have ads, chapters, pauses, buffers, stalls and seeks; --faults spoils some of them the
    way real traffic is spoilt. Ctrl-C stops early and still reports.
    """
    configure(settings.log_level, settings.log_format)
    stderr().print(f"Playing {settings.sessions} sessions against {settings.url}", highlight=False)
    tally = asyncio.run(_simulate(settings))
    if settings.json_output:
        print(json.dumps(as_json(tally, settings)))
    else:
        _print(tally)
    if not tally.events_accepted:
        raise Failure(
            f"{settings.url} accepted nothing",
            f"See the answers above. {next(iter(tally.messages), '')}".rstrip(),
        )


async def _simulate(settings: Simulating) -> Tally:
    plan = Plan(
        settings.sessions,
        settings.rate,
        settings.speed,
        parse_faults(settings.faults),
        settings.seed,
        settings.duration.total_seconds(),
    )
    verify = not settings.insecure
    with _truth(settings.truth) as acknowledged:
        async with client(settings.url, settings.connections, verify_tls=verify) as http:
            first = await http.request("GET", "/healthz")
            if first.status == NO_ANSWER:
                raise Failure(
                    f"no server answers at {settings.url} ({first.message})",
                    "Start one with `bookended run`, or give another --url.",
                )
            simulation = Simulation(plan, http, acknowledged)
            await _watched(simulation, plan.sessions)
            return simulation.tally


async def _watched(simulation: Simulation, sessions: int) -> None:
    """Runs the simulation under a progress bar; an interrupt cuts it short, no more."""
    playing = asyncio.create_task(simulation.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, playing.cancel)
    tally = simulation.tally
    with _progress() as progress:
        bar = progress.add_task("", total=sessions, events=0)
        while not playing.done():
            await asyncio.wait([playing], timeout=0.2)
            progress.update(bar, completed=tally.sessions_done, events=tally.events_sent)
    if playing.cancelled():
        tally.is_cut_short = True
    else:
        playing.result()


def _progress() -> Progress:
    return Progress(
        TextColumn("sessions"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}, {task.fields[events]} events"),
        TimeElapsedColumn(),
        console=stderr(),
        disable=not sys.stderr.isatty(),
    )


@contextmanager
def _truth(path: Path | None) -> Iterator[Acknowledged | None]:
    """Writes what was acknowledged, each line whole and at once: readers may look at any time."""
    if path is None:
        yield None
        return
    with touching("truth file", path), path.open("w", buffering=1, encoding="utf-8") as file:
        yield lambda session_id, events: _write(file, session_id, events)


def _write(file: IO[str], session_id: str, events: list[dict[str, Any]]) -> None:
    file.write(json.dumps({"session_id": session_id, "events": events}) + "\n")


def as_json(tally: Tally, settings: Simulating) -> dict[str, Any]:
    """The report for machines."""
    return {
        "url": settings.url,
        "seed": settings.seed,
        "sessions": {"done": tally.sessions_done, "opened": tally.sessions_opened},
        "events": {"sent": tally.events_sent, "accepted": tally.events_accepted},
        "answers": {str(status): count for status, count in sorted(tally.statuses.items())},
        "faults": dict(tally.struck),
        "latency_ms": {
            name: tally.latencies.percentile_ms(share) for name, share in PERCENTILES.items()
        },
        "elapsed_s": round(tally.elapsed_s, 3),
        "cut_short": tally.is_cut_short,
        "messages": dict(tally.messages),
    }


def _print(tally: Tally) -> None:
    rate = tally.events_sent / tally.elapsed_s if tally.elapsed_s else 0.0
    latencies = (
        f"{name.replace('p100', 'max')} {tally.latencies.percentile_ms(share) or 0:g} ms"
        for name, share in PERCENTILES.items()
    )
    rows = {
        "sessions played": f"{tally.sessions_done:,}",
        "events sent": f"{tally.events_sent:,} ({rate:,.0f} a second)",
        "events accepted": f"{tally.events_accepted:,}",
        "latency": ", ".join(latencies),
        "faults": ", ".join(f"{count:,} {name}" for name, count in tally.struck.items()) or "none",
    }
    if tally.is_cut_short:
        rows["cut short"] = "stopped before all sessions were played"
    stdout().print(facts(rows))
    answers = table("answer", "requests")
    for status, count in sorted(tally.statuses.items()):
        answers.add_row(str(status) if status else "no answer", f"{count:,}")
    stdout().print(answers)
    for message, count in tally.messages.most_common(5):
        stdout().print(f"{count:,} × {message}", highlight=False, markup=False)
