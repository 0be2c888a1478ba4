"""A checkpoint's cost a session, on a real PostgreSQL beside a SQLite file.

Every session has changed by one ping since the last checkpoint, as in the live loop. The server is
one of `deploy.local`, on the same cores.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import migrations
from deploy.local import LocalPostgres
from processor.database import open_database
from tests.bench.checkpoints import Cost, LiveCrowd
from tests.bench.figures import Effort, Figure, alternate

SESSIONS: Final = 5_000


def bench(effort: Effort) -> list[Figure]:
    count = effort.size(SESSIONS, 200)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.chmod(0o755)  # as root PostgreSQL runs as another account, which must get in
        effort.tell("starting PostgreSQL")
        server = stack.enter_context(LocalPostgres(directory / "postgres"))
        urls = {"PostgreSQL": server.url, "SQLite": f"sqlite:///{directory}/bench.db"}
        engines = {name: open_database(url) for name, url in urls.items()}
        for engine in engines.values():
            stack.callback(engine.dispose)
            migrations.upgrade(engine)
        crowds = {name: LiveCrowd(engine, count) for name, engine in engines.items()}
        found: dict[str, list[Cost]] = {name: [] for name in urls}
        opened = {name: crowd.checkpoint("play") for name, crowd in crowds.items()}

        def round_of(name: str) -> Callable[[], float]:
            def one_round() -> float:
                found[name].append(crowds[name].checkpoint("ping"))
                return found[name][-1].write

            return one_round

        alternate(effort, {name: round_of(name) for name in urls})
        figures = [f for name in urls for f in _figures(name, opened[name], found[name])]
        restored = {name: [crowd.restore()] for name, crowd in crowds.items()}
        figures += [Figure(f"restored after a claim, {n}", "µs", s) for n, s in restored.items()]
        return [*figures, Figure("HOT updates of live sessions", "%", [crowds["PostgreSQL"].hot()])]


def _figures(name: str, opened: Cost, costs: list[Cost]) -> list[Figure]:
    each = "a session"
    return [
        Figure(f"new session written, {name}", "µs", [opened.write]),
        Figure(f"changed session written, {name}", "µs", [cost.write for cost in costs]),
        Figure(f"of it this process's time, {name}", "µs", [cost.write_cpu for cost in costs]),
        Figure(f"figures and state of {each} made, {name}", "µs", [cost.batch for cost in costs]),
    ]
