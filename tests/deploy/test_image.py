"""deploy/Dockerfile: linted, read, and its first stage's own commands run without Docker."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from docker.utils.build import exclude_paths

from commands.common import Common
from commands.options import load, settings_of
from ingest.routes import ROUTES
from tests.commands.processes import environment
from tests.deploy.files import DEPLOY, TAKEN_BY, dockerfile, instructions
from tests.documents import ROOT

PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
COMMANDS_TAKE_S: Final = 600  # only so that one that hangs ends as a failure
LABELS: Final = ("title", "description", "licenses", "version", "revision")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build is given: the checkout as .dockerignore leaves it."""
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    made = tmp_path_factory.mktemp("context")
    for path in exclude_paths(str(ROOT), [p for p in patterns if p and not p.startswith("#")]):
        if (ROOT / path).is_file():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, made / path)
    return made


def test_the_linter_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--no-color", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_base_is_one_exact_version() -> None:
    assert [one.text.partition(" AS ")[0] for one in dockerfile() if one.name == "FROM"] == [
        "${PYTHON_IMAGE}"
    ] * 2
    (base,) = instructions("ARG", stage=0)
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+\.\d+-slim-\w+", base)


def test_the_context_holds_the_package_and_nothing_else(context: Path) -> None:
    held = {path.relative_to(context).as_posix() for path in context.rglob("*") if path.is_file()}
    packaged = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    for name in packaged:
        assert name in held or any(path.startswith(f"{name}/") for path in held), name
    tops = {path.partition("/")[0] for path in held}
    named = {"LICENSE", "README.md", "constraints.txt", "pyproject.toml"}
    assert tops - {".dockerignore"} == {name.partition("/")[0] for name in packaged} | named
    assert not any(path.endswith((".pyc", ".key", ".db")) for path in held)


def copies() -> Iterator[str]:
    """Sources that the second stage takes from the checkout."""
    for text in instructions("COPY", stage=2):
        words = [word for word in text.split() if not word.startswith("--")]
        if "--from" not in text:
            yield from words[:-1]


def test_what_is_copied_is_there(context: Path) -> None:
    assert list(copies()) == ["deploy/probe.py"]
    for source in copies():
        assert (context / source).is_file()


@pytest.fixture(scope="module")
def installed(context: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands of the first stage put the package."""
    root = tmp_path_factory.mktemp("image")
    (command,) = instructions("RUN", stage=1)
    for place in ("/opt/build", "/opt/bookended", "/wheels"):
        command = command.replace(place, str(root) + place)
    (root / "opt").mkdir()
    kept = {name: text for name, text in environment().items() if name != "PYTHONPATH"}
    done = subprocess.run(
        ["sh", "-ec", command.replace("python -m", f"{sys.executable} -m")],  # noqa: S607
        cwd=context,
        env=kept | {"PIP_NO_COMPILE": "1"},  # half of the time, for what only --version will import
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMANDS_TAKE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "does not provide the extra" not in done.stdout
    return root / "opt" / "bookended"


def test_the_commands_of_the_first_stage_give_the_program(installed: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        [installed / "bin" / "bookended", "--version"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.returncode) == (f"bookended {PROJECT['project']['version']}\n", 0)
    packages = {path.name.lower() for path in installed.glob("lib/*/site-packages/*")}
    assert "confluent_kafka" in packages
    assert not packages & {"pip", "pytest", "hatchling", "tests"}


def test_the_program_runs_as_a_user_that_owns_nothing_else() -> None:
    assert instructions("USER", stage=2) == ["10001:10001"]
    assert instructions("ENTRYPOINT", stage=2) == ['["bookended"]']
    assert "bookended" in PROJECT["project"]["scripts"]
    (command,) = instructions("CMD", stage=2)
    assert command.strip('["]') in TAKEN_BY


def test_the_image_is_labelled() -> None:
    (labels,) = instructions("LABEL", stage=2)
    assert re.findall(r"org\.opencontainers\.image\.(\w+)=", labels) == list(LABELS)
    assert f"VERSION={PROJECT['project']['version']}" in instructions("ARG", stage=2)


@pytest.mark.parametrize("model", TAKEN_BY.values(), ids=TAKEN_BY)
def test_its_variables_are_settings(model: type[Common], monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = instructions("ENV", stage=2)
    variables = dict(pair.split("=", 1) for pair in text.split())
    ours = {name: value for name, value in variables.items() if name.startswith("BOOKENDED_")}
    known = {setting.variable for each in TAKEN_BY.values() for setting in settings_of(each)}
    assert ours.keys() <= known
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    load(model, {})


def test_its_health_is_asked_at_a_route_and_a_port_that_it_has() -> None:
    (check,) = instructions("HEALTHCHECK", stage=2)
    path = check.split('"')[-2]
    assert path in [route.path for route in ROUTES]
    assert f"/opt/bookended/{Path(next(copies())).name}" in check
    (port,) = instructions("EXPOSE", stage=2)
    (text,) = instructions("ENV", stage=2)
    assert re.findall(r"LISTEN=0\.0\.0\.0:(\d+)", text) == [port, port]
