"""The wheel holds all that runs: built, installed outside the checkout, and its demo run there.

Whatever is missing in the wheel (a schema, a migration, a dependency that nobody declared) is
missing here too, however well everything works in the checkout.
"""

import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = ("commands", "explore", "ingest", "migrations", "models", "processor")
HELD: Final = frozenset((".py", ".avsc", ".html", ".css", ".js", ".svg"))
DEMO_PATIENCE_S: Final = 300  # only so that a demo that hangs ends as a failure


def run(*command: str | Path, cwd: Path) -> str:
    """What `command` prints, both streams; fails with all of it when the exit code is not 0."""
    ours = ("BOOKENDED_", "PYTHON", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment | {"COLUMNS": "200", "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=DEMO_PATIENCE_S,
    )
    output = done.stdout.decode()
    assert done.returncode == 0, output
    return output


def dist_info(wheel: Path) -> str:
    """The folder of the wheel's own description: its first two name parts, as in every wheel."""
    return "-".join(wheel.name.split("-")[:2]) + ".dist-info"


def needed(requirements: Iterable[str], extra: str) -> Iterator[tuple[str, str]]:
    """What is asked for here, on this Python and system: names, each with an extra of it or ""."""
    for requirement in map(Requirement, requirements):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            for wanted in {"", *requirement.extras}:
                yield canonicalize_name(requirement.name), wanted


def runtime_distributions(wheel: Path) -> set[str]:
    """Names of all that the wheel declares that it needs to run, and of what that needs."""
    with zipfile.ZipFile(wheel) as archive:
        declared = archive.read(f"{dist_info(wheel)}/METADATA").decode()
    ahead = [*needed(re.findall(r"^Requires-Dist: (.+)$", declared, re.MULTILINE), extra="")]
    seen: set[tuple[str, str]] = set()
    while ahead:
        wanted = ahead.pop()
        if wanted not in seen:
            seen.add(wanted)
            ahead += needed(metadata.requires(wanted[0]) or (), wanted[1])
    return {name for name, _ in seen}


def link_distribution(name: str, site_packages: Path) -> None:
    """Puts an installed distribution into another environment by links to its files' tops."""
    distribution = metadata.distribution(name)
    tops = {path.parts[0] for path in distribution.files or ()} - {"..", "__pycache__"}
    assert tops, f"{name} does not say which files it has"
    for top in tops:
        link = site_packages / top
        if not link.exists():
            link.symlink_to(Path(str(distribution.locate_file(top))))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without a network."""
    out = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT)
    run(*build, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment with the wheel and what it declares that it needs, and nothing else.

    The wheel is installed by pip. Its dependencies are linked from the environment that runs this
    test, one by one: nothing is fetched, and a package that is there only for the tests, or the
    checkout that is installed there in place, cannot be imported.
    """
    root = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(root, with_pip=False, symlinks=True)
    pip = (sys.executable, "-m", "pip", "--python", root / "bin" / "python", "--quiet")
    run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=root)
    (site_packages,) = (root / "lib").glob("python*/site-packages")
    for name in sorted(runtime_distributions(wheel)):
        link_distribution(name, site_packages)
    return root


def test_the_wheel_holds_code_schemas_and_migrations_and_no_more(wheel: Path) -> None:
    in_tree = {"bookended.py"}
    for package in (*PACKAGES, "deploy/local"):
        found = (path for path in (ROOT / package).rglob("*") if path.suffix in HELD)
        in_tree |= {path.relative_to(ROOT).as_posix() for path in found}
    assert "models/schemas/session_record.v1.avsc" in in_tree
    assert "commands/templates/session.html" in in_tree
    revisions = {path for path in in_tree if path.startswith("migrations/versions/")}
    assert revisions - {"migrations/versions/__init__.py"}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.endswith("/")}
    assert in_tree - held == set()
    tops = {name.partition("/")[0] for name in held}
    assert tops == {"bookended.py", dist_info(wheel), *PACKAGES, "deploy"}
    assert not any(name.startswith("deploy/examples/") for name in held)
    for licence in ("LICENSE", "explore/static/uplot/LICENSE"):
        assert f"{dist_info(wheel)}/licenses/{licence}" in held


def test_the_installed_code_is_the_wheels(environment: Path, tmp_path: Path) -> None:
    names = ["bookended", *PACKAGES, "tests", "pytest"]
    places = (
        "import importlib.util, json\n"
        f"specs = {{name: importlib.util.find_spec(name) for name in {names}}}\n"
        "print(json.dumps({name: spec and spec.origin for name, spec in specs.items()}))"
    )
    found = json.loads(run(environment / "bin" / "python", "-c", places, cwd=tmp_path))
    assert (found.pop("tests"), found.pop("pytest")) == (None, None)
    for name, origin in found.items():
        assert origin is not None, name
        assert Path(origin).is_relative_to(environment), name


def test_the_demo_runs_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    output = run(environment / "bin" / "bookended", "demo", cwd=tmp_path)
    assert "content" in output.lower()
    assert re.search(r"\bads?\b", output.lower())
    assert "Traceback" not in output
