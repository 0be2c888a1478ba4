"""deploy/compose.yaml: valid, hardened, pinned, and what it says of our programs is so."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from compose_spec import PyCompose

from commands.options import settings_of
from commands.settings import Collecting
from deploy.compose import make_secrets
from deploy.local.jars import KAFKA_VERSION
from ingest.routes import ROUTES
from tests.deploy.files import DEPLOY, Part, compose, instructions, services_of_ours
from tests.deploy.settings import kafka_of, loaded
from tests.deploy.test_image import PROJECT
from tests.servers import POSTGRES_IMAGE

SERVICES: Final[dict[str, dict[str, Any]]] = compose()["services"]
JOBS: Final = ("migrate", "secrets")
OURS: Final = list(services_of_ours())
SECRETS_AT: Final = "/run/secrets/bookended"
STYLE: Final = "/explore/static/explore.css"
"""Of the explorer, what needs no token."""


def mounts(service: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """(source, target, whether read-only) of each mount."""
    for text in service.get("volumes", ()):
        source, target, *mode = text.split(":")
        yield source, target, mode == ["ro"]


def test_it_is_a_compose_file() -> None:
    parsed = PyCompose.from_yaml(yaml.safe_dump(compose()))
    assert sorted(parsed.service_names()) == sorted(SERVICES)


def test_the_parser_would_notice() -> None:
    bad = {"services": {"a": {"image": "a:1", "mem_limit": "much"}}}
    with pytest.raises(ValueError, match="mem_limit"):
        PyCompose.from_yaml(yaml.safe_dump(bad))


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_may_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["restart"] == ("no" if name in JOBS else "unless-stopped")
    assert "privileged" not in service
    assert name == "secrets" or "cap_add" not in service
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:"), "others reach it by way of a proxy"


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_one_version(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].partition(":")
    assert re.match(r"v?\d+\.\d+", tag), tag
    if image == "bookended":
        assert tag == PROJECT["project"]["version"]
        build = SERVICES[name]["build"]
        assert (DEPLOY / build["context"] / build["dockerfile"]).samefile(DEPLOY / "Dockerfile")


def test_the_servers_are_those_of_the_tests() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    major = POSTGRES_IMAGE.partition(":")[2].partition("-")[0]
    assert SERVICES["postgres"]["image"].startswith(f"postgres:{major}.")


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in JOBS])
def test_it_starts_after_what_it_needs(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_completed_successfully":
            assert other in JOBS
        else:
            assert how["condition"] == "service_healthy"
            assert "test" in SERVICES[other]["healthcheck"]
    assert name == "node-exporter" or "test" in SERVICES[name]["healthcheck"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_mount_is_there(name: str) -> None:
    for source, _, read_only in mounts(SERVICES[name]):
        if source.startswith("."):
            assert (DEPLOY / source).exists(), source
            assert read_only
        else:
            assert source in compose()["volumes"]
    for network in SERVICES[name].get("networks", ()):
        assert network in compose()["networks"]


def test_the_servers_are_reached_by_no_other_machine() -> None:
    assert compose()["networks"]["backend"] == {"internal": True}
    for name in ("kafka", "postgres", "node-exporter", "processor-1", "processor-2"):
        assert SERVICES[name]["networks"] == ["backend"]
        assert "ports" not in SERVICES[name]


# --- our programs -------------------------------------------------------------------------------


@pytest.mark.parametrize("part", OURS, ids=lambda part: part.name)
def test_every_command_and_variable_is_one(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = kafka_of(part, tmp_path, monkeypatch)
    assert kafka.servers == (f"{SERVICES['kafka']['hostname']}:9092",)


def test_there_is_all_that_is_needed() -> None:
    assert {part.name: part.command[0] for part in OURS} == {
        "migrate": "migrate",
        "collector": "collect",
        "processor-1": "process",
        "processor-2": "process",
        "explorer": "explore",
    }


def test_what_all_must_agree_on_is_the_same_everywhere() -> None:
    for name in ("BOOKENDED_LOG", "BOOKENDED_PARTITIONS"):
        assert len({part.environment[name] for part in OURS}) == 1


def test_each_processor_is_a_member_of_its_own() -> None:
    names = [part.environment["BOOKENDED_INSTANCE_ID"] for part in OURS if "processor" in part.name]
    assert names == ["processor-1", "processor-2"]


def test_our_health_is_asked_where_it_is() -> None:
    (port,) = instructions("EXPOSE", stage=2)
    for part in OURS:
        service = SERVICES[part.name]
        if part.name not in JOBS:
            assert service["healthcheck"]["test"][:2] == ["CMD", "python"]
            assert service["healthcheck"]["test"][3] in [STYLE, *(route.path for route in ROUTES)]
    assert SERVICES["collector"]["ports"][0].endswith(f":{port}")


def test_the_explorer_is_asked_where_it_listens() -> None:
    explorer = SERVICES["explorer"]
    *_, path, port = explorer["healthcheck"]["test"]
    assert path == STYLE
    assert explorer["environment"]["BOOKENDED_EXPLORE_LISTEN"] == f"0.0.0.0:{port}"
    assert explorer["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_stopping_takes_no_longer_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (collector,) = (part for part in OURS if part.name == "collector")
    settings = loaded(collector, tmp_path, monkeypatch)
    assert isinstance(settings, Collecting)
    needed_s = (settings.drain_grace + settings.drain_max).total_seconds()
    assert float(SERVICES["collector"]["stop_grace_period"].removesuffix("s")) > needed_s


# --- secrets ------------------------------------------------------------------------------------

MADE: Final = {copy.place: copy for copies in make_secrets.SECRETS.values() for copy in copies}


def users_of_secrets() -> Iterator[tuple[str, str, str]]:
    """(service, folder, file) of each secret that a service names."""
    for name, service in SERVICES.items():
        folders = [s.removeprefix("secrets-") for s, t, _ in mounts(service) if t == SECRETS_AT]
        for text in service.get("environment", {}).values():
            if text.startswith(SECRETS_AT):
                (folder,) = folders
                yield name, folder, text.removeprefix(f"{SECRETS_AT}/")


def test_every_secret_that_is_named_is_made_for_its_user() -> None:
    found = list(users_of_secrets())
    assert len(found) == 8
    for name, folder, file in found:
        copy = MADE[f"{folder}/{file}"]
        user = {"postgres": make_secrets.POSTGRES_USER, "grafana": make_secrets.GRAFANA_USER}
        assert copy.user == user.get(folder, make_secrets.BOOKENDED_USER), name
    assert SERVICES["postgres"]["user"].startswith(f"{make_secrets.POSTGRES_USER}:")
    assert instructions("USER", stage=2)[0].startswith(f"{make_secrets.BOOKENDED_USER}:")


def test_each_service_has_its_own_secrets_alone() -> None:
    folders = {place.partition("/")[0] for place in MADE}
    made = {s: t for s, t, _ in mounts(SERVICES["secrets"]) if s.startswith("secrets-")}
    assert made == {f"secrets-{folder}": f"/secrets/{folder}" for folder in folders}
    for name, service in SERVICES.items():
        read = [m for m in mounts(service) if m[0].startswith("secrets-")]
        if name != "secrets":
            assert all(read_only for _, _, read_only in read)
            assert {s for s, _, _ in read} <= {f"secrets-{name.partition('-')[0]}"}


def test_no_secret_stands_in_it() -> None:
    for part in OURS:
        known = {setting.field: setting for setting in settings_of(part.settings)}
        assert not any(known[field].is_secret for field in part.fields)
        assert ":" not in part.environment.get("BOOKENDED_DATABASE", "").partition("//")[2]
