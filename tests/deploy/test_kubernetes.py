"""deploy/kubernetes: valid for the oldest and the newest cluster, and what it names is there."""

from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from commands.options import settings_of
from commands.settings import Collecting, ProcessingAlone
from ingest.routes import ROUTES
from processor.postgres_engine import _SESSION
from tests.deploy.files import (
    DEPLOY,
    Part,
    containers_of_ours,
    instructions,
    manifests,
    of_kind,
    pods,
)
from tests.deploy.settings import SECRETS_AT, kafka_of, loaded
from tests.deploy.test_compose import STYLE
from tests.deploy.test_image import PROJECT

FOLDER: Final = DEPLOY / "kubernetes"
CLUSTERS: Final = ("1.30", "1.37")
PARTS: Final = list(containers_of_ours())
SECRETS: Final = list(
    yaml.safe_load_all((FOLDER / "secrets.example.yaml").read_text(encoding="utf-8"))
)
Yaml = dict[str, Any]


def name_of(manifest: Yaml) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


def labels_of(manifest: Yaml) -> dict[str, str]:
    return dict(manifest["spec"]["template"]["metadata"]["labels"])


def selected(selector: dict[str, str]) -> list[str]:
    """Names of what makes pods with these labels."""
    makers = of_kind("Deployment", "StatefulSet", "Job")
    return [m["metadata"]["name"] for m in makers if selector.items() <= labels_of(m).items()]


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("manifest", [*manifests(), *SECRETS], ids=name_of)
def test_every_object_is_valid(manifest: Yaml, cluster: str) -> None:
    kubernetes_validate.validate(manifest, cluster, strict=True)


def test_the_validation_would_notice() -> None:
    (job,) = of_kind("Job")
    bad = job | {"spec": job["spec"] | {"backofLimit": 3}}
    with pytest.raises(kubernetes_validate.ValidationError, match="backofLimit"):
        kubernetes_validate.validate(bad, CLUSTERS[1], strict=True)


def test_every_file_is_applied() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    files = {path.name for path in FOLDER.iterdir()}
    assert files - {"kustomization.yaml", "secrets.example.yaml"} == set(kustomization["resources"])
    (image,) = kustomization["images"]
    assert image["name"] == "bookended"
    assert image["newTag"] == PROJECT["project"]["version"]


def test_all_is_in_one_namespace_where_pods_may_do_little() -> None:
    (namespace,) = of_kind("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for manifest in [*manifests(), *SECRETS]:
        if manifest is not namespace:
            assert manifest["metadata"]["namespace"] == namespace["metadata"]["name"]


@pytest.mark.parametrize("name", pods())
def test_pods_keep_the_restricted_standard_and_their_bounds(name: str) -> None:
    pod = pods()[name]
    (container,) = pod["containers"]
    (user,) = instructions("USER", stage=2)
    of_pod = pod["securityContext"]
    assert of_pod["runAsNonRoot"] is True
    assert f"{of_pod['runAsUser']}:{of_pod['runAsGroup']}" == user
    assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] in [m["metadata"]["name"] for m in of_kind("ServiceAccount")]
    for bound in ("requests", "limits"):
        assert container["resources"][bound].keys() == {"cpu", "memory"}
    assert container["image"] == "bookended"


# --- our programs -------------------------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_command_and_variable_is_one(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka_of(part, tmp_path, monkeypatch)


def test_there_is_all_that_is_needed() -> None:
    assert {part.name: part.command for part in PARTS} == {
        "migrate": ["migrate"],
        "collector": ["collect"],
        "processor": ["process"],
        "explorer": ["explore"],
    }


def test_probes_of_the_explorer_need_no_token() -> None:
    (container,) = pods()["explorer"]["containers"]
    (part,) = (part for part in PARTS if part.name == "explorer")
    (port,) = container["ports"]
    assert part.environment["BOOKENDED_EXPLORE_LISTEN"] == f"0.0.0.0:{port['containerPort']}"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": STYLE, "port": port["name"]}


@pytest.mark.parametrize("name", ["collector", "processor"])
def test_probes_ask_routes_at_the_port_that_is_served(name: str) -> None:
    (container,) = pods()[name]["containers"]
    (port,) = container["ports"]
    assert [str(port["containerPort"])] == instructions("EXPOSE", stage=2)
    routes = [route.path for route in ROUTES]
    paths = {}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        get = container[probe]["httpGet"]
        assert get["path"] in routes
        assert get["port"] == port["name"]
        paths[probe] = get["path"]
    assert paths["livenessProbe"] == "/healthz", "log or database away is no reason to restart"
    assert paths["readinessProbe"] == "/readyz"


