"""`make bench`: runs the benchmarks, shows a table and writes JSON.

Not a test: a missed goal is shown, and the exit code is 0.
"""

import importlib
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.status import Status

from tests.bench import figures
from tests.bench.figures import Effort, Figure, Kept

BENCHES: Final = {
    "fold": "events a second of the pure core",
    "sessions": "cost and size of many live sessions",
    "collector": "requests a second, against an empty ASGI app",
    "end-to-end": "from a request to its SQL row",
    "postgres": "a checkpoint's cost a session, on PostgreSQL and SQLite",
    "catch-up": "a full topic in Kafka into PostgreSQL, by each client",
    "ingest": "requests acknowledged by Kafka, by each client",
    "rebuild": "from an archive, one core, beside a bare loop over its files and DuckDB",
    "rebuild-kafka": "from a topic, beside a bare loop over it",
    "rebuild-size": "from larger archives: two processes beside one, memory beside length",
    "reports": "a day of each report, among a million sessions",
    "explore": "a day on each page of the explorer, among the same sessions",
    "live": "every event another session, from Kafka into PostgreSQL",
}
"""In the order in which they run; each is a module `<name>_bench` with a function `bench`."""


@click.command()
@click.option(
    "--only",
    "names",
    type=click.Choice([*BENCHES]),
    multiple=True,
    help="Run this one alone; may be given more than once.",
)
@click.option(
    "--json",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the results. Default: a new file in tests/bench/results.",
)
@click.option("--quick", is_flag=True, help="Little work: tries the benchmarks, says nothing.")
def main(names: tuple[str, ...], path: Path | None, *, quick: bool) -> None:
    """Measures speed and size: contenders take turns, figures are medians of rounds."""
    path = path or figures.usual_path()
    shown = Console()
    results: dict[str, list[Figure]] = {}
    with ExitStack() as stack, Console(stderr=True).status("") as status:
        kept = Kept(stack)
        for name in names or BENCHES:
            effort = Effort(quick, partial(_tell, status, name), kept)
            module = importlib.import_module(f"tests.bench.{name.replace('-', '_')}_bench")
            results[name] = module.bench(effort)
    figures.write(results, Effort(quick), path)
    shown.print(figures.table(results))
    shown.print(f"Written to {path}", soft_wrap=True)


def _tell(status: Status, name: str, doing: str) -> None:
    status.update(f"{name}: {doing}")


if __name__ == "__main__":
    main()
