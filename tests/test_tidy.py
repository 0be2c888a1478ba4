"""The rules of style that no linter knows, held over every tracked file.

Import order of the layers, purity of the fold's core, sizes, docstrings, nothing left undone,
nothing of the machine that a file was written on. Each check is a function from a source to its
faults; each is shown a bad sample too, so that one that can no longer fail is noticed. Imports no
package of the project: it reads them as text.
"""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]

FUNCTION_LINES_MAX: Final = 70
FILE_LINES_MAX: Final = 450
LINE_LENGTH_MAX: Final = 100

MAY_IMPORT: Final = {
    "models": {"models"},
    "ingest": {"models", "ingest"},
    "processor": {"models", "processor"},
    "migrations": {"models", "migrations"},
    "explore": {"models", "explore"},
    "deploy": {"deploy"},
    "deploy.spark.reprocess": {"models", "processor", "commands"},  # a program of its own
    "commands": {"models", "ingest", "processor", "migrations", "explore", "deploy", "commands"},
    "bookended": {"models", "ingest", "processor", "migrations", "explore", "deploy", "commands"},
}
"""Which packages of the project a package, or a module named here, may import. `tests` is
importable by none of them."""

PURE_CORE: Final = (
    "batch",
    "by_session",
    "child_rows",
    "effects",
    "elapsed",
    "fields",
    "findings",
    "intervals",
    "judged",
    "order",
    "player_states",
    "quality",
    "quiet",
    "session",
    "snapshot",
    "spans",
    "state",
    "step",
    "summarize",
    "things",
    "view_rows",
)
"""The modules of `processor` that decide figures: same input, same output, on any machine.

Whatever one of them imports of `processor` must stand here too.
"""

CORE_LIBRARY: Final = frozenset(
    "abc array base64 binascii bisect collections copy dataclasses enum fastavro functools"
    " hashlib heapq io.BytesIO itertools json math operator re string struct sys.byteorder"
    " sys.intern types typing unicodedata zlib".split()
)
"""What the core may import from outside, roots or whole names: no clock, no chance, no I/O."""

CORE_BUILTINS_BANNED: Final = frozenset(
    # hash() of text differs from process to process.
    ("__import__", "breakpoint", "eval", "exec", "hash", "input", "open", "print")
)

IO_MODULES: Final = frozenset(
    "aiohttp alembic asyncio click concurrent http kafka logging multiprocessing os platform"
    " prometheus_client psycopg queue random requests rich secrets select shutil signal socket"
    " sqlite3 ssl structlog subprocess sys tempfile threading time urllib uuid uvicorn".split()
)
"""What `models` may not import: a contract reads neither clock nor environment, and does no I/O."""

CLOCK_CALLS: Final = frozenset(("now", "utcnow", "today"))

# Written so that they do not match themselves.
UNDONE: Final = re.compile(r"\b(?:TO[D]O|FIX[M]E)\b")
MACHINE: Final = re.compile(
    r"(?<![\w.\-/~])/(?:work|root|tmp|home|Users|mnt)/"
    r"|py[p]i\.org|python[h]osted|registry\.n[p]mjs|repo1?\.m[a]ven|docker[.]io|ghcr[.]io|quay[.]io"
    r"|--(?:extra-)?inde[x]-url|--find-link[s]|--trusted-hos[t]"
)
LEFT_OUT: Final = re.compile(r"^(?:pytest|unittest|self|(?:pytest\.)?mark)\.(?:skip\w*|xfail)$")
LEFT_OUT_NAMES: Final = frozenset(("skip", "skipIf", "skipUnless", "xfail", "importorskip"))

NOT_OURS: Final = frozenset((".git", ".venv", "__pycache__", "bookended-data", "build", "dist"))


class Source(NamedTuple):
    """One text file: its path from the root with slashes, its text, and its syntax tree."""

    path: str
    text: str
    tree: ast.Module
    """Empty for a file that is not Python."""

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]


Check = Callable[[Source], Iterator[str]]


def source_of(path: str, text: str) -> Source:
    return Source(path, text, ast.parse(text if path.endswith(".py") else "", path))