def test_the_collector_drains_within_its_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (part,) = (part for part in PARTS if part.name == "collector")
    settings = loaded(part, tmp_path, monkeypatch)
    assert isinstance(settings, Collecting)
    pod = pods()["collector"]
    drain_s = settings.drain_grace.total_seconds()
    needed_s = drain_s + settings.drain_max.total_seconds()
    assert pod["terminationGracePeriodSeconds"] > needed_s
    probe = pod["containers"][0]["readinessProbe"]
    assert drain_s > probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]


def test_a_processor_may_finish_its_last_statement() -> None:
    longest_s = float(_SESSION["statement_timeout"].removesuffix("s"))
    assert pods()["processor"]["terminationGracePeriodSeconds"] > longest_s


def test_a_processor_is_the_same_member_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stateful,) = of_kind("StatefulSet")
    variables = {v["name"]: v for v in pods()["processor"]["containers"][0]["env"]}
    source = variables["BOOKENDED_INSTANCE_ID"]["valueFrom"]
    assert source == {"fieldRef": {"fieldPath": "metadata.name"}}
    (part,) = (part for part in PARTS if part.name == "processor")
    settings = loaded(part, tmp_path, monkeypatch)
    assert isinstance(settings, ProcessingAlone)
    assert settings.instance_id == "processor-0"
    assert stateful["spec"]["replicas"] <= settings.placement.partitions
    (headless,) = (s for s in of_kind("Service") if s["spec"].get("clusterIP") == "None")
    assert stateful["spec"]["serviceName"] == headless["metadata"]["name"]


# --- what belongs together ----------------------------------------------------------------------


@pytest.mark.parametrize("manifest", of_kind("Deployment", "StatefulSet"), ids=name_of)
def test_a_set_of_pods_selects_its_own(manifest: Yaml) -> None:
    selector = manifest["spec"]["selector"]["matchLabels"]
    assert selected(selector) == [manifest["metadata"]["name"]]
    if manifest["spec"].get("replicas") == 1:
        return
    spread = manifest["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert {one["topologyKey"] for one in spread} == {
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    }
    assert all(one["labelSelector"]["matchLabels"] == selector for one in spread)


@pytest.mark.parametrize("manifest", of_kind("Service", "PodDisruptionBudget"), ids=name_of)
def test_services_and_budgets_are_of_one_set(manifest: Yaml) -> None:
    selector = manifest["spec"]["selector"]
    assert selected(selector.get("matchLabels", selector)) == [manifest["metadata"]["name"]]
    for port in manifest["spec"].get("ports", ()):
        container = pods()[manifest["metadata"]["name"]]["containers"][0]
        assert port["targetPort"] in [own["name"] for own in container["ports"]]


def test_the_autoscaler_scales_the_collectors() -> None:
    (scaler,) = of_kind("HorizontalPodAutoscaler")
    target = scaler["spec"]["scaleTargetRef"]
    (deployment,) = (m for m in of_kind("Deployment") if m["metadata"]["name"] == "collector")
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert "replicas" not in deployment["spec"], "an apply would undo what the autoscaler did"


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_secrets_are_files_of_the_pods_own_secret(part: Part) -> None:
    pod = pods()[part.name]
    known = {secret["metadata"]["name"]: secret["stringData"].keys() for secret in SECRETS}
    (volume,) = pod["volumes"]
    assert volume["secret"]["secretName"] == part.name
    assert volume["secret"]["defaultMode"] & 0o007 == 0
    (mount,) = pod["containers"][0]["volumeMounts"]
    assert mount == {"name": volume["name"], "mountPath": SECRETS_AT[:-1], "readOnly": True}
    files = {v.removeprefix(SECRETS_AT) for v in part.environment.values() if SECRETS_AT in v}
    assert files == known[part.name]
    secret = {setting.variable for setting in settings_of(part.settings) if setting.is_secret}
    assert not secret & part.environment.keys()


def test_nothing_comes_in_or_goes_out_but_what_is_named() -> None:
    policies = {m["metadata"]["name"]: m["spec"] for m in of_kind("NetworkPolicy")}
    assert policies.pop("nothing-else") == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    opened = {
        name: {
            port["port"]
            for rule in spec.get("egress", spec.get("ingress"))
            for port in rule["ports"]
        }
        for name, spec in policies.items()
    }
    assert opened == {
        "to-dns-and-kafka": {53, 9092},
        "to-postgres": {5432},
        "to-collectors": {"http"},
        "to-explorer": {"http"},
        "metrics-of-processors": {"http"},
    }
    for spec in policies.values():
        selector = spec["podSelector"].get("matchLabels")
        assert selector is None or selected(selector)
