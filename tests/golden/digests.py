"""One digest of all rows of every worked session, kept beside the version of the fold.

`python -m tests.golden.digests` writes `digests.lock` anew: after a new worked session, or after
`FOLD_VERSION` was raised. It refuses when rows changed and the version did not. Only for tests.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Final, NamedTuple

from models.policy import FOLD_VERSION
from models.tables import CHILD_TABLES
from processor.batch import child_rows, fold_grouped, session_row
from processor.step import PlacedRecord
from tests.golden.loading import FOLDER, golden_names, load_golden
from tests.reference.arrivals import Arrival, Tick

FILE: Final = FOLDER / "digests.lock"  # no .json: those are the sessions
COMMAND: Final = "python -m tests.golden.digests"


class Digests(NamedTuple):
    """Of which version of the fold, and a digest by worked session."""

    fold_version: int
    sessions: dict[str, str]


def digests_now() -> Digests:
    """What this checkout's fold gives."""
    return Digests(FOLD_VERSION, {name: digest_of(name) for name in golden_names()})


def digest_of(name: str) -> str:
    """A digest of every column of every row of one worked session."""
    golden = load_golden(name)
    arrivals = [step for step in golden.steps if isinstance(step, Arrival)]
    records = [PlacedRecord(0, offset, step.record) for offset, step in enumerate(arrivals)]
    ticks = [step.at for step in golden.steps if isinstance(step, Tick)]
    (summary,) = fold_grouped(records, golden.policy, ticks[0] if ticks else None)
    rows = {table: list(child_rows(summary, table)) for table in CHILD_TABLES}
    whole = [session_row(summary), summary.open_span._asdict(), rows]
    text = json.dumps(whole, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(path: Path = FILE) -> Digests:
    return Digests(**json.loads(path.read_text(encoding="utf-8")))


def changed(kept: Digests, now: Digests) -> str:
    """Which rows changed under the same version, and what to do; empty if none did."""
    names = [name for name, digest in kept.sessions.items() if now.sessions.get(name) != digest]
    if now.fold_version != kept.fold_version or not names:
        return ""
    return (
        f"rows of {', '.join(names)} are not what version {kept.fold_version} of the fold gave. If "
        f"that is meant, raise FOLD_VERSION (models/policy.py), run `{COMMAND}`, and name the "
        "change in CHANGELOG.md"
    )


def fault(kept: Digests, now: Digests) -> str:
    """What is wrong with the kept digests, and what to do; empty if nothing is."""
    if wrong := changed(kept, now):
        return wrong
    if now != kept:
        return (
            f"{FILE.name} has no digests of version {now.fold_version} or lacks a session: run "
            f"`{COMMAND}`"
        )
    return ""


def write(now: Digests, path: Path = FILE) -> str:
    """Keeps the digests unless rows changed under the same version; then says so."""
    wrong = changed(read(path), now) if path.exists() else ""
    if not wrong:
        path.write_text(json.dumps(now._asdict(), indent=2) + "\n", encoding="utf-8")
    return wrong


if __name__ == "__main__":
    sys.exit(write(digests_now()))