def git(*arguments: str) -> str | None:
    """What git says, or `None` where there is no git or no repository."""
    try:
        done = subprocess.run(  # the arguments are our own
            ["git", "-C", str(ROOT), *arguments],  # noqa: S607 (git is where PATH says)
            capture_output=True,
            check=True,
            text=True,
            encoding="utf-8",
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


def paths() -> list[str]:
    """Files that are tracked or would be; in an export without git: all but what tools make."""
    top = git("rev-parse", "--show-toplevel")
    if top is not None and Path(top.rstrip("\n")).resolve() == ROOT:
        listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        assert listed is not None
        return sorted(path for path in set(listed.split("\0")) if path and (ROOT / path).is_file())
    return sorted(walk(ROOT))


def walk(root: Path) -> Iterator[str]:
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        made = any(part in NOT_OURS or part.endswith(("_cache", ".egg-info")) for part in parts)
        if path.is_file() and not made and ".hypothesis" not in parts:
            yield path.relative_to(root).as_posix()


@cache
def sources() -> tuple[Source, ...]:
    found = []
    for path in paths():
        try:
            text = (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # bytes, such as recorded Avro
        found.append(source_of(path, text))
    return tuple(found)


def imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names of all that is imported, wherever it stands: `from a.b import c` is `a.b.c`."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                yield from (f"{'.' * level}{module or ''}.{name.name}" for name in names)
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]):
                if ast.unparse(func) in {"importlib.import_module", "import_module", "__import__"}:
                    yield name


def is_core(source: Source) -> bool:
    return source.module in {f"processor.{name}" for name in PURE_CORE}


def check_layers(source: Source) -> Iterator[str]:
    allowed = MAY_IMPORT.get(source.module, MAY_IMPORT.get(source.package))
    if allowed is None:
        return
    for name in imports(source.tree):
        root = name.partition(".")[0]
        if root == "":
            yield f"{name} is a relative import"
        elif root in (MAY_IMPORT.keys() | {"tests"}) - allowed:
            yield f"{source.package} may not import {name}"


def check_core_imports(source: Source) -> Iterator[str]:
    if not is_core(source):
        return
    for name in imports(source.tree):
        root, _, rest = name.partition(".")
        pure = not CORE_LIBRARY.isdisjoint((root, name)) or (root == "models" and rest != "")
        if not pure and not (root == "processor" and rest.partition(".")[0] in PURE_CORE):
            yield f"the pure core may not import {name}"


def check_core_calls(source: Source) -> Iterator[str]:
    if not is_core(source):
        return
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in CORE_BUILTINS_BANNED:
                yield f"line {node.lineno}: the pure core may not call {name}()"


def check_models_do_no_io(source: Source) -> Iterator[str]:
    if source.package != "models":
        return
    for name in imports(source.tree):
        if name.partition(".")[0] in IO_MODULES:
            yield f"models may not import {name}"


def check_clock(source: Source) -> Iterator[str]:
    """Neither a contract nor the core asks what time it is; a record's time comes with it."""
    if source.package != "models" and not is_core(source):
        return
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name in CLOCK_CALLS:
                yield f"line {node.lineno}: {ast.unparse(node.func)}() reads the clock"


def check_sizes(source: Source) -> Iterator[str]:
    if not source.path.endswith((".py", ".toml", "Makefile", ".ci/run")):
        return
    lines = source.text.splitlines()
    if len(lines) > FILE_LINES_MAX:
        yield f"{len(lines)} lines, at most {FILE_LINES_MAX}"
    for number, line in enumerate(lines, start=1):
        if len(line) > LINE_LENGTH_MAX:
            yield f"line {number}: {len(line)} characters, at most {LINE_LENGTH_MAX}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield f"{node.name}: {length} lines, at most {FUNCTION_LINES_MAX}"


def check_docstrings(source: Source) -> Iterator[str]:
    if not source.path.endswith(".py"):
        return
    if not ast.get_docstring(source.tree) and (source.tree.body or source.package != "tests"):
        yield "the module has no docstring"
    if source.package not in {"models", "ingest", "processor", "explore"}:
        return
    for node in source.tree.body:
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
        ):
            yield f"line {node.lineno}: {node.name} has no docstring"


