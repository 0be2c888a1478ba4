"""Reads the files of deploy/: what each service, pod and stage runs, with which settings.

Only for tests.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple

import yaml

from commands.common import Common
from commands.options import settings_of
from commands.settings import Collecting, Exploring, Migrating, ProcessingAlone, Running
from tests.documents import ROOT

DEPLOY: Final = ROOT / "deploy"
IMAGE: Final = "bookended"
TAKEN_BY: Final[dict[str, type[Common]]] = {
    "run": Running,
    "collect": Collecting,
    "process": ProcessingAlone,
    "migrate": Migrating,
    "explore": Exploring,
}
_VARIABLE: Final = re.compile(r"\$\{\w+:-([^}]*)\}")
Yaml = dict[str, Any]


class Part(NamedTuple):
    """One container of ours: its name, its command line, its variables."""

    name: str
    command: list[str]
    environment: dict[str, str]

    @property
    def settings(self) -> type[Common]:
        return TAKEN_BY[self.command[0]]

    @property
    def fields(self) -> dict[str, str]:
        """The variables that the command reads, by field."""
        by_variable = {setting.variable: setting.field for setting in settings_of(self.settings)}
        return {
            by_variable[name]: text
            for name, text in self.environment.items()
            if name in by_variable
        }


@cache
def compose() -> Yaml:
    """compose.yaml as it is without variables of the one who runs it."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(_VARIABLE.sub(r"\1", text)))


def postgres_settings() -> dict[str, str]:
    """What compose.yaml starts PostgreSQL with."""
    program, *options = compose()["services"]["postgres"]["command"]
    assert program == "postgres"
    assert options[::2] == ["-c"] * (len(options) // 2)
    return dict(option.split("=", 1) for option in options[1::2])


def services_of_ours() -> Iterator[Part]:
    """What compose.yaml runs of bookended's commands."""
    for name, service in compose()["services"].items():
        if service["image"].startswith(IMAGE) and "entrypoint" not in service:
            yield Part(name, service["command"], _of_image() | service["environment"])


@cache
def manifests() -> tuple[Yaml, ...]:
    """All objects that `kubectl apply -k deploy/kubernetes` makes."""
    folder = DEPLOY / "kubernetes"
    resources = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    found: list[Yaml] = []
    for name in resources["resources"]:
        found += yaml.safe_load_all((folder / name).read_text(encoding="utf-8"))
    return tuple(found)


def of_kind(*kinds: str) -> list[Yaml]:
    return [manifest for manifest in manifests() if manifest["kind"] in kinds]


def pods() -> dict[str, Yaml]:
    """By name of what makes them: the specifications of pods."""
    makers = of_kind("Deployment", "StatefulSet", "Job")
    return {maker["metadata"]["name"]: maker["spec"]["template"]["spec"] for maker in makers}


def containers_of_ours() -> Iterator[Part]:
    """What the pods run. A value that the cluster fills in is the pod's name."""
    (config,) = of_kind("ConfigMap")
    for name, pod in pods().items():
        (container,) = pod["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": config["metadata"]["name"]}}]
        own = {
            variable["name"]: variable.get("value", f"{name}-0") for variable in container["env"]
        }
        yield Part(name, container["args"], _of_image() | config["data"] | own)


class Instruction(NamedTuple):
    """One line of the Dockerfile, and the number of its stage from 1 (0: before the first)."""

    stage: int
    name: str
    text: str


@cache
def dockerfile() -> tuple[Instruction, ...]:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    found: list[Instruction] = []
    stage = 0
    for line in filter(None, text.splitlines()):
        name, _, rest = line.partition(" ")
        stage += name == "FROM"
        found.append(Instruction(stage, name, " ".join(rest.split())))
    return tuple(found)


def instructions(name: str, stage: int) -> list[str]:
    return [one.text for one in dockerfile() if (one.stage, one.name) == (stage, name)]


def _of_image() -> dict[str, str]:
    """The variables that the image itself sets."""
    pairs = " ".join(instructions("ENV", stage=2)).split()
    return dict(pair.split("=", 1) for pair in pairs)