def check_undone(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), start=1):
        if found := UNDONE.search(line):
            yield f"line {number}: {found[0]}"


def check_tests_run(source: Source) -> Iterator[str]:
    """No test is left out: what cannot be tested here is not claimed to be."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Attribute() if LEFT_OUT.match(ast.unparse(node)):
                yield f"line {node.lineno}: {ast.unparse(node)}"
            case ast.Attribute(attr="importorskip" | "skipTest" as name):
                yield f"line {node.lineno}: {name}"
            case ast.ImportFrom(module="pytest" | "unittest", names=names):
                left_out = LEFT_OUT_NAMES & {name.name for name in names}
                yield from (f"line {node.lineno}: {name}" for name in sorted(left_out))


def check_machine(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), start=1):
        if found := MACHINE.search(line):
            yield f"line {number}: {found[0]} belongs to one machine or registry"


CHECKS: Final[tuple[Check, ...]] = (
    check_layers,
    check_core_imports,
    check_core_calls,
    check_models_do_no_io,
    check_clock,
    check_sizes,
    check_docstrings,
    check_undone,
    check_tests_run,
    check_machine,
)


def core_reaches(project: tuple[Source, ...]) -> dict[str, set[str]]:
    """By module that the core imports, directly or by way of others: what it imports."""
    known = {source.module: source for source in project}
    reached: dict[str, set[str]] = {}
    ahead = [source.module for source in project if is_core(source)]
    while ahead:
        module = ahead.pop()
        if module in reached:
            continue
        reached[module] = set(imports(known[module].tree))
        for name in reached[module]:  # `a.b.c` is the module a.b.c, or a name in the module a.b
            ahead += [near for near in (name, name.rpartition(".")[0]) if near in known]
    return reached


def faults_of_reach(project: tuple[Source, ...]) -> list[str]:
    banned = IO_MODULES | {"sqlalchemy"}
    return [
        f"the pure core reaches {name} by way of {module}"
        for module, names in core_reaches(project).items()
        for name in sorted(names)
        if name.partition(".")[0] in banned and name not in CORE_LIBRARY
    ]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_file_keeps_the_rule(check: Check) -> None:
    faults = [f"{source.path}: {fault}" for source in sources() for fault in check(source)]
    assert not faults, "\n".join(faults)


def test_the_core_reaches_neither_sql_nor_io() -> None:
    faults = faults_of_reach(sources())
    assert not faults, "\n".join(faults)


def test_the_files_that_the_rules_speak_of_exist() -> None:
    """Else a renamed file would slip out of its rule unnoticed."""
    known = {source.module for source in sources()}
    wanted = {*MAY_IMPORT, *(f"processor.{name}" for name in PURE_CORE), "tests.test_tidy"}
    assert wanted - known == set()


def test_an_export_without_git_is_walked(tmp_path: Path) -> None:
    for path in (".venv/lib/a.py", "models/__pycache__/b.pyc", ".ruff_cache/c", "models/d.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("", encoding="utf-8")
    assert list(walk(tmp_path)) == ["models/d.py"]


LONG_FUNCTION: Final = "def f():\n" + "    1\n" * FUNCTION_LINES_MAX
SLASH: Final = "/"

BAD_SAMPLES: Final[tuple[tuple[Check, str, str], ...]] = (
    (check_layers, "ingest/a.py", "from processor import session"),
    (check_layers, "processor/a.py", "def f():\n    import ingest.app"),
    (check_layers, "models/a.py", "from commands.settings import Settings"),
    (check_layers, "migrations/env.py", "import importlib\nimportlib.import_module('processor.x')"),
    (check_layers, "explore/a.py", "from processor.database import open_database"),
    (check_layers, "explore/a.py", "import ingest.app"),
    (check_layers, "commands/a.py", "import bookended"),
    (check_layers, "bookended.py", "from tests import test_tidy"),
    (check_layers, "ingest/a.py", "from ..processor import session"),
    (check_core_imports, "processor/session.py", "import time"),
    (check_core_imports, "processor/step.py", "from os import environ"),
    (check_core_imports, "processor/step.py", "from io import open"),
    (check_core_imports, "processor/step.py", "from sys import argv"),
    (check_core_imports, "processor/state.py", "from processor.projection import Projection"),
    (check_core_imports, "processor/state.py", "import processor"),
    (check_core_calls, "processor/fields.py", "a = hash('x')"),
    (check_models_do_no_io, "models/a.py", "from time import time"),
    (check_clock, "models/a.py", "import datetime\ndatetime.datetime.now()"),
    (check_clock, "processor/step.py", "date.today()"),
    (check_sizes, "ingest/a.py", LONG_FUNCTION),
    (check_sizes, "ingest/a.py", "async " + LONG_FUNCTION),
    (check_sizes, "tests/a.py", "\n" * (FILE_LINES_MAX + 1)),
    (check_sizes, "Makefile", "#" * (LINE_LENGTH_MAX + 1)),
    (check_docstrings, "commands/a.py", "a = 1"),
    (check_docstrings, "models/__init__.py", ""),
    (check_docstrings, "models/a.py", "'''A.'''\nclass B: pass"),
    (check_docstrings, "ingest/a.py", "'''A.'''\nasync def b(): pass"),
    (check_undone, "docs/a.md", "to be done: TO" + "DO"),
    (check_tests_run, "tests/a.py", "@pytest.mark.skip" + "if(True)\ndef test_a(): ..."),
    (check_tests_run, "tests/a.py", "mark.xfail"),
    (check_tests_run, "tests/a.py", "pytest.skip('later')"),
    (check_tests_run, "tests/a.py", "kafka = pytest.importorskip('kafka')"),
    (check_tests_run, "tests/a.py", "from pytest import skip"),
    (check_machine, "docs/a.md", f"see {SLASH}root{SLASH}a"),
    (check_machine, "README.md", f"`{SLASH}home{SLASH}me{SLASH}data`"),
    (check_machine, "constraints.txt", "--extra-index" + "-url x"),
    (check_machine, "Makefile", "https:" + SLASH * 2 + "py" + "pi.org" + SLASH + "simple"),
)


@pytest.mark.parametrize(("check", "path", "text"), BAD_SAMPLES)
def test_a_bad_sample_is_found(check: Check, path: str, text: str) -> None:
    assert len(list(check(source_of(path, text)))) == 1


def test_every_check_has_a_bad_sample() -> None:
    assert {check for check, _, _ in BAD_SAMPLES} == set(CHECKS)


def test_a_long_way_round_to_sql_is_found() -> None:
    project = (
        source_of("processor/step.py", "from models import a"),
        source_of("models/a.py", "import models.b"),
        source_of("models/b.py", "from sqlalchemy.types import JSON"),
    )
    assert faults_of_reach(project) == [
        "the pure core reaches sqlalchemy.types.JSON by way of models.b"
    ]


# Put together here: a path of a machine would be found in this very file.
_IN_URL, _RELATIVE, _AT_HOME = (f"/{top}/a" for top in ("work", "tmp", "home"))

GOOD_SAMPLES: Final = (
    ("processor/step.py", "'''A.'''\nfrom models.avro import decode\nfrom processor import state"),
    ("processor/state.py", "'''A.'''\nfrom io import BytesIO\nfrom sys import byteorder"),
    ("ingest/a.py", "'''A.'''\nimport time\nfrom models import records\ntime.time()"),
    ("commands/a.py", "'''A.'''\nfrom ingest.app import App\nimport processor.runner"),
    ("tests/a/__init__.py", ""),
    ("tests/a.py", "'''A.'''\nimport bookended\nads.skip()"),
    ("docs/a.md", f"POST https://host{_IN_URL}, .{_RELATIVE} and ~{_AT_HOME}: " + "long " * 40),
)


@pytest.mark.parametrize(("path", "text"), GOOD_SAMPLES)
def test_a_good_sample_is_left_alone(path: str, text: str) -> None:
    source = source_of(path, text)
    assert [fault for check in CHECKS for fault in check(source)] == []
